"""Subscriptions and their invoices as Stripe has them. Rows follow Stripe; what staff do goes through its verbs."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from commerce.admin import stripe_links
from commerce.admin.asking import NoReasonForm, asked_for
from commerce.admin.change_page import PERMISSION, change_page
from commerce.admin.display import mono, pairs, panel, shop_amount, shop_moment, table
from commerce.admin.lists import KeySearch, LastingFilter, as_uuid, saved_view
from commerce.admin.subscription_actions import ENDINGS, access_badge, operations_of, useless_buttons
from commerce.gateway.client import platform_scope
from commerce.models import Invoice, JournalEntry, Subscription, SubscriptionNote
from commerce.subscriptions.mirror import mirror_invoice, mirror_subscription
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    ReasonAction,
    RelatedDropdownFilter,
    badge,
    link_to,
)
from tenants.display import EMPTY, Tone

TONES: dict[str, Tone] = {
    Subscription.Status.ACTIVE: "good",
    Subscription.Status.TRIALING: "info",
    Subscription.Status.PAST_DUE: "bad",
    Subscription.Status.UNPAID: "bad",
    Subscription.Status.INCOMPLETE: "warn",
    Subscription.Status.PAUSED: "warn",
    Invoice.Status.PAID: "good",
    Invoice.Status.OPEN: "warn",
    Invoice.Status.UNCOLLECTIBLE: "bad",
}
MOST_INVOICES = 50


def ask_subscription(row: Subscription, mandate: Mandate) -> str:
    found = asked_for(
        row.shop_id,
        lambda shop: mirror_subscription(shop=shop, account=row.stripe_account, subscription_id=row.subscription_id),
    )
    return f"{found.get_status_display()}."


def ask_invoice(row: Invoice, mandate: Mandate) -> str:
    found = asked_for(
        row.shop_id, lambda shop: mirror_invoice(shop=shop, account=row.stripe_account, invoice_id=row.invoice_id)
    )
    return f"{found.get_status_display()}."


@admin.register(Subscription)
class SubscriptionAdmin(KeySearch[Subscription], ReadOnlyAdmin[Subscription]):
    shop_path = "shop"
    list_display = ("subscription_id", "shop_name", "state", "plan", "email", "period_end", "ending", "made")
    list_filter = (
        ("shop", RelatedDropdownFilter),
        ("status", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    )
    search_fields = ("subscription_id", "customer_id", "email")
    search_help_text = "sub_…, cus_…, or the e-mail address that subscribed"
    ordering = ("-id",)
    ordering_of_one_shop = ("-created_at", "-id")
    sortable_by = ("made",)
    empty_text = "No subscription yet. Stripe's events bring them."
    actions_detail = ("change_plan",)
    reason_actions = (
        *ENDINGS,
        ReasonAction(
            name="ask",
            label="Ask Stripe again",
            plan=lambda row: "It is read from Stripe, and this row follows.",
            verb=ask_subscription,
            permission="view",
            help="Harmless: it is what every event about it does.",
            form=NoReasonForm,
        ),
    )

    # Not "change": the button would be led to by the name of Django's own page.
    def change_plan(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The button that leads to a page of its own: what it costs is shown there before it is done."""
        return change_page(self, request, object_id)

    # What unfold reads from an action's function.
    vars(change_plan).update(short_description="Change", url_path="change-plan", attrs={}, icon=None, variant=None)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Without the buttons that would be refused to this subscription as it is."""
        buttons = super().get_actions_detail(request, object_id)
        row = self.get_queryset(request).filter(Q(pk=as_uuid(object_id))).first()
        hidden = useless_buttons(row) if row else set()
        if not request.user.has_perm(PERMISSION):
            hidden.add("change_plan")
        gone = tuple(f"_{name}" for name in hidden)
        return [button for button in buttons if not gone or not button.action_name.endswith(gone)]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        return super().get_queryset(request).select_related("shop__settings", "version__plan")

    def key(self, term: str) -> Q:
        if "@" in term:
            return Q(email=term.lower())
        return Q(customer_id=term) if term.startswith("cus_") else Q(subscription_id=term)

    def get_fieldsets(self, request: HttpRequest, obj: Subscription | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        row = obj
        return [
            (
                None,
                {"fields": ("state", "may_use", "shop_name", "plan", "email", "period_end", "ending", "made")},
            ),
            panel("What was done from here", lambda: operations_of(row)),
            panel("Items", lambda: items_of(row)),
            panel("Invoices", lambda: invoices_of(row)),
            panel("At Stripe", lambda: pairs(self.at_stripe(row))),
        ]

    def at_stripe(self, row: Subscription) -> list[tuple[str, object]]:
        live = platform_scope().livemode
        customer = stripe_links.stripe_link(row.customer_id, account=row.stripe_account, livemode=live)
        return [
            ("Subscription", mono(row.subscription_id)),
            ("Customer", customer),
            ("Account", mono(row.stripe_account)),
            ("Trial ends", shop_moment(row.shop, row.trial_end)),
            ("Collection", "Paused" if row.collection_paused else "As usual"),
            ("Read", shop_moment(row.shop, row.read_at)),
        ]

    @admin.display(description="Status")
    def state(self, row: Subscription) -> str:
        return badge(row.get_status_display(), TONES.get(row.status, "plain"))

    @admin.display(description="Plan")
    def plan(self, row: Subscription) -> str:
        if row.version is None:
            return EMPTY
        return link_to(row.version.plan)

    @admin.display(description="May use it now")
    def may_use(self, row: Subscription) -> str:
        return access_badge(row)

    @admin.display(description="Paid period ends")
    def period_end(self, row: Subscription) -> str:
        return shop_moment(row.shop, row.current_period_end)

    @admin.display(description="Ends")
    def ending(self, row: Subscription) -> str:
        if row.ended_at is not None:
            return shop_moment(row.shop, row.ended_at)
        if row.cancel_at is not None:
            return shop_moment(row.shop, row.cancel_at)
        return "With its period" if row.cancel_at_period_end else EMPTY

    @admin.display(description="Made", ordering="id")
    def made(self, row: Subscription) -> str:
        return shop_moment(row.shop, row.created_at)


def items_of(row: Subscription) -> str:
    """What is paid for by the period, as Stripe has it: one price, or several of others' making."""
    return table(
        ("Price at Stripe", "Item", "Quantity"),
        [(mono(item.get("price", EMPTY)), mono(item.get("id", EMPTY)), item.get("quantity", 1)) for item in row.items],
        right={2},
        empty="Nothing.",
    )


