"""Orders: what commerce knows of them. The apps to the right add what they know by subclassing, and the last of them
registers the page (webhooks/admin.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from commerce.admin import stripe_links
from commerce.admin.card_panel import off_the_card
from commerce.admin.display import (
    User,
    address,
    may_view,
    mono,
    pairs,
    panel,
    reader_link,
    shop_amount,
    shop_moment,
    table,
)
from commerce.admin.lists import NOTHING, KeySearch, LastingFilter, as_uuid, saved_view
from commerce.admin.order_actions import MONEY_ACTIONS
from commerce.admin.refund_page import PERMISSION as REFUND_PERMISSION
from commerce.admin.refund_page import refund_page
from commerce.admin.rental_words import days_given_away, rental_moments
from commerce.admin.timeline import Moment, Step, told
from commerce.ledger.accounts import title_of
from commerce.models import CouponRedemption, JournalEntry, Order, OrderLine, Refund, Rental
from commerce.orders.mails import GIVEN_UP, SENT
from commerce.returns.claiming import REFUNDABLE, balance_of
from commerce.returns.models import CAME_BACK
from inventory.models import Hold
from tenants.backoffice import (
    ChoicesDropdownFilter,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    ReasonAction,
    RelatedDropdownFilter,
    badge,
    duration,
    link_to,
)
from tenants.display import EMPTY, Tone
from tenants.models import AuditEntry

STATUS_TONES: dict[str, Tone] = {
    Order.Status.CONFIRMED: "good",
    Order.Status.REVIEW: "bad",
    Order.Status.PROCESSING: "info",
    Order.Status.AUTHORISED: "info",
    Order.Status.REFUNDED: "warn",
}
ATTENTION = Q(status=Order.Status.REVIEW) | Q(amount_differs=True) | Q(disputed=True)
MAILS = (SENT, GIVEN_UP)
MOST_ENTRIES = 200  # a story is read by a person; the audit trail has its own list


class DeskFilter(LastingFilter):
    title = "desk"
    parameter_name = "desk"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("attention", "Needs attention")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        return queryset.filter(ATTENTION) if self.value() == "attention" else queryset


class OrderAdmin(KeySearch[Order], ReadOnlyAdmin[Order]):
    shop_path = "shop"
    list_display = ("number", "shop_name", "state", "total", "email", "line_count", "created", "flags")
    list_filter = (
        DeskFilter,
        ("shop", RelatedDropdownFilter),
        ("status", ChoicesDropdownFilter),
        "amount_differs",
        "disputed",
        ("created_at", RangeDateTimeFilter),
    )
    search_fields = ("number", "email", "session_id", "payment_intent_id")
    search_help_text = "Order number, e-mail, cs_…, pi_…, order id"
    list_select_related = ("shop__settings",)
    # Ids begin with the time: the newest first, by the primary key's index, over all shops.
    ordering = ("-id",)
    ordering_of_one_shop = ("-created_at", "-id")
    # By anything else a large table would be sorted as a whole.
    sortable_by = ("created",)
    actions_list = ("needs_attention",)
    needs_attention = saved_view("Needs attention", "desk=attention", name="attention")
    empty_text = "No order yet. The first checkout on a shop's host makes one."
    reason_actions: Sequence[ReasonAction[Order]] = MONEY_ACTIONS
    actions_detail = ("give_back",)
    buttons_by: Sequence[str] = ("amount_differs", "deposit_amount")

    def give_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The button that leads to a page of its own: what goes back is chosen there."""
        return refund_page(self, request, object_id)

    # What unfold reads from an action's function.
    vars(give_back).update(short_description="Give money back", url_path="refund", attrs={}, icon=None, variant=None)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Without the buttons that would do nothing to this order: the head of the page has room for few."""
        buttons = super().get_actions_detail(request, object_id)
        row = self.get_queryset(request).filter(Q(pk=as_uuid(object_id))).values(*self.buttons_by).first() or {}
        hidden = self.useless_buttons(row)
        if not request.user.has_perm(REFUND_PERMISSION):
            hidden.add("give_back")
        gone = tuple(f"_{name}" for name in hidden)
        return [button for button in buttons if not gone or not button.action_name.endswith(gone)]

    def useless_buttons(self, row: Mapping[str, Any]) -> set[str]:
        """Buttons that would do nothing to an order whose columns `buttons_by` are `row`."""
        useless = {
            "act_accept_amounts": not row.get("amount_differs"),
            "act_keep_deposit": not row.get("deposit_amount"),
        }
        return {name for name, is_useless in useless.items() if is_useless}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        lines = OrderLine.objects.filter(order_id=OuterRef("pk")).order_by().values("order_id")
        return (
            super()
            .get_queryset(request)
            .select_related("shop__settings")
            .annotate(
                line_total=Subquery(lines.annotate(found=Count("pk")).values("found")),
                unit_total=Subquery(lines.annotate(found=Sum("quantity")).values("found")),
                has_refund_back=Exists(Refund.objects.filter(CAME_BACK, order_id=OuterRef("pk"))),
            )
        )

    def key(self, term: str) -> Q:
        if "@" in term:
            return Q(email__in={term, term.lower()})
        if term.startswith("cs_"):
            return Q(session_id=term)
        if term.startswith("pi_"):
            return Q(payment_intent_id=term)
        if (known := as_uuid(term)) is not None:
            return Q(pk=known) | Q(hold_id=known)
        number = term.removeprefix("#")
        return Q(number=number) if number.isascii() and number.isdecimal() else NOTHING

    def get_fieldsets(self, request: HttpRequest, obj: Order | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        order = obj
        return [
            (None, {"fields": ("number", "state_and_reason", "shop_name", "created", "confirmed", "closed", "source")}),
            panel("Bought", lambda: self.bought(order)),
            panel("Given back", lambda: self.given_back(order, request.user)),
            *([panel("Off the card", lambda: off_the_card(order, request.user))] if order.charges.exists() else []),
            ("Customer", {"fields": ("email", "customer_name", "phone", "billing", "shipping", "locale")}),
            panel("Behind it", lambda: pairs(self.behind(order, request.user))),
            panel("Timeline", lambda: told(self.story(order, request.user), order.shop)),
        ]

    def behind(self, order: Order, reader: User) -> list[tuple[str, object]]:
        """What the order rests on, by name: links where the reader may follow them."""
        live = stripe_links.is_live(order.session_id)

        def at_stripe(object_id: str | None) -> str:
            return stripe_links.stripe_link(object_id, account=order.stripe_account, livemode=live)

        return [
            ("Hold", reader_link(reader, order.hold) if order.hold_id else "None: stock is taken at payment"),
            *self._coupon(order, reader),
            ("Stripe session", at_stripe(order.session_id)),
            ("Stripe payment", at_stripe(order.payment_intent_id)),
            ("Stripe account", mono(order.stripe_account)),
            ("Request id", mono(order.request_id)),
            ("Order id", mono(order.pk)),
        ]

    @staticmethod
    def _coupon(order: Order, reader: User) -> list[tuple[str, object]]:
        if not order.coupon_code:
            return []
        uses = CouponRedemption.objects.for_shop(order.shop_id).filter(order=order).select_related("coupon")
        return [
            ("Coupon", format_html("{} ({})", reader_link(reader, use.coupon), use.get_state_display().lower()))
            for use in uses
        ]

    # ---------------------------------------------------------------- the story
    def story(self, order: Order, reader: User) -> list[Moment]:
        """What happened, as far as this app knows and this reader may see. In any order."""
        total = shop_amount(order.shop, order.expected_total_amount, order.currency)
        moments = [Moment(order.created_at, Step.ORDER, f"Order {order.number} placed", f"{total} to pay")]
        if order.confirmed_at is not None:
            paid = shop_amount(order.shop, order.total_amount, order.currency)
            differs = f", not the {total} we had computed" if order.total_amount != order.expected_total_amount else ""
            moments.append(Moment(order.confirmed_at, Step.SETTLED, "Order confirmed", f"Paid {paid}{differs}"))
        if order.closed_at is not None and order.confirmed_at is None:
            moments.append(Moment(order.closed_at, Step.SETTLED, f"Order closed: {order.get_status_display()}"))
        return [
            *moments,
            *self._of_hold(order, reader),
            *(rental_moments(order) if may_view(reader, Rental) else ()),
            *self._of_journal(order, reader),
            *self._of_audit(order, reader),
        ]

    def audited_ids(self, order: Order) -> list[str]:
        """Ids under which the audit trail may have entries that belong to this order."""
        return [str(order.pk), *([str(order.hold_id)] if order.hold_id else [])]

    def _of_hold(self, order: Order, reader: User) -> list[Moment]:
        hold = order.hold
        if hold is None or not may_view(reader, Hold):
            return []
        life = f"For {duration(hold.ttl_seconds)}"
        if hold.finished_at is None:
            life += f", until {shop_moment(order.shop, hold.expires_at)}"
        placed = Moment(hold.created_at, Step.HOLD, link_to(hold, "Hold placed"), life)
        if hold.finished_at is None:
            return [placed]
        why = ", ".join(filter(None, (hold.finish_reason, hold.finished_by)))
        return [placed, Moment(hold.finished_at, Step.HOLD_ENDED, f"Hold {hold.get_status_display().lower()}", why)]

    def _of_journal(self, order: Order, reader: User) -> list[Moment]:
        if not may_view(reader, JournalEntry):
            return []
        entries = order.journal_entries.prefetch_related("lines")
        return [
            Moment(
                entry.posted_at,
                Step.JOURNAL,
                link_to(entry, f"Journal: {entry.get_kind_display()}"),
                ", ".join(
                    f"{title_of(line.account)} {shop_amount(order.shop, line.amount, entry.currency)}"
                    for line in sorted(entry.lines.all(), key=lambda line: -line.amount)
                ),
            )
            for entry in entries
        ]

    def _of_audit(self, order: Order, reader: User) -> list[Moment]:
        """Mails are the order's own; the rest is for readers of the audit trail."""
        entries = AuditEntry.objects.for_shop(order.shop_id)
        if may_view(reader, AuditEntry):
            entries = entries.filter(object_id__in=self.audited_ids(order))
        else:
            entries = entries.filter(object_id=str(order.pk), action__in=MAILS)
        return [_mailed(entry) if entry.action in MAILS else _audited(entry) for entry in entries[:MOST_ENTRIES]]

    def bought(self, order: Order) -> SafeString:
        """Lines and sums as on an invoice."""

        def amount(minor: int) -> str:
            return shop_amount(order.shop, minor, order.currency)

        rows: list[tuple[object, ...]] = [
            (
                line.title,
                f"{_variant(line)}, tax {amount(line.tax_amount)}" if line.tax_amount else _variant(line),
                line.quantity,
                amount(line.unit_amount),
                amount(line.line_amount),
            )
            for line in order.lines.all()
        ]
        method = f"Shipping: {order.shipping_name}"
        rows.append(("Subtotal", "", "", "", amount(order.subtotal_amount)))
        for name, part in (
            (f"Discount: {order.coupon_code}" if order.coupon_code else "Discount", -order.discount_amount),
            (method if order.shipping_name else "Shipping", order.shipping_amount),
            ("Tax", order.tax_amount),
            ("Deposit", order.deposit_amount),
        ):
            if part or name == method:
                rows.append((name, "", "", "", amount(part)))
        rows.append((_strong("Total"), "", "", "", _strong(amount(order.total_amount))))
        if held := order.deposit_authorised_amount:
            rows.append(("Deposit, held on the card and not charged", "", "", "", amount(held)))
        if order.refunded_amount:
            rows.append(("Refunded", "", "", "", amount(-order.refunded_amount)))
        if order.total_amount != order.expected_total_amount:
            note = badge(
                "Stripe charged another amount than the one computed here", "warn" if order.amount_differs else "plain"
            )
            rows.append((note, "", "", "computed:", amount(order.expected_total_amount)))
        return table(["Article", "Variant", "Quantity", "Each", "Amount"], rows, right={2, 3, 4})

    def given_back(self, order: Order, reader: User) -> SafeString:
        """Every refund, and what could still be refunded."""

        def amount(minor: int) -> str:
            return shop_amount(order.shop, minor, order.currency)

        balance = balance_of(order)
        rows: list[tuple[object, ...]] = [
            (
                shop_moment(order.shop, refund.created_at),
                reader_link(reader, refund, refund.get_status_display()),
                refund.returned.reason if refund.returned else "Made at Stripe",
                amount(refund.amount),
            )
            for refund in order.refunds.select_related("returned").defer("stripe_params").order_by("id")
        ]
        if order.deposit_kept_amount:
            rows.append(("", "Deposit kept", "", amount(order.deposit_kept_amount)))
        left = balance.left if order.status in REFUNDABLE else 0
        rows.append(("", "", "Could still go back", amount(left)))
        return table(["When", "State", "Why", "Amount"], rows, right={3}, whole={0})

    # ---------------------------------------------------------------- columns and fields
    @admin.display(description="Status")
    def state(self, order: Order) -> str:
        return badge(order.get_status_display(), STATUS_TONES.get(order.status, "plain"))

    @admin.display(description="Status")
    def state_and_reason(self, order: Order) -> str:
        bounced = days_given_away(order) if vars(order).get("has_refund_back") else ""
        return format_html("{} {}", self.state(order), " ".join(filter(None, (order.review_reason, bounced))))

    @admin.display(description="Total")
    def total(self, order: Order) -> str:
        return shop_amount(order.shop, order.total_amount, order.currency)

    @admin.display(description="Lines")
    def line_count(self, order: Order) -> str:
        lines, units = getattr(order, "line_total", None) or 0, getattr(order, "unit_total", None) or 0
        return str(lines) if lines == units else f"{lines} ({units} units)"

    @admin.display(description="Created", ordering="id")
    def created(self, order: Order) -> str:
        return shop_moment(order.shop, order.created_at)

    @admin.display(description="Confirmed")
    def confirmed(self, order: Order) -> str:
        return shop_moment(order.shop, order.confirmed_at)

    @admin.display(description="Closed")
    def closed(self, order: Order) -> str:
        return shop_moment(order.shop, order.closed_at)

    @admin.display(description="Flags")
    def flags(self, order: Order) -> str:
        found = [badge("review", "bad")] if order.status == Order.Status.REVIEW else []
        if order.amount_differs:
            found.append(badge("amount differs", "warn"))
        if order.disputed:
            found.append(badge("disputed", "bad"))
        if vars(order).get("has_refund_back"):
            found.append(badge("a refund came back", "bad"))
        return format_html("{} " * len(found), *found) if found else EMPTY

    @admin.display(description="Billing address")
    def billing(self, order: Order) -> str:
        return address(order.billing_address)

    @admin.display(description="Shipping address")
    def shipping(self, order: Order) -> str:
        return address(order.shipping_address)


