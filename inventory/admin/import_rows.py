"""Rows of imports: the preview, row by row, and what became of each; failed ones corrected, tried again, dismissed."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from inventory.bulk.corrections import dismiss_row, retry_row
from inventory.models import StockImport, StockImportRow
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    ReadOnlyAdmin,
    ReasonAction,
    ReasonForm,
    Refused,
    RelatedDropdownFilter,
    badge,
    link_to,
    widgets,
)
from tenants.display import EMPTY, Tone

State = StockImportRow.State
TONES: dict[str, Tone] = {
    State.PENDING: "info",
    State.UNCHANGED: "plain",
    State.FAILED: "bad",
    State.APPLIED: "good",
    State.UNDONE: "plain",
    State.DISMISSED: "plain",
}


class CorrectForm(ReasonForm):
    key = forms.CharField(
        max_length=255,
        required=False,
        label="Variant key",
        help_text="Such as HB-01#size:M. Empty: as it is.",
        widget=widgets.UnfoldAdminTextInputWidget(),
    )
    quantity = forms.CharField(
        max_length=12,
        required=False,
        label="Units",
        help_text="On hand, or to add, as the import means its numbers. Empty: as they are.",
        widget=widgets.UnfoldAdminTextInputWidget(),
    )
    threshold = forms.CharField(
        max_length=12,
        required=False,
        label="Low at and below",
        help_text="Empty: as it is.",
        widget=widgets.UnfoldAdminTextInputWidget(),
    )


def _plan(row: StockImportRow) -> str | Refused:
    if row.state != State.FAILED:
        return Refused(f"It did not fail: {row.get_state_display().lower()}.")
    if row.batch.status == StockImport.Status.APPLIED:
        return "Is judged by the stock as it is now, and applied at once if it can be."
    if row.batch.status == StockImport.Status.READY:
        return "Is judged by the stock as it is now, and joins the preview if it can be applied."
    return Refused(f"Its import is in the state “{row.batch.get_status_display()}”.")


def _retry(row: StockImportRow, mandate: Mandate) -> str:
    texts = {name: mandate.fields.get(name, "") for name in ("key", "quantity", "threshold")}
    after = retry_row(
        shop_id=row.owner_id, row_id=row.pk, reason=mandate.reason, acting=mandate.acting, corrected=texts
    )  # fmt: skip
    moved = f", {after.delta:+d} units" if after.delta else ""
    return f"{after.get_state_display()}{moved}."


def _dismiss_plan(row: StockImportRow) -> str | Refused:
    if row.state != State.FAILED:
        return Refused(f"It did not fail: {row.get_state_display().lower()}.")
    return f"Is put aside for good. It said: {row.problem}"


def _dismiss(row: StockImportRow, mandate: Mandate) -> str:
    dismiss_row(shop_id=row.owner_id, row_id=row.pk, reason=mandate.reason, acting=mandate.acting)
    return "Dismissed."


class ImportFilter(admin.SimpleListFilter):
    """By the number of an import, which its page links to: a menu of all imports would be a long one."""

    title = "import"
    parameter_name = "batch__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = request.GET.get(self.parameter_name, "")
        return [(value, f"Import {value}")] if value.isdecimal() else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[StockImportRow]) -> QuerySet[StockImportRow]:
        value = self.value()
        if not value:
            return queryset
        return queryset.filter(batch_id=int(value)) if value.isdecimal() and len(value) < 19 else queryset.none()


@admin.register(StockImportRow)
class StockImportRowAdmin(ReadOnlyAdmin[StockImportRow]):
    shop_path = "shop"
    list_display = ("line", "variant", "status", "on_hand", "low", "problem", "import_link")
    list_filter = (
        ImportFilter,
        ("state", ChoicesDropdownFilter),
        ("effect", ChoicesDropdownFilter),
        ("shop", RelatedDropdownFilter),
    )
    search_fields = ("variant_key__startswith",)
    search_help_text = "The beginning of a variant key"
    list_select_related = ("batch", "stock_row")
    ordering = ("-batch", "position")
    sortable_by = ()
    fields = (
        "batch", "line", "variant_key", "number", "threshold", "status", "on_hand", "low", "problem", "raw",
        "stock_row",
    )  # fmt: skip
    readonly_fields = ("status", "on_hand", "low")
    empty_text = "No row matches. Rows come with imports."
    reason_actions = (
        ReasonAction(
            name="retry",
            label="Try again",
            plan=_plan,
            verb=_retry,
            permission="inventory.change_stockrow",
        ),
        ReasonAction(
            name="correct",
            label="Correct",
            plan=_plan,
            verb=_retry,
            permission="inventory.change_stockrow",
            form=CorrectForm,
            help="What is filled in replaces what the file had; then the row is tried again.",
        ),
        ReasonAction(
            name="dismiss",
            label="Dismiss",
            plan=_dismiss_plan,
            verb=_dismiss,
            permission="inventory.change_stockrow",
            danger=True,
        ),
    )

    @admin.display(description="Variant")
    def variant(self, row: StockImportRow) -> str:
        shown = row.variant_key or " ".join(str(text) for text in (row.raw or {}).values() if text)[:80] or EMPTY
        return link_to(row, shown)

    @admin.display(description="Outcome")
    def status(self, row: StockImportRow) -> str:
        effects = {State.PENDING: row.get_effect_display(), State.APPLIED: row.get_effect_display()}
        shown = row.get_state_display()
        return badge(
            f"{shown}: {effects[State(row.state)].lower()}" if row.state in effects else shown, TONES[row.state]
        )

    @admin.display(description="On hand")
    def on_hand(self, row: StockImportRow) -> str:
        """Before → after, as the preview saw it or as it was when it was applied."""
        if row.seen_on_hand is None or row.state == State.FAILED:
            wanted = "" if row.number is None else f"file says {row.number}"
            return wanted or EMPTY
        if not row.delta:
            return f"{row.seen_on_hand}"
        return f"{row.seen_on_hand} → {row.seen_on_hand + row.delta} ({row.delta:+d})"

    @admin.display(description="Low at")
    def low(self, row: StockImportRow) -> str:
        if row.threshold is None or row.threshold == row.seen_threshold:
            return EMPTY if row.seen_threshold is None else str(row.seen_threshold)
        return f"{EMPTY if row.seen_threshold is None else row.seen_threshold} → {row.threshold}"

    @admin.display(description="Import")
    def import_link(self, row: StockImportRow) -> str:
        return link_to(row.batch, f"Import {row.batch_id}")
