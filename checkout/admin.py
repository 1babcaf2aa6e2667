"""Checkout attempts, and what the checkout adds to an order's page. Staff end a checkout as a supersede does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from checkout import cart_admin as cart_admin  # registers the cart's page
from checkout import shortage_admin as shortage_admin  # registers the desk for orders without stock
from checkout import subscribing_admin as subscribing_admin  # registers who is on the way into a subscription
from checkout.closing import close_checkout
from checkout.errors import SessionUnknown, WrongState
from checkout.models import CheckoutAttempt
from checkout.resolver import resolve_attempt
from checkout.settle import SessionVerdict, Settlement, settle_session
from commerce.admin import stripe_links
from commerce.admin.asking import NoReasonForm
from commerce.admin.display import (
    User,
    document,
    may_view,
    mono,
    pairs,
    panel,
    reader_link,
    shop_amount,
    shop_moment,
    table,
)
from commerce.admin.lists import KeySearch, as_uuid, saved_view
from commerce.admin.orders import OrderAdmin
from commerce.admin.timeline import Moment, Step
from commerce.gateway.failures import StripeFailure
from commerce.models import Order
from inventory.models import Hold
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    ReasonAction,
    Refused,
    RelatedDropdownFilter,
    badge,
    link_to,
    time_left,
)
from tenants.context import ShopContext, bind_shop, load_shop
from tenants.display import Tone
from tenants.models import StripeObject

State, Outcome = CheckoutAttempt.State, CheckoutAttempt.Outcome
T = TypeVar("T")

STATE_TONES: dict[str, Tone] = {State.OPEN: "info", State.UNKNOWN: "bad", State.CLOSING: "warn", State.SENDING: "warn"}
OUTCOME_TONES: dict[str, Tone] = {Outcome.COMPLETED: "good", Outcome.REFUSED: "bad"}
FOUND = {
    SessionVerdict.OPEN: "Stripe says it is open: the customer may still pay",
    SessionVerdict.PAID: "Stripe says it is paid",
    SessionVerdict.PROCESSING: "Stripe says the payment is under way",
    SessionVerdict.PAYMENT_FAILED: "Stripe says the payment failed",
    SessionVerdict.EXPIRED: "Stripe says it expired",
}
STOCK_AFTER = {
    Hold.Status.COMMITTED: " Its stock is sold.",
    Hold.Status.RELEASED: " Its stock is free again.",
    Hold.Status.EXPIRED: " Its stock is free again.",
}


# ---------------------------------------------------------------- verbs of this desk
def with_shop(shop_id: str, request_id: str, act: Callable[[ShopContext], T]) -> T:
    """Runs `act` for the shop; what Stripe's absence means is said as a refusal. Raises HoldfastError."""
    shop = load_shop(shop_id, request_id=request_id)
    try:
        with bind_shop(shop):
            return act(shop)
    except StripeFailure as failure:
        raise WrongState(f"Stripe could not be asked, nothing has changed ({failure.kind}). Try again.") from failure
    except SessionUnknown as unknown:
        raise WrongState(str(unknown)) from unknown


def ask_about_session(*, shop_id: str, session_id: str, request_id: str) -> str:
    """Settles one session and says what was found."""
    settlement: Settlement = with_shop(
        shop_id, request_id, lambda shop: settle_session(shop=shop, session_id=session_id)
    )
    return f"{FOUND[settlement.verdict]}. The order is {Order.Status(settlement.order_status).label.lower()}."


def ask_about_attempt(attempt: CheckoutAttempt, mandate: Mandate) -> str:
    """The resolver's next step for one attempt, at once; a session that is known is settled."""
    if attempt.state in {State.SENDING, State.UNKNOWN, State.CLOSING}:
        resolve_attempt(attempt=attempt, now=timezone.now())
        return _state_after(attempt)
    if attempt.session_id is not None:
        return ask_about_session(shop_id=attempt.shop_id, session_id=attempt.session_id, request_id=attempt.request_id)
    return _state_after(attempt)