def _audited(entry: AuditEntry) -> Moment:
    who = f"{entry.actor_kind}:{entry.actor_name}{f' – {entry.reason}' if entry.reason else ''}"
    return Moment(entry.at, Step.AUDIT, link_to(entry, f"Audit: {entry.action}"), who)


def _mailed(entry: AuditEntry) -> Moment:
    to = "the customer" if entry.data.get("to") == "customer" else "staff"
    what = f"Mail to {to}{' not sent' if entry.action == GIVEN_UP else ''}"
    return Moment(entry.at, Step.MAIL, what, " – ".join(filter(None, (entry.data.get("subject", ""), entry.reason))))


def _variant(line: OrderLine) -> str:
    parts = [line.variant_key, *(f"{name}: {value}" for name, value in line.options.items())]
    if line.substituted_for:
        parts.append(f"instead of {line.substituted_for}")
    if line.rental_start and line.rental_end:
        days = "1 day" if line.rental_days == 1 else f"{line.rental_days} days"
        rates = " + ".join(f"{rate['times']} × {rate['rate']}" for rate in line.rental_rates)
        parts.append(f"{line.rental_start} to {line.rental_end} ({days}: {rates})")
    return ", ".join(parts)


def _strong(text: str) -> SafeString:
    return format_html('<span class="font-semibold">{}</span>', text)
