"""What staff do to subscriptions, and the history of it."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import uuid4

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from commerce.admin.asking import NoReasonForm, asked_for
from commerce.admin.change_page import PERMISSION
from commerce.admin.display import document, mono, pairs, panel, shop_amount, shop_moment, table
from commerce.admin.lists import NOTHING, KeySearch, as_uuid
from commerce.models import Invoice, Subscription, SubscriptionOperation
from commerce.subscriptions.access import Access, Why, access_of
from commerce.subscriptions.commands import Kind, Wish
from commerce.subscriptions.operating import OVER, operate
from commerce.subscriptions.sending import resolve_operation
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
)
from tenants.display import EMPTY, Tone

State = SubscriptionOperation.State
TONES: dict[str, Tone] = {State.DONE: "good", State.REFUSED: "bad", State.UNKNOWN: "warn", State.SENDING: "info"}
SAID: dict[Why, str] = {
    Why.PAID: "it is paid",
    Why.TRIAL: "it is on trial",
    Why.ENDING: "it is canceled, and paid until its end",
    Why.GRACE: "a payment is missing, within the days of grace",
    Why.UNPAID: "a payment is missing",
    Why.NEVER_PAID: "it was never paid",
    Why.PAUSED: "it is paused",
    Why.ENDED: "it has ended",
    Why.UNKNOWN: "Stripe's status isn't known here",
}
SHOWN = 20
"""Operations on a subscription's page, the newest first."""


# ---------------------------------------------------------------- actions on a subscription
def plan_ending(row: Subscription, *, kind: Kind) -> str | Refused:
    if row.status in OVER:
        return Refused(f"It is {row.get_status_display().lower()} already.")
    until = shop_moment(row.shop, row.current_period_end)
    if kind == Kind.CANCEL_NOW:
        return f"It ends at once. What is paid until {until} is not given back: that is a refund of its own."
    if row.cancel_at_period_end:
        return Refused("It ends with its period already.")
    return f"It stays as it is until {until}, and isn't paid for again."


def plan_resume(row: Subscription) -> str | Refused:
    if row.status in OVER:
        return Refused(f"It is {row.get_status_display().lower()}: the customer has to subscribe again.")
    if not row.cancel_at_period_end and row.cancel_at is None:
        return Refused("It isn't canceled.")
    return f"It goes on after {shop_moment(row.shop, row.current_period_end)}, and is paid for then."


def useless_buttons(row: Subscription) -> set[str]:
    """Buttons of a subscription's page that would only say why not."""
    if row.status in OVER:
        return {"change_plan", "act_cancel_at_end", "act_cancel_now", "act_resume"}
    hidden = {"act_cancel_at_end"} if row.cancel_at_period_end else set()
    return hidden if row.cancel_at_period_end or row.cancel_at is not None else {*hidden, "act_resume"}


def carry_out(row: Subscription, mandate: Mandate, *, kind: Kind) -> str:
    wish = Wish(subscription_id=row.subscription_id, kind=kind, key=f"staff:{uuid4()}", reason=mandate.reason)
    found = asked_for(row.shop_id, lambda shop: operate(shop=shop, wish=wish, acting=mandate.acting))
    after = found.subscription
    if after.cancel_at_period_end:
        return f"It ends on {shop_moment(row.shop, after.current_period_end)}."
    return f"{after.get_status_display()}."


ENDINGS: tuple[ReasonAction[Subscription], ...] = (
    ReasonAction(
        name="cancel_at_end",
        label="Cancel with its period",
        plan=partial(plan_ending, kind=Kind.CANCEL_AT_END),
        verb=partial(carry_out, kind=Kind.CANCEL_AT_END),
        permission=PERMISSION,
    ),
    ReasonAction(
        name="cancel_now",
        label="Cancel at once",
        plan=partial(plan_ending, kind=Kind.CANCEL_NOW),
        verb=partial(carry_out, kind=Kind.CANCEL_NOW),
        permission=PERMISSION,
        danger=True,
    ),
    ReasonAction(
        name="resume",
        label="Resume",
        plan=plan_resume,
        verb=partial(carry_out, kind=Kind.RESUME),
        permission=PERMISSION,
        help="Takes a cancellation back before it comes into force.",
    ),
)


# ---------------------------------------------------------------- panels of a subscription's page
def access_now(row: Subscription) -> Access:
    """The one answer, with the shop's days of grace and the oldest invoice that is still open."""
    open_ones = Invoice.objects.for_shop(row.shop_id).filter(
        subscription_id=row.subscription_id, status=Invoice.Status.OPEN
    )
    since = open_ones.order_by("created_at").values_list("created_at", flat=True).first()
    grace = row.shop.settings.subscription_grace_days
    return access_of(row, now=timezone.now(), grace_days=grace, failing_since=since)