def plan_question(attempt: CheckoutAttempt) -> str | Refused:
    if attempt.state == State.CLOSED and attempt.session_id is None:
        return Refused("Closed without a session: there is nothing to ask about.")
    if attempt.session_id is None:
        return "The stored request is sent again under its key, which reaches the same session or proves there is none."
    return "Its session is read, and order, hold, stock, cart and journal follow what Stripe says."


def cancel(attempt: CheckoutAttempt, mandate: Mandate) -> str:
    after = with_shop(
        attempt.shop_id,
        attempt.request_id,
        lambda shop: close_checkout(shop=shop, attempt_id=attempt.pk, reason=mandate.reason, acting=mandate.acting),
    )
    return _state_after(after)


def plan_cancel(attempt: CheckoutAttempt) -> str | Refused:
    if attempt.state == State.CLOSED:
        return Refused(f"It is closed already: {attempt.get_outcome_display().lower()}.")
    lines = list(attempt.order.lines.all())
    units = ", ".join(f"{line.quantity} × {line.variant_key}" for line in lines)
    back = f"{units} go back to stock" if attempt.hold_id else "no stock is held"
    return (
        f"The session is expired at Stripe first, then {back} and order {attempt.order.number} is canceled. "
        "If the customer has paid by then, the order is confirmed instead."
    )


def _state_after(attempt: CheckoutAttempt) -> str:
    """What became of an attempt, read afresh."""
    attempt = CheckoutAttempt.objects.for_shop(attempt.shop_id).select_related("order", "hold").get(pk=attempt.pk)
    order = f"Order {attempt.order.number}: {attempt.order.get_status_display().lower()}."
    if attempt.state == State.CLOSED:
        won = "The customer had completed the session first. " if attempt.outcome == Outcome.COMPLETED else ""
        stock = STOCK_AFTER.get(Hold.Status(attempt.hold.status), "") if attempt.hold else ""
        return f"{won}{attempt.get_outcome_display()}. {order}{stock}"
    if attempt.state == State.OPEN:
        return f"Its session is known now, and open. {order}"
    return (
        f"{attempt.get_state_display()}: Stripe doesn't say, or another process is at it. It is tried again by itself."
    )


