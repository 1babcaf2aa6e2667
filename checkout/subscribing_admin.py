"""Customers on their way into a subscription: what was asked for, and what became of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from checkout.errors import SessionUnknown, WrongState
from checkout.models import SubscribeAttempt
from checkout.subscribing.closing import close_attempt
from checkout.subscribing.resolver import resolve_attempt
from checkout.subscribing.settle import settle_subscribing
from commerce.admin.asking import NoReasonForm, asked_for
from commerce.admin.display import document, mono, pairs, panel, shop_moment
from commerce.admin.lists import KeySearch
from tenants.audit import record_audit
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

State, Outcome = SubscribeAttempt.State, SubscribeAttempt.Outcome
TONES: dict[str, Tone] = {State.OPEN: "info", State.UNKNOWN: "bad", State.CLOSING: "warn", State.SENDING: "warn"}
OUTCOMES: dict[str, Tone] = {Outcome.COMPLETED: "good", Outcome.REFUSED: "bad"}


def plan_close(attempt: SubscribeAttempt) -> str | Refused:
    if attempt.state == State.CLOSED:
        return Refused(f"It is closed already: {attempt.get_outcome_display().lower()}.")
    return "Its session is expired at Stripe. If the customer has paid by then, the subscription stays."


def close(attempt: SubscribeAttempt, mandate: Mandate) -> str:
    after = asked_for(
        attempt.shop_id, lambda shop: close_attempt(shop=shop, attempt_id=attempt.pk, reason=mandate.reason)
    )
    record_audit(
        shop_id=attempt.shop_id,
        acting=mandate.acting,
        action="subscribing.closed",
        object_type="subscribe_attempt",
        object_id=attempt.pk,
        reason=mandate.reason,
        data={"state": after.state, "outcome": after.outcome},
    )
    return after.get_outcome_display() if after.state == State.CLOSED else f"{after.get_state_display()}."


def plan_question(attempt: SubscribeAttempt) -> str | Refused:
    if attempt.state == State.CLOSED and attempt.session_id is None:
        return Refused("Closed without a session: there is nothing to ask about.")
    if attempt.session_id is None:
        return "The stored request is sent again under its key, which reaches the same session or proves there is none."
    return "Its session is read, and the subscription that came of it."


def ask(attempt: SubscribeAttempt, mandate: Mandate) -> str:
    if attempt.session_id is None:
        resolve_attempt(attempt=attempt, now=timezone.now())
    else:
        session_id = attempt.session_id
        try:
            asked_for(attempt.shop_id, lambda shop: settle_subscribing(shop=shop, session_id=session_id))
        except SessionUnknown as unknown:
            raise WrongState(str(unknown)) from unknown
    attempt.refresh_from_db(fields=["state", "outcome"])
    return attempt.get_outcome_display() if attempt.state == State.CLOSED else f"{attempt.get_state_display()}."


@admin.register(SubscribeAttempt)
class SubscribeAttemptAdmin(KeySearch[SubscribeAttempt], ReadOnlyAdmin[SubscribeAttempt]):
    shop_path = "shop"
    list_display = ("begun", "shop_name", "plan_code", "email", "quantity", "state_badge", "outcome_badge")
    list_filter = (
        ("shop", RelatedDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("outcome", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    )
    search_fields = ("email", "session_id")
    search_help_text = "An e-mail address, or cs_…"
    ordering = ("-id",)
    ordering_of_one_shop = ("-created_at", "-id")
    sortable_by = ("begun",)
    empty_text = "Nobody has asked to subscribe yet."
    reason_actions = (
        ReasonAction(
            name="close",
            label="Close the payment page",
            plan=plan_close,
            verb=close,
            permission="checkout.change_subscribeattempt",
            danger=True,
        ),
        ReasonAction(
            name="ask",
            label="Ask Stripe",
            plan=plan_question,
            verb=ask,
            permission="checkout.change_subscribeattempt",
            help="Harmless: it is what the background jobs do, now.",
            form=NoReasonForm,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[SubscribeAttempt]:
        return super().get_queryset(request).select_related("shop__settings", "version__plan")

    def key(self, term: str) -> Q:
        return Q(session_id=term) if term.startswith("cs_") else Q(email=term.lower())

    def get_fieldsets(self, request: HttpRequest, obj: SubscribeAttempt | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        row = obj
        return [
            (None, {"fields": ("begun", "shop_name", "plan", "email", "quantity", "state_badge", "outcome_badge")}),
            panel("At Stripe", lambda: pairs(at_stripe(row))),
            panel("The request", lambda: document(row.stripe_params)),
        ]

    @admin.display(description="Begun", ordering="id")
    def begun(self, row: SubscribeAttempt) -> str:
        return shop_moment(row.shop, row.created_at)

    @admin.display(description="Plan")
    def plan(self, row: SubscribeAttempt) -> str:
        return link_to(row.version.plan)

    @admin.display(description="State")
    def state_badge(self, row: SubscribeAttempt) -> str:
        return badge(row.get_state_display(), TONES.get(row.state, "plain"))

    @admin.display(description="Outcome")
    def outcome_badge(self, row: SubscribeAttempt) -> str:
        return badge(row.get_outcome_display(), OUTCOMES.get(row.outcome, "plain")) if row.outcome else EMPTY


def at_stripe(row: SubscribeAttempt) -> list[tuple[str, object]]:
    return [
        ("Session", mono(row.session_id or EMPTY)),
        ("Subscription", mono(row.subscription_id or EMPTY)),
        ("Account", mono(row.stripe_account)),
        ("Key", mono(row.stripe_key)),
        ("Sent", f"{row.sends} times, {row.refusals} refused"),
        ("Payable until", shop_moment(row.shop, row.session_expires_at)),
        ("Why it was closed", row.closing_reason or EMPTY),
        ("Request", mono(row.request_id or EMPTY)),
    ]
