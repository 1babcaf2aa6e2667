"""Returns and refunds: what was given back, and the desk for what didn't arrive."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest
from django.utils import timezone

from commerce.admin import stripe_links
from commerce.admin.asking import NoReasonForm, asked_for
from commerce.admin.display import mono, pairs, panel, shop_amount, shop_moment
from commerce.admin.lists import NOTHING, KeySearch, LastingFilter, as_uuid, saved_view
from commerce.gateway.client import platform_scope
from commerce.models import Order, Refund, Return, ReturnLine
from commerce.returns.refunding import mark_handled, refund_again
from commerce.returns.restocking import restock_again
from commerce.returns.sending import resolve_refund
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    ReasonAction,
    Refused,
    RelatedDropdownFilter,
    badge,
    link_to,
)
from tenants.display import EMPTY, Tone

Status = Refund.Status
TONES: dict[str, Tone] = {
    Status.SUCCEEDED: "good",
    Status.PENDING: "info",
    Status.REQUIRES_ACTION: "warn",
    Status.UNKNOWN: "warn",
    Status.FAILED: "bad",
    Status.CANCELED: "bad",
}
RETURN_TONES: dict[str, Tone] = {Return.Status.ACCEPTED: "good", Return.Status.REFUSED: "bad"}
RESTOCK_TONES: dict[str, Tone] = {Return.Restock.DONE: "good", Return.Restock.FAILED: "bad", Return.Restock.DUE: "info"}
# Reader of the index refund_on_desk, whose condition this repeats.
ON_DESK = Q(handled_at__isnull=True) & ~Q(status__in=[Status.SUCCEEDED, Status.SENDING])


class StuckFilter(LastingFilter):
    title = "desk"
    parameter_name = "desk"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("stuck", "Not arrived")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Refund]) -> QuerySet[Refund]:
        return queryset.filter(ON_DESK) if self.value() == "stuck" else queryset


def plan_question(refund: Refund) -> str | Refused:
    if refund.refund_id is None and refund.status not in Refund.ASKED:
        return Refused("Stripe never made it: there is nothing to ask about.")
    return "It is read from Stripe; the order and the journal follow what Stripe says. Nothing is sent twice."


def ask(refund: Refund, mandate: Mandate) -> str:
    found = asked_for(refund.shop_id, lambda shop: resolve_refund(shop=shop, row=refund, now=timezone.now()))
    return f"{found.get_status_display()}."


def plan_again(refund: Refund) -> str | Refused:
    if refund.is_live:
        return Refused(f"It is {refund.get_status_display().lower()}.")
    if refund.handled_at is not None:
        return Refused("Somebody has dealt with it already.")
    amount = shop_amount(refund.shop, refund.amount, refund.currency)
    return f"{amount} go back to the customer by a new refund, in place of this one."


def again(refund: Refund, mandate: Mandate) -> str:
    outcome = asked_for(
        refund.shop_id,
        lambda shop: refund_again(shop=shop, refund_id=refund.pk, reason=mandate.reason, acting=mandate.acting),
    )
    return f"Sent again: {outcome.refunds[-1].status}."


def plan_handled(refund: Refund) -> str | Refused:
    if refund.is_live or refund.handled_at is not None:
        return Refused("There is nothing to deal with.")
    return "It leaves the desk. No money moves: say how it was settled."


def handled(refund: Refund, mandate: Mandate) -> str:
    mark_handled(shop_id=refund.shop_id, refund_id=refund.pk, reason=mandate.reason, acting=mandate.acting)
    return "Off the desk."


def plan_restock(made: Return) -> str | Refused:
    if made.restock != Return.Restock.FAILED:
        return Refused("There is nothing that could not be restocked.")
    return "Its units are put back on the shelf; the stock rows have to exist by now."


def restock(made: Return, mandate: Mandate) -> str:
    restock_again(shop_id=made.shop_id, return_id=made.pk, reason=mandate.reason, acting=mandate.acting)
    return "Restocked."


@admin.register(Refund)
class RefundAdmin(KeySearch[Refund], ReadOnlyAdmin[Refund]):
    shop_path = "shop"
    list_display = ("made", "shop_name", "order_link", "state", "refunded", "why", "return_link")
    list_filter = (
        StuckFilter,
        ("shop", RelatedDropdownFilter),
        ("status", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    )
    search_fields = ("refund_id", "id")
    search_help_text = "re_…, refund or order id, order number"
    # Ids begin with the time.
    ordering = ("-id",)
    sortable_by = ("made",)
    actions_list = ("stuck",)
    stuck = saved_view("Not arrived", "desk=stuck", name="stuck")
    empty_text = "Nothing has been refunded yet."
    reason_actions = (
        ReasonAction(
            name="ask",
            label="Ask Stripe",
            plan=plan_question,
            verb=ask,
            permission="view",
            help="Harmless: it is what the background job does, now.",
            form=NoReasonForm,
        ),
        ReasonAction(
            name="again",
            label="Send again",
            plan=plan_again,
            verb=again,
            permission="commerce.refund_order",
            danger=True,
        ),
        ReasonAction(
            name="handled",
            label="Settled in another way",
            plan=plan_handled,
            verb=handled,
            permission="commerce.refund_order",
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Refund]:
        rows = super().get_queryset(request).select_related("shop__settings", "order", "returned__order")
        return rows.defer("stripe_params")

    def key(self, term: str) -> Q:
        if term.startswith(("re_", "pyr_")):
            return Q(refund_id=term)
        if (known := as_uuid(term)) is not None:
            return Q(pk=known) | Q(order_id=known)
        return order_key(term)

    def get_fieldsets(self, request: HttpRequest, obj: Refund | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        refund = obj
        return [
            (None, {"fields": ("state", "shop_name", "order_link", "return_link", "refunded", "why", "made")}),
            panel("Parts and Stripe", lambda: pairs(self.behind(refund))),
        ]

    def behind(self, refund: Refund) -> list[tuple[str, object]]:
        goods = refund.amount - refund.deposit_amount

        def amount(minor: int) -> str:
            return shop_amount(refund.shop, minor, refund.currency)

        live = platform_scope().livemode
        return [
            ("For goods", f"{amount(goods)}, of which tax {amount(refund.tax_amount)}"),
            ("Of the deposit", amount(refund.deposit_amount)),
            ("At Stripe", stripe_links.stripe_link(refund.refund_id, account=refund.stripe_account, livemode=live)),
            ("Account", mono(refund.stripe_account)),
            ("Key", mono(refund.stripe_key)),
            ("Sent", f"{refund.sends} times, refused {refund.refusals} times"),
            ("Last asked", shop_moment(refund.shop, refund.checked_at)),
            ("Dealt with", shop_moment(refund.shop, refund.handled_at)),
        ]

    @admin.display(description="Made", ordering="id")
    def made(self, refund: Refund) -> str:
        return shop_moment(refund.shop, refund.created_at)

    @admin.display(description="Return")
    def return_link(self, refund: Refund) -> str:
        return link_to(refund.returned, "Return") if refund.returned else "Made at Stripe"

    @admin.display(description="Status")
    def state(self, refund: Refund) -> str:
        return badge(refund.get_status_display(), TONES.get(refund.status, "plain"))

    @admin.display(description="Amount")
    def refunded(self, refund: Refund) -> str:
        return shop_amount(refund.shop, refund.amount, refund.currency)

    @admin.display(description="Why")
    def why(self, refund: Refund) -> str:
        return refund.failure_reason or refund.pending_reason or EMPTY


class ReturnLineInline(ReadOnlyInline[ReturnLine, Return]):
    model = ReturnLine
    fields = ("article", "quantity", "restock", "worth")
    readonly_fields = fields
    hide_title = True
    verbose_name_plural = "Articles"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReturnLine]:
        return super().get_queryset(request).select_related("order_line", "returned__order", "returned__shop__settings")

    @admin.display(description="Article")
    def article(self, line: ReturnLine) -> str:
        return f"{line.order_line.title} ({line.order_line.variant_key})"

    @admin.display(description="Worth")
    def worth(self, line: ReturnLine) -> str:
        return shop_amount(line.returned.shop, line.amount, line.returned.order.currency)


class RefundInline(ReadOnlyInline[Refund, Return]):
    model = Refund
    fk_name = "returned"
    fields = ("refund_link", "state", "refunded", "why")
    readonly_fields = fields
    hide_title = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Refund]:
        return super().get_queryset(request).select_related("shop__settings", "order").defer("stripe_params")

    @admin.display(description="Refund")
    def refund_link(self, refund: Refund) -> str:
        return link_to(refund, refund.refund_id or "Not made yet")

    @admin.display(description="Status")
    def state(self, refund: Refund) -> str:
        return badge(refund.get_status_display(), TONES.get(refund.status, "plain"))

    @admin.display(description="Amount")
    def refunded(self, refund: Refund) -> str:
        return shop_amount(refund.shop, refund.amount, refund.currency)

    @admin.display(description="Why")
    def why(self, refund: Refund) -> str:
        return refund.failure_reason or refund.pending_reason or EMPTY


@admin.register(Return)
class ReturnAdmin(KeySearch[Return], ReadOnlyAdmin[Return]):
    shop_path = "shop"
    list_display = ("made", "shop_name", "order_link", "state", "stock", "total", "reason", "acting")
    list_filter = (
        ("shop", RelatedDropdownFilter),
        ("status", ChoicesDropdownFilter),
        ("restock", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    )
    search_fields = ("id",)
    search_help_text = "Order number, order or return id"
    ordering = ("-id",)
    sortable_by = ("made",)
    fields = (
        "order_link",
        "shop_name",
        "state",
        "stock",
        "total",
        "reason",
        "acting",
        "made",
        "idempotency_key",
        "request_id",
    )
    inlines = (ReturnLineInline, RefundInline)
    empty_text = "Nothing has been returned yet. Money is given back from an order's page, or by /api/return."
    reason_actions = (
        ReasonAction(
            name="restock", label="Restock again", plan=plan_restock, verb=restock, permission="commerce.refund_order"
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Return]:
        refunds = Refund.objects.filter(returned_id=OuterRef("pk")).order_by().values("returned_id")
        rows = super().get_queryset(request).select_related("shop__settings", "order")
        return rows.annotate(refund_total=Subquery(refunds.annotate(found=Sum("amount")).values("found")))

    def key(self, term: str) -> Q:
        if (known := as_uuid(term)) is not None:
            return Q(pk=known) | Q(order_id=known)
        return order_key(term)

    @admin.display(description="Made", ordering="id")
    def made(self, row: Return) -> str:
        return shop_moment(row.shop, row.created_at)

    @admin.display(description="Status")
    def state(self, row: Return) -> str:
        return badge(row.get_status_display(), RETURN_TONES.get(row.status, "plain"))

    @admin.display(description="Stock")
    def stock(self, row: Return) -> str:
        return badge(row.get_restock_display(), RESTOCK_TONES.get(row.restock, "plain")) if row.restock else EMPTY

    @admin.display(description="Amount")
    def total(self, row: Return) -> str:
        return shop_amount(row.shop, getattr(row, "refund_total", None), row.order.currency)


def order_key(term: str) -> Q:
    """Rows of the order with this number."""
    number = term.removeprefix("#")
    if number.isascii() and number.isdecimal():
        return Q(order_id__in=Order.objects.filter(number=number).values("pk"))
    return NOTHING
