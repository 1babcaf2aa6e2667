"""Differences between Stripe's books and ours: what they are, and what is done about them."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from commerce.admin import stripe_links
from commerce.admin.display import shop_amount, shop_moment
from commerce.admin.lists import KeySearch, saved_view
from commerce.gateway.failures import StripeFailure
from commerce.models import Order
from commerce.money import format_minor
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    ReasonAction,
    Refused,
    RelatedDropdownFilter,
    badge,
    list_url,
)
from tenants.display import EMPTY, Tone
from tenants.errors import WrongState
from webhooks.findings import dismiss_finding, fix_finding
from webhooks.models import Finding

Kind, State = Finding.Kind, Finding.State
TONES: dict[str, Tone] = {State.OPEN: "bad", State.FIXED: "good", State.GONE: "good"}
PLANS = {
    Kind.MONEY_WITHOUT_ORDER: "Its session is settled by what Stripe says now: the order follows, its stock is taken.",
    Kind.ORDER_WITHOUT_MONEY: "Stripe is asked once more; if it has the money by now, this is closed.",
    Kind.REFUND_UNKNOWN: "The refund is read from Stripe; order and journal follow.",
    Kind.JOURNAL_DIFFERS: "Charge, refund or dispute is read from Stripe, and what it moved is booked where it is "
    "missing. If the two differ all the same, this stays open: somebody has to find out.",
}


def plan_fix(finding: Finding) -> str | Refused:
    return PLANS[Kind(finding.kind)] if finding.state == State.OPEN else Refused("It isn't open any more.")


def plan_dismissal(finding: Finding) -> str | Refused:
    if finding.state != State.OPEN:
        return Refused("It isn't open any more.")
    return "Nothing is changed. It is taken off the list, and later looks leave it so."


def fix(finding: Finding, mandate: Mandate) -> str:
    try:
        return fix_finding(finding_id=finding.pk, scope=mandate.scope, reason=mandate.reason, acting=mandate.acting)
    except StripeFailure as failure:
        raise WrongState(f"Stripe could not be asked, nothing has changed ({failure.kind}).") from failure


def dismiss(finding: Finding, mandate: Mandate) -> str:
    dismiss_finding(finding_id=finding.pk, scope=mandate.scope, reason=mandate.reason, acting=mandate.acting)
    return "Dismissed."


@admin.register(Finding)
class FindingAdmin(KeySearch[Finding], ReadOnlyAdmin[Finding]):
    shop_path = "shop"
    list_display = ("what", "shop_name", "sum", "order_link", "state_badge", "detail", "found")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("shop", RelatedDropdownFilter),
        ("found_at", RangeDateTimeFilter),
    )
    fields = (
        "what", "state_badge", "shop_name", "sum", "order_link", "detail", "at_stripe", "account", "found", "seen",
        "closed", "closed_by",
    )  # fmt: skip
    search_fields = ("object_id",)
    search_help_text = "cs_…, ch_…, re_…, du_…"
    ordering = ("-id",)
    sortable_by = ("found",)
    actions_list = ("open_ones",)
    open_ones = saved_view("Open", "state__exact=open", name="open")
    empty_text = "Stripe's books and ours agree. They are compared every night."
    reason_actions = (
        ReasonAction(
            name="fix",
            label="Put right",
            plan=plan_fix,
            verb=fix,
            permission="webhooks.change_finding",
            help="Does what the event would have done that never arrived.",
        ),
        ReasonAction(
            name="dismiss",
            label="Dismiss",
            plan=plan_dismissal,
            verb=dismiss,
            permission="webhooks.change_finding",
            help="For what was settled in another way.",
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Finding]:
        return super().get_queryset(request).select_related("shop__settings")

    def key(self, term: str) -> Q:
        return Q(object_id=term)

    @admin.display(description="What")
    def what(self, finding: Finding) -> str:
        return format_html("{} <br>{}", finding.get_kind_display(), finding.object_id)

    @admin.display(description="At Stripe")
    def at_stripe(self, finding: Finding) -> str:
        return stripe_links.stripe_link(finding.object_id, account=finding.account, livemode=finding.livemode)

    @admin.display(description="Order")
    def order_link(self, finding: Finding) -> str:
        """By a search, so that a page of findings needs no query for it."""
        url = list_url(Order, urlencode({"q": finding.order_number})) if finding.order_number else None
        if url is None:
            return finding.order_number or EMPTY
        shown = '<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>'
        return format_html(shown, url, finding.order_number)

    @admin.display(description="Amount")
    def sum(self, finding: Finding) -> str:
        if finding.shop is None:
            return format_minor(finding.amount, finding.currency, "en")
        return shop_amount(finding.shop, finding.amount, finding.currency)

    @admin.display(description="State")
    def state_badge(self, finding: Finding) -> str:
        return badge(finding.get_state_display(), TONES.get(finding.state, "plain"))

    @admin.display(description="Found", ordering="id")
    def found(self, finding: Finding) -> str:
        return shop_moment(finding.shop, finding.found_at)

    @admin.display(description="Last seen")
    def seen(self, finding: Finding) -> str:
        return shop_moment(finding.shop, finding.seen_at)

    @admin.display(description="Closed")
    def closed(self, finding: Finding) -> str:
        return shop_moment(finding.shop, finding.closed_at)