# ---------------------------------------------------------------- attempts
@admin.register(CheckoutAttempt)
class CheckoutAttemptAdmin(KeySearch[CheckoutAttempt], ReadOnlyAdmin[CheckoutAttempt]):
    shop_path = "shop"
    list_display = (
        "short_id", "shop_name", "state_badge", "outcome_badge", "order_link", "total", "age", "tries",
        "closing_reason",
    )  # fmt: skip
    list_filter = (
        ("shop", RelatedDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("outcome", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    )
    search_fields = ("id", "session_id", "client_key")
    search_help_text = "cs_…, attempt, order or hold id, client's key"
    # Ids begin with the time: the newest first, by the primary key's index, over all shops.
    ordering = ("-id",)
    ordering_of_one_shop = ("-created_at", "-id")
    sortable_by = ("short_id", "age")
    actions_list = ("unresolved",)
    unresolved = saved_view("In doubt", "state__exact=unknown", name="unknown")
    empty_text = "Nobody has checked out yet."
    reason_actions = (
        ReasonAction(
            name="cancel",
            label="Cancel checkout",
            plan=plan_cancel,
            verb=cancel,
            permission="checkout.change_checkoutattempt",
            help="Ends checkouts before their time, so that their stock is free for others.",
            danger=True,
        ),
        ReasonAction(
            name="ask",
            label="Ask Stripe",
            plan=plan_question,
            verb=ask_about_attempt,
            permission="checkout.change_checkoutattempt",
            help="Harmless: it is what the background jobs do, now.",
            form=NoReasonForm,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[CheckoutAttempt]:
        return super().get_queryset(request).select_related("shop__settings", "order", "hold").defer("stripe_params")

    def key(self, term: str) -> Q:
        if term.startswith("cs_"):
            return Q(session_id=term)
        if (known := as_uuid(term)) is not None:
            # The client's own key may well be a UUID.
            return Q(pk=known) | Q(order_id=known) | Q(hold_id=known) | Q(client_key=term)
        return Q(client_key=term)

    def get_fieldsets(self, request: HttpRequest, obj: CheckoutAttempt | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        attempt = obj
        return [
            (None, {"fields": ("state_badge", "outcome_badge", "shop_name", "created", "closed", "closing_reason")}),
            panel("Behind it", lambda: pairs(self.behind(attempt, request.user))),
            ("Sending", {"fields": ("tries", "leased", "checked", "expires", "url_answered")}),
            panel("Prices that differed from those seen", lambda: drift(attempt)),
            panel("Request to Stripe, as stored and sent", lambda: document(attempt.stripe_params)),
            *(
                [panel("Coupon at Stripe, made before the session", lambda: document(attempt.coupon_params))]
                if attempt.coupon_params
                else []
            ),
        ]

    def behind(self, attempt: CheckoutAttempt, reader: User) -> list[tuple[str, object]]:
        live = stripe_links.is_live(attempt.session_id)
        session = stripe_links.stripe_link(attempt.session_id, account=attempt.stripe_account, livemode=live)
        return [
            ("Order", reader_link(reader, attempt.order)),
            ("Hold", reader_link(reader, attempt.hold) if attempt.hold_id else "None: stock is taken at payment"),
            ("Cart", reader_link(reader, attempt.cart)),
            ("Stripe session", session),
            ("Stripe account", mono(attempt.stripe_account)),
            ("Stripe idempotency key", mono(attempt.stripe_key)),
            ("Client's idempotency key", mono(attempt.client_key)),
            ("Request id", mono(attempt.request_id)),
            ("Attempt id", mono(attempt.pk)),
        ]

    @admin.display(description="Attempt", ordering="id")
    def short_id(self, attempt: CheckoutAttempt) -> str:
        """Ids of one minute begin alike: their ends tell them apart."""
        return f"…{str(attempt.pk)[-12:]}"

    @admin.display(description="State")
    def state_badge(self, attempt: CheckoutAttempt) -> str:
        return badge(attempt.get_state_display(), STATE_TONES.get(attempt.state, "plain"))

    @admin.display(description="Outcome")
    def outcome_badge(self, attempt: CheckoutAttempt) -> str:
        return badge(attempt.get_outcome_display(), OUTCOME_TONES.get(attempt.outcome, "plain"))

    @admin.display(description="Total")
    def total(self, attempt: CheckoutAttempt) -> str:
        return shop_amount(attempt.shop, attempt.order.total_amount, attempt.order.currency)

    @admin.display(description="Age", ordering="id")
    def age(self, attempt: CheckoutAttempt) -> str:
        return time_left(attempt.created_at)

    @admin.display(description="Sends")
    def tries(self, attempt: CheckoutAttempt) -> str:
        return f"{attempt.sends}, of them {attempt.refusals} refused" if attempt.refusals else str(attempt.sends)

    @admin.display(description="Created")
    def created(self, attempt: CheckoutAttempt) -> str:
        return shop_moment(attempt.shop, attempt.created_at)

    @admin.display(description="In work until")
    def leased(self, attempt: CheckoutAttempt) -> str:
        return shop_moment(attempt.shop, attempt.lease_until)

    @admin.display(description="Stripe last asked")
    def checked(self, attempt: CheckoutAttempt) -> str:
        return shop_moment(attempt.shop, attempt.checked_at)

    @admin.display(description="Session expires")
    def expires(self, attempt: CheckoutAttempt) -> str:
        return shop_moment(attempt.shop, attempt.session_expires_at)

    @admin.display(description="Closed")
    def closed(self, attempt: CheckoutAttempt) -> str:
        return shop_moment(attempt.shop, attempt.closed_at)


def drift(attempt: CheckoutAttempt) -> str:
    """The changes as answered to the customer."""
    if not attempt.changes:
        return "None."
    currency = attempt.order.currency
    rows = [
        (
            change.get("variantKey") or change.get("sku"),
            shop_amount(attempt.shop, change.get("was"), currency),
            shop_amount(attempt.shop, change.get("now"), currency),
        )
        for change in attempt.changes
    ]
    return table(["Variant", "Seen", "Charged"], rows, right={1, 2})


# ---------------------------------------------------------------- an order's page
def ask_about_order(order: Order, mandate: Mandate) -> str:
    if order.session_id is None:
        raise WrongState("No session has been opened for it.")
    return ask_about_session(shop_id=order.shop_id, session_id=order.session_id, request_id=order.request_id)


def plan_order_question(order: Order) -> str | Refused:
    if order.session_id is None:
        return Refused("No session has been opened for it. Its checkout attempt tells why.")
    return "Its session is read, and order, hold, stock, cart and journal follow what Stripe says."


class CheckoutOrderAdmin(OrderAdmin):
    """Adds the attempt behind an order, its session and the question to Stripe. Registered further right."""

    reason_actions = (
        *OrderAdmin.reason_actions,
        ReasonAction(
            name="ask",
            label="Ask Stripe again",
            plan=plan_order_question,
            verb=ask_about_order,
            permission="commerce.change_order",
            help="Harmless: it is what the background jobs do, now.",
            form=NoReasonForm,
        ),
        shortage_admin.MAIL_AGAIN,
    )

    buttons_by = (*OrderAdmin.buttons_by, "shortage")

    def useless_buttons(self, row: Mapping[str, Any]) -> set[str]:
        hidden = super().useless_buttons(row)
        return hidden if row.get("shortage") else hidden | {"act_mail_again"}

    def behind(self, order: Order, reader: User) -> list[tuple[str, object]]:
        case = getattr(order, "shortage", None)
        short: list[tuple[str, object]] = [("Paid without stock", reader_link(reader, case))] if case else []
        attempt = ("Checkout attempt", reader_link(reader, attempt_of(order)))
        return [*short, attempt, *super().behind(order, reader)]

    def audited_ids(self, order: Order) -> list[str]:
        attempt = attempt_of(order)
        return [*super().audited_ids(order), *([str(attempt.pk)] if attempt else [])]

    def story(self, order: Order, reader: User) -> list[Moment]:
        attempt = attempt_of(order)
        if attempt is None or not may_view(reader, attempt):
            return super().story(order, reader)
        details = f"Request {attempt.request_id}"
        if attempt.changes:
            details += f", {len(attempt.changes)} prices differed from those seen"
        moments = [Moment(attempt.created_at, Step.ATTEMPT, link_to(attempt, "Checkout started"), details)]
        # No column keeps when the session came to be known; the map of Stripe objects does.
        learnt = StripeObject.objects.filter(
            shop_id=attempt.shop_id,
            livemode=stripe_links.is_live(attempt.session_id),
            account=attempt.stripe_account,
            object_id=attempt.session_id,
        ).first()
        if learnt is not None:
            life = max(timedelta(0), attempt.session_expires_at - learnt.created_at)
            said = f"{attempt.session_id}, payable for {int(life.total_seconds() // 60)} min"
            moments.append(Moment(learnt.created_at, Step.SESSION, "Session opened at Stripe", said))
        if attempt.closed_at is not None and attempt.outcome != Outcome.COMPLETED:
            moments.append(
                Moment(attempt.closed_at, Step.SETTLED, attempt.get_outcome_display(), attempt.closing_reason)
            )
        return [*moments, *super().story(order, reader)]


def attempt_of(order: Order) -> CheckoutAttempt | None:
    """The order's attempt; None for orders that another source brought."""
    return getattr(order, "attempt", None)
