"""What happened: movements of stock, runs of the reaper and of the stock proof."""

from __future__ import annotations

from django.contrib import admin

from inventory.models import InventoryRun, StockMovement
from tenants.backoffice import (
    ChoicesDropdownFilter,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    RelatedDropdownFilter,
    badge,
    link_to,
    shop_time,
)


@admin.register(StockMovement)
class StockMovementAdmin(ReadOnlyAdmin[StockMovement]):
    shop_path = "owner__shop"
    list_display = ("when", "row", "delta", "on_hand_after", "reason", "reference", "actor", "note")
    list_filter = (
        ("reason", ChoicesDropdownFilter),
        ("at", RangeDateTimeFilter),
        ("owner", RelatedDropdownFilter),
    )
    search_fields = ("reference__exact",)
    search_help_text = "A whole hold or order id"
    list_select_related = ("stock_row",)
    ordering = ("-id",)
    sortable_by = ()
    empty_text = "Nothing has moved yet."

    @admin.display(description="When")
    def when(self, movement: StockMovement) -> str:
        return shop_time(movement.at)

    @admin.display(description="Variant")
    def row(self, movement: StockMovement) -> str:
        return link_to(movement.stock_row)


@admin.register(InventoryRun)
class InventoryRunAdmin(ReadOnlyAdmin[InventoryRun]):
    shop_path = None
    list_display = ("when", "kind", "health", "took", "summary")
    list_filter = (("kind", ChoicesDropdownFilter), "healthy")
    ordering = ("-id",)
    sortable_by = ()
    empty_text = "No run yet. The reaper runs every minute, the stock proof every night."

    @admin.display(description="Finished")
    def when(self, run: InventoryRun) -> str:
        return shop_time(run.finished_at)

    @admin.display(description="Outcome")
    def health(self, run: InventoryRun) -> str:
        return badge("Clean", "good") if run.healthy else badge("Look into it", "bad")

    @admin.display(description="Took")
    def took(self, run: InventoryRun) -> str:
        return f"{(run.finished_at - run.started_at).total_seconds():.2f} s"

    @admin.display(description="Report")
    def summary(self, run: InventoryRun) -> str:
        report = run.report
        if run.kind == InventoryRun.Kind.VERIFY:
            return f"{sum(report['drifted'].values())} of {report['rows']} rows differ"
        return f"{report['expired']} of {report['found']} overdue holds given back, {len(report['failed'])} failed"