def invoices_of(row: Subscription) -> str:
    found = Invoice.objects.for_shop(row.shop_id).filter(subscription_id=row.subscription_id).order_by("-created_at")
    return table(
        ("Invoice", "Status", "Due", "Paid", "Tries", "Next try", "Made"),
        [
            (
                link_to(invoice),
                invoice.get_status_display(),
                shop_amount(row.shop, invoice.amount_due, invoice.currency),
                shop_amount(row.shop, invoice.amount_paid, invoice.currency),
                invoice.attempt_count,
                shop_moment(row.shop, invoice.next_attempt_at),
                shop_moment(row.shop, invoice.created_at),
            )
            for invoice in found[:MOST_INVOICES]
        ],
        right=(2, 3, 4),
        empty="None yet.",
    )


FAILING: Final = Q(status=Invoice.Status.OPEN, attempt_count__gt=0)
"""Payments that were tried and are missing."""


class TroubleFilter(LastingFilter):
    """What dunning is about."""

    title = "trouble"
    parameter_name = "trouble"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("past_due", "Past due"), ("action", "Needs authentication")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> QuerySet[Invoice]:
        if self.value() == "past_due":
            return queryset.filter(FAILING)
        return queryset.filter(FAILING, needs_action=True) if self.value() == "action" else queryset


def notes_of(row: Invoice) -> str:
    notes = SubscriptionNote.objects.for_shop(row.shop_id).filter(invoice=row).order_by("-id")[:MOST_INVOICES]
    return table(
        ("Noted", "What", "State", "To", "Sent", "Trouble"),
        [
            (
                link_to(note, shop_moment(row.shop, note.created_at)),
                note.get_kind_display(),
                note.get_state_display(),
                note.sent_to or EMPTY,
                shop_moment(row.shop, note.sent_at),
                note.error or EMPTY,
            )
            for note in notes
        ],
        empty="Nothing.",
    )


