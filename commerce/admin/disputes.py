"""Disputes: which order, how much, until when to answer. The answer itself is given in Stripe's dashboard."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from commerce.admin import stripe_links
from commerce.admin.asking import NoReasonForm, asked_for
from commerce.admin.display import mono, pairs, panel, shop_amount, shop_moment
from commerce.admin.lists import NOTHING, KeySearch, LastingFilter, as_uuid, saved_view
from commerce.disputes.mirror import mirror_dispute
from commerce.gateway.client import platform_scope
from commerce.models import Dispute
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    ReasonAction,
    Refused,
    RelatedDropdownFilter,
    badge,
    time_left,
)
from tenants.display import EMPTY, Tone

Status = Dispute.Status
TONES: dict[str, Tone] = {
    Status.NEEDS_RESPONSE: "bad",
    Status.APPEAL_NEEDS_RESPONSE: "bad",
    Status.WARNING_NEEDS_RESPONSE: "warn",
    Status.UNDER_REVIEW: "info",
    Status.APPEAL_UNDER_REVIEW: "info",
    Status.WARNING_UNDER_REVIEW: "info",
    Status.WON: "good",
    Status.PREVENTED: "good",
    Status.LOST: "bad",
}


class OpenFilter(LastingFilter):
    title = "open"
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Open"), ("answer", "To answer")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Dispute]) -> QuerySet[Dispute]:
        if self.value() not in {"yes", "answer"}:
            return queryset
        # Those to answer are said as a part of the open ones, which have an index.
        open_ones = queryset.exclude(status__in=Dispute.CLOSED)
        return open_ones.filter(status__in=Dispute.TO_ANSWER) if self.value() == "answer" else open_ones


def plan_question(dispute: Dispute) -> str | Refused:
    return "It is read from Stripe, and its order's flag and the journal follow what Stripe says."


def ask(dispute: Dispute, mandate: Mandate) -> str:
    found = asked_for(
        dispute.shop_id,
        lambda shop: mirror_dispute(shop=shop, account=dispute.stripe_account, dispute_id=dispute.dispute_id),
    )
    return f"{found.get_status_display()}."


@admin.register(Dispute)
class DisputeAdmin(KeySearch[Dispute], ReadOnlyAdmin[Dispute]):
    shop_path = "shop"
    list_display = (
        "dispute_id",
        "shop_name",
        "order_link",
        "state",
        "disputed_amount",
        "reason",
        "answer_by",
        "opened",
    )
    list_filter = (
        OpenFilter,
        ("shop", RelatedDropdownFilter),
        ("status", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    )
    search_fields = ("dispute_id", "payment_intent_id")
    search_help_text = "du_…, pi_…, order id"
    ordering = ("-id",)
    ordering_of_one_shop = ("-created_at", "-id")
    sortable_by = ("opened",)
    actions_list = ("open_ones",)
    open_ones = saved_view("Open", "open=yes", name="open")
    empty_text = "No payment has been disputed yet."
    reason_actions = (
        ReasonAction(
            name="ask",
            label="Ask Stripe again",
            plan=plan_question,
            verb=ask,
            permission="view",
            help="Harmless: it is what every event about it does.",
            form=NoReasonForm,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Dispute]:
        return super().get_queryset(request).select_related("shop__settings", "order")

    def key(self, term: str) -> Q:
        if term.startswith("pi_"):
            return Q(payment_intent_id=term)
        if term.startswith(("du_", "dp_")):
            return Q(dispute_id=term)
        known = as_uuid(term)
        return Q(order_id=known) if known else NOTHING

    def get_fieldsets(self, request: HttpRequest, obj: Dispute | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        dispute = obj
        return [
            (
                None,
                {"fields": ("state", "shop_name", "order_link", "disputed_amount", "reason", "answer_by", "opened")},
            ),
            panel("At Stripe", lambda: pairs(self.at_stripe(dispute))),
        ]

    def at_stripe(self, dispute: Dispute) -> list[tuple[str, object]]:
        live = platform_scope().livemode
        kept_in = dispute.balance_currency or dispute.currency

        def link(object_id: str) -> str:
            return stripe_links.stripe_link(object_id, account=dispute.stripe_account, livemode=live)

        return [
            ("Dispute", mono(dispute.dispute_id)),
            ("Payment", link(dispute.payment_intent_id)),
            ("Charge", link(dispute.charge_id)),
            ("Account", mono(dispute.stripe_account)),
            ("Withdrawn", shop_amount(dispute.shop, dispute.withdrawn_amount, kept_in)),
            ("Stripe's fees", shop_amount(dispute.shop, dispute.fee_amount, kept_in)),
            ("Still refundable", "Yes" if dispute.refundable else "No: a refund would be paid twice"),
            ("Read", shop_moment(dispute.shop, dispute.read_at)),
        ]

    @admin.display(description="Status")
    def state(self, dispute: Dispute) -> str:
        return badge(dispute.get_status_display(), TONES.get(dispute.status, "plain"))

    @admin.display(description="Amount")
    def disputed_amount(self, dispute: Dispute) -> str:
        return shop_amount(dispute.shop, dispute.amount, dispute.currency)

    @admin.display(description="Answer by")
    def answer_by(self, dispute: Dispute) -> str:
        return time_left(dispute.evidence_due_by) if dispute.is_open else EMPTY

    @admin.display(description="Opened", ordering="id")
    def opened(self, dispute: Dispute) -> str:
        return shop_moment(dispute.shop, dispute.created_at)
