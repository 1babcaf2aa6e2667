"""What happened: movements of stock, runs of the reaper and of the stock proof."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from inventory.admin.columns import for_shop
from inventory.models import Hold, InventoryRun, StockMovement, StockRow
from tenants.backoffice import (
    ChoicesDropdownFilter,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    RelatedDropdownFilter,
    badge,
    link_to,
    shop_time,
)
from tenants.panels import panel, table

LISTED = 200
"""Findings on a run's page; the command and its JSON have a thousand, the counts are of all."""


@admin.register(StockMovement)
class StockMovementAdmin(ReadOnlyAdmin[StockMovement]):
    shop_path = "owner__shop"
    list_display = ("when", "row", "delta", "on_hand_after", "reason", for_shop, "reference", "actor", "note")
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

    def get_fieldsets(self, request: HttpRequest, obj: InventoryRun | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        run = obj
        found = findings(run)
        told = [panel("What it found", lambda: found)] if found else []
        return [(None, {"fields": ("kind", "health", "when", "took", "summary")}), *told]

    def get_readonly_fields(self, request: HttpRequest, obj: InventoryRun | None = None) -> Any:
        return ("kind", "health", "when", "took", "summary")

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
        text = f"{report['expired']} of {report['found']} overdue holds given back, {len(report['failed'])} failed"
        if (checkout := report.get("checkout")) is None:
            return f"{text}; checkouts could not be looked at"
        if not any(checkout.values()):
            return text
        return (
            f"{text}; of {checkout['found']} checkouts {checkout['expired']} given back, {checkout['committed']} sold, "
            f"{checkout['kept']} kept, {checkout['failed']} failed"
        )


def findings(run: InventoryRun) -> SafeString | None:
    """The rows that drifted, or the holds that could not be given back, each with a link; None when there are none."""
    report = run.report
    if run.kind == InventoryRun.Kind.VERIFY:
        drifts = report.get("drifts", [])[:LISTED]
        rows: list[tuple[object, ...]] = [
            (
                link_to(StockRow(pk=drift["stockRowId"]), drift["variantKey"]),
                drift["owner"],
                drift["held"]["row"],
                drift["held"]["holdItems"],
                drift["onHand"]["row"],
                drift["onHand"]["movements"],
            )
            for drift in drifts
        ]
        head = ("Row", "Of", "Held", "by hold items", "On hand", "by movements")
        return table(head, rows, right={2, 3, 4, 5}) if rows else None
    failed = [
        (link_to(Hold(pk=failure["holdId"])), failure["shopId"], failure["error"])
        for failure in report.get("failed", [])[:LISTED]
    ]
    return table(("Hold", "Shop", "Why it stays"), failed) if failed else None