def booked_of(row: Invoice) -> str:
    entries = JournalEntry.objects.for_shop(row.shop_id).filter(invoice=row).order_by("id")[:MOST_INVOICES]
    return table(
        ("Posted", "Kind", "Reference"),
        [
            (
                link_to(entry, shop_moment(row.shop, entry.posted_at)),
                entry.get_kind_display(),
                mono(entry.reference),
            )
            for entry in entries
        ],
        empty="Nothing yet.",
    )


@admin.register(Invoice)
class InvoiceAdmin(KeySearch[Invoice], ReadOnlyAdmin[Invoice]):
    shop_path = "shop"
    list_display = (
        "invoice_id", "shop_name", "state", "subscription_id", "due", "paid", "attempt_count", "next_attempt", "made",
    )  # fmt: skip
    list_filter = (
        ("shop", RelatedDropdownFilter),
        TroubleFilter,
        ("status", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    )
    search_fields = ("invoice_id", "subscription_id")
    search_help_text = "in_…, sub_…"
    ordering = ("-id",)
    ordering_of_one_shop = ("-created_at", "-id")
    sortable_by = ("made",)
    actions_list = ("failing",)
    failing = saved_view("Past due", "trouble=past_due", name="past-due")
    empty_text = "No invoice yet. Stripe's events bring them."
    reason_actions = (
        ReasonAction(
            name="ask",
            label="Ask Stripe again",
            plan=lambda row: "It and its subscription are read from Stripe, and both rows follow.",
            verb=ask_invoice,
            permission="view",
            help="Harmless: it is what every event about it does.",
            form=NoReasonForm,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invoice]:
        return super().get_queryset(request).select_related("shop__settings")

    def key(self, term: str) -> Q:
        return Q(subscription_id=term) if term.startswith("sub_") else Q(invoice_id=term)

    @admin.display(description="Status")
    def state(self, row: Invoice) -> str:
        shown = badge(row.get_status_display(), TONES.get(row.status, "plain"))
        return format_html("{} {}", shown, badge("customer has to confirm", "bad")) if row.needs_action else shown

    @admin.display(description="Due")
    def due(self, row: Invoice) -> str:
        return shop_amount(row.shop, row.amount_due, row.currency)

    @admin.display(description="Paid")
    def paid(self, row: Invoice) -> str:
        return shop_amount(row.shop, row.amount_paid, row.currency)

    def get_fieldsets(self, request: HttpRequest, obj: Invoice | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        row = obj
        head = ("state", "shop_name", "of", "number", "billing_reason", "due", "paid", "attempt_count", "next_attempt")
        return [
            (None, {"fields": (*head, "made")}),
            panel("What the customer was told", lambda: notes_of(row)),
            panel("Booked", lambda: booked_of(row)),
            panel("At Stripe", lambda: pairs(self.at_stripe(row))),
        ]

    def at_stripe(self, row: Invoice) -> list[tuple[str, object]]:
        live = platform_scope().livemode
        return [
            ("Invoice", mono(row.invoice_id)),
            ("Customer", stripe_links.stripe_link(row.customer_id, account=row.stripe_account, livemode=live)),
            ("E-mail", row.customer_email or EMPTY),
            ("Payment", mono(row.payment_intent_id or EMPTY)),
            ("Account", mono(row.stripe_account)),
            ("Where it is paid", mono(row.page_url or EMPTY)),
            ("Read", shop_moment(row.shop, row.read_at)),
        ]

    @admin.display(description="Subscription")
    def of(self, row: Invoice) -> str:
        rows = Subscription.objects.for_shop(row.shop_id).filter(stripe_account=row.stripe_account)
        found = rows.filter(subscription_id=row.subscription_id).first() if row.subscription_id else None
        return link_to(found) if found else row.subscription_id or EMPTY

    @admin.display(description="Next try")
    def next_attempt(self, row: Invoice) -> str:
        return shop_moment(row.shop, row.next_attempt_at)

    @admin.display(description="Made", ordering="id")
    def made(self, row: Invoice) -> str:
        return shop_moment(row.shop, row.created_at)
