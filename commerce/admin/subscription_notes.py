"""What subscribers were told by mail, and what couldn't be told."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from commerce.admin.display import shop_moment
from commerce.admin.lists import KeySearch
from commerce.models import SubscriptionNote
from tenants.backoffice import (
    ChoicesDropdownFilter,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    RelatedDropdownFilter,
    badge,
    link_to,
)
from tenants.display import Tone

State = SubscriptionNote.State
TONES: dict[str, Tone] = {State.SENT: "good", State.DUE: "info", State.GIVEN_UP: "bad"}


@admin.register(SubscriptionNote)
class SubscriptionNoteAdmin(KeySearch[SubscriptionNote], ReadOnlyAdmin[SubscriptionNote]):
    shop_path = "shop"
    list_display = ("noted", "shop_name", "what", "about", "state_badge", "sent_to", "sent")
    list_filter = (
        ("shop", RelatedDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    )
    search_fields = ("invoice__invoice_id", "subscription__subscription_id")
    search_help_text = "in_…, sub_…"
    ordering = ("-id",)
    ordering_of_one_shop = ("shop_id", "-id")
    sortable_by = ("noted",)
    fields = ("noted", "shop_name", "what", "about", "state_badge", "sent_to", "sent", "attempts", "error")
    empty_text = "No subscriber had to be told anything yet."

    def get_queryset(self, request: HttpRequest) -> QuerySet[SubscriptionNote]:
        return super().get_queryset(request).select_related("shop__settings", "invoice", "subscription")

    def key(self, term: str) -> Q:
        if term.startswith("sub_"):
            return Q(subscription__subscription_id=term)
        return Q(invoice__invoice_id=term)

    @admin.display(description="Noted", ordering="id")
    def noted(self, row: SubscriptionNote) -> str:
        return shop_moment(row.shop, row.created_at)

    @admin.display(description="What")
    def what(self, row: SubscriptionNote) -> str:
        return row.get_kind_display()

    @admin.display(description="About")
    def about(self, row: SubscriptionNote) -> str:
        return link_to(row.invoice or row.subscription)

    @admin.display(description="State")
    def state_badge(self, row: SubscriptionNote) -> str:
        return badge(row.get_state_display(), TONES.get(row.state, "plain"))

    @admin.display(description="Sent")
    def sent(self, row: SubscriptionNote) -> str:
        return shop_moment(row.shop, row.sent_at)
