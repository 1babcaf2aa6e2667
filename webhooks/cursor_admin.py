"""How far each Stripe account's events have been listed, and what never arrived by itself."""

from __future__ import annotations

from django.contrib import admin

from tenants.backoffice import ReadOnlyAdmin, badge, shop_time, time_left
from tenants.display import EMPTY
from webhooks.models import EventCursor


@admin.register(EventCursor)
class EventCursorAdmin(ReadOnlyAdmin[EventCursor]):
    shop_path = None
    list_display = ("account", "state", "read_up_to", "looked", "missed", "error")
    fields = ("account", "livemode", "state", "read_up_to", "looked", "missed", "error")
    search_fields = ("account",)
    sortable_by = ()
    empty_text = "No account has been looked at yet. The worker does, every five minutes."

    @admin.display(description="State")
    def state(self, cursor: EventCursor) -> str:
        if cursor.error:
            return badge("can't be read", "bad")
        return badge("reading on", "info") if cursor.page_after else badge("up to date", "good")

    @admin.display(description="Read until")
    def read_up_to(self, cursor: EventCursor) -> str:
        return shop_time(cursor.read_until, "UTC")

    @admin.display(description="Looked")
    def looked(self, cursor: EventCursor) -> str:
        return time_left(cursor.checked_at) if cursor.checked_at else EMPTY