def access_badge(row: Subscription) -> SafeString:
    found = access_now(row)
    until = f", until {shop_moment(row.shop, found.until)}" if found.until else ""
    return badge(f"{'Yes' if found.allowed else 'No'}: {SAID[found.why]}{until}", "good" if found.allowed else "bad")


def operations_of(row: Subscription) -> str:
    rows = SubscriptionOperation.objects.for_shop(row.shop_id).filter(subscription=row).order_by("-id")
    return table(
        ("When", "What", "By", "Why", "Cost", "Outcome"),
        [
            (
                link_to(operation, shop_moment(row.shop, operation.created_at)),
                told(operation),
                operation.acting,
                operation.reason or EMPTY,
                shop_amount(row.shop, operation.told.get("prorationAmount"), row.currency),
                badge(operation.get_state_display(), TONES.get(operation.state, "plain")),
            )
            for operation in rows[:SHOWN]
        ],
        right={4},
        empty="None from here.",
    )


def told(operation: SubscriptionOperation) -> str:
    if operation.kind != Kind.CHANGE:
        return operation.get_kind_display()
    return f"To {operation.told.get('quantity')} × {operation.told.get('planId')}"


# ---------------------------------------------------------------- the history as a list
def ask(operation: SubscriptionOperation, mandate: Mandate) -> str:
    row = operation.subscription
    found = asked_for(
        row.shop_id, lambda shop: resolve_operation(shop=shop, row=row, operation=operation, now=timezone.now())
    )
    return f"{found.get_state_display()}."


def plan_question(operation: SubscriptionOperation) -> str | Refused:
    if operation.state not in SubscriptionOperation.UNDER_WAY:
        return Refused(f"{operation.get_state_display()}: there is nothing to ask.")
    return "The subscription is read; where it wasn't carried out, the stored request is sent again under its key."


@admin.register(SubscriptionOperation)
class SubscriptionOperationAdmin(KeySearch[SubscriptionOperation], ReadOnlyAdmin[SubscriptionOperation]):
    shop_path = "shop"
    list_display = ("asked", "shop_name", "of", "what", "acting", "state_badge")
    list_filter = (
        ("shop", RelatedDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    )
    search_fields = ("subscription__subscription_id", "id")
    search_help_text = "sub_…, or an operation's id"
    ordering = ("-id",)
    ordering_of_one_shop = ("shop_id", "-id")
    sortable_by = ("asked",)
    empty_text = "Nothing was done to a subscription from here."
    reason_actions = (
        ReasonAction(
            name="ask",
            label="Ask Stripe what became of it",
            plan=plan_question,
            verb=ask,
            permission=PERMISSION,
            help="It is what the background jobs do, now.",
            form=NoReasonForm,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[SubscriptionOperation]:
        return super().get_queryset(request).select_related("shop__settings", "subscription")

    def key(self, term: str) -> Q:
        if term.startswith("sub_"):
            return Q(subscription__subscription_id=term)
        return NOTHING if (pk := as_uuid(term)) is None else Q(pk=pk)

    def get_fieldsets(self, request: HttpRequest, obj: SubscriptionOperation | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        row = obj
        return [
            (None, {"fields": ("asked", "shop_name", "of", "what", "acting", "reason", "state_badge", "error")}),
            panel("What it came to", lambda: document(row.told)),
            panel("The request", lambda: document(row.stripe_params)),
            panel("Sending", lambda: pairs(sending_of(row))),
        ]

    @admin.display(description="Asked for", ordering="id")
    def asked(self, row: SubscriptionOperation) -> str:
        return shop_moment(row.shop, row.created_at)

    @admin.display(description="Subscription")
    def of(self, row: SubscriptionOperation) -> str:
        return link_to(row.subscription)

    @admin.display(description="What")
    def what(self, row: SubscriptionOperation) -> str:
        return told(row)

    @admin.display(description="Outcome")
    def state_badge(self, row: SubscriptionOperation) -> str:
        return badge(row.get_state_display(), TONES.get(row.state, "plain"))


def sending_of(row: SubscriptionOperation) -> list[tuple[str, object]]:
    return [
        ("Key", mono(row.stripe_key)),
        ("Caller's key", mono(row.idempotency_key)),
        ("Sent", f"{row.sends} times, {row.refusals} refused"),
        ("Ended", shop_moment(row.shop, row.finished_at)),
        ("Request", mono(row.request_id or EMPTY)),
    ]
