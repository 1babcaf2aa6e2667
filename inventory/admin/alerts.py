"""Low-stock alerts: what fell, whether it was told, and telling it again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join

from inventory.admin.columns import owner
from inventory.alert_delivery import RETRIED, retry_alert
from inventory.models import AlertDelivery, StockAlert
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
    shop_time,
)
from tenants.display import Tone

STATES: dict[str, Tone] = {"due": "info", "sending": "info", "sent": "good", "failed": "bad", "skipped": "plain"}


def plan_retrying(alert: StockAlert) -> str | Refused:
    failed = [row for row in alert.deliveries.all() if row.state in RETRIED]
    if not failed:
        return Refused("Nothing of it has failed.")
    return " ".join(f"{row.get_channel_display()} is sent again; last: {row.last_error}" for row in failed)


def retry(alert: StockAlert, mandate: Mandate) -> str:
    return retry_alert(owner_id=alert.owner_id, alert_id=alert.pk, reason=mandate.reason, acting=mandate.acting)


class DeliveryInline(ReadOnlyInline[AlertDelivery, StockAlert]):
    model = AlertDelivery
    verbose_name_plural = "told by"
    fields = readonly_fields = ("channel", "state", "attempts", "sent_at", "next_attempt_at", "last_error")
    ordering = ("channel",)


class OpenFilter(admin.SimpleListFilter):
    title = "stock"
    parameter_name = "stock"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("low", "Still low")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[StockAlert]) -> QuerySet[StockAlert]:
        return queryset.filter(closed_at__isnull=True) if self.value() == "low" else queryset


@admin.register(StockAlert)
class StockAlertAdmin(ReadOnlyAdmin[StockAlert]):
    shop_path = "owner__shop"
    list_display = ("when", "row", owner, "left", "threshold", "stock", "told", "trouble")
    list_filter = (
        OpenFilter,
        ("closed_as", ChoicesDropdownFilter),
        ("raised_at", RangeDateTimeFilter),
        ("owner", RelatedDropdownFilter),
    )
    list_select_related = ("stock_row",)
    ordering = ("-id",)
    sortable_by = ()
    fields = ("row", "owner", "when", "left", "on_hand", "held", "threshold", "stock", "closed_at", "told")
    readonly_fields = ("row", "when", "left", "stock", "told")
    inlines = (DeliveryInline,)
    empty_text = "No alert yet. Give stock rows a threshold: the stock is looked at every minute."
    reason_actions = (
        ReasonAction(
            name="retry",
            label="Send again",
            plan=plan_retrying,
            verb=retry,
            permission="inventory.change_stockalert",
            help="Sends what failed or had nobody to be told. What has been sent isn't sent twice.",
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[StockAlert]:
        return super().get_queryset(request).prefetch_related("deliveries")

    @admin.display(description="Seen")
    def when(self, alert: StockAlert) -> str:
        return shop_time(alert.raised_at)

    @admin.display(description="Variant")
    def row(self, alert: StockAlert) -> str:
        return link_to(alert.stock_row)

    @admin.display(description="Available then")
    def left(self, alert: StockAlert) -> int:
        return alert.available

    @admin.display(description="Stock")
    def stock(self, alert: StockAlert) -> str:
        if alert.closed_at is None:
            return badge("Low", "warn")
        return badge(alert.get_closed_as_display(), "good" if alert.closed_as == "recovered" else "plain")

    @admin.display(description="Told")
    def told(self, alert: StockAlert) -> str:
        rows = sorted(alert.deliveries.all(), key=lambda row: row.channel)
        return format_badges(rows)

    @admin.display(description="Last trouble")
    def trouble(self, alert: StockAlert) -> str:
        return "; ".join(row.last_error for row in alert.deliveries.all() if row.state not in {"sent", "skipped"})


def format_badges(rows: list[AlertDelivery]) -> str:
    pairs = [(badge(f"{row.get_channel_display()}: {row.get_state_display()}", STATES[row.state]),) for row in rows]
    return format_html_join(" ", "{}", pairs)
