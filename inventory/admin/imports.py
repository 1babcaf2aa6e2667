"""Imports of stock for staff: a file goes in, its preview is looked at and confirmed, what it did can be taken back."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from inventory.admin.import_forms import ExportForm, UploadForm
from inventory.bulk.batches import (
    confirm_import,
    counts,
    discard_import,
    receive_import_within,
    retry_failed,
    undo_import,
)
from inventory.bulk.exporting import CONTENT_TYPES, Selection, export_stock, failed_rows_file, template
from inventory.bulk.formats import Format
from inventory.bulk.rows import Mode
from inventory.models import StockImport, StockImportRow
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    ModelAdmin,
    ReadOnlyAdmin,
    ReasonAction,
    Refused,
    RelatedDropdownFilter,
    badge,
    list_url,
    shop_time,
    staff_actor,
)
from tenants.desk_scope import scope_of
from tenants.display import Tone

Status = StockImport.Status
TONES: Final[dict[str, Tone]] = {
    Status.RECEIVED: "info",
    Status.READY: "warn",
    Status.APPLYING: "info",
    Status.APPLIED: "good",
    Status.UNDOING: "info",
    Status.UNDONE: "plain",
    Status.UNREADABLE: "bad",
    Status.DISCARDED: "plain",
}
# `counts` key → what the page calls it, and the filters of the list of rows that show them.
SUMMARY: Final = (
    ("pending_new", "New rows", {"state__exact": "pending", "effect__exact": "new"}),
    ("pending_change", "Other numbers", {"state__exact": "pending", "effect__exact": "change"}),
    ("pending_threshold", "Other thresholds alone", {"state__exact": "pending", "effect__exact": "threshold"}),
    ("applied", "Applied", {"state__exact": "applied"}),
    ("undone", "Undone", {"state__exact": "undone"}),
    ("unchanged", "Unchanged", {"state__exact": "unchanged"}),
    ("failed", "Can't be applied", {"state__exact": "failed"}),
    ("dismissed", "Dismissed", {"state__exact": "dismissed"}),
)


def _confirm_plan(batch: StockImport) -> str | Refused:
    if batch.status != Status.READY:
        return Refused(f"It is in the state “{batch.get_status_display()}”.")
    found = counts(batch)
    told = (
        f"Opens {found.get('pending_new', 0):,} rows, changes {found.get('pending_change', 0):,} and "
        f"{found.get('pending_threshold', 0):,} thresholds alone; {found.get('unchanged', 0):,} stay as they are"
    )
    failed = found.get("failed", 0)
    return f"{told}; {failed:,} can't be applied and are kept." if failed else f"{told}."


def _confirm(batch: StockImport, mandate: Mandate) -> str:
    confirm_import(shop_id=batch.owner_id, import_id=batch.pk, reason=mandate.reason, acting=mandate.acting)
    return "Being applied; its page shows how far it is."


def _discard_plan(batch: StockImport) -> str | Refused:
    if batch.status in {Status.RECEIVED, Status.READY, Status.UNREADABLE}:
        return "Nothing of it is applied, now or later."
    return Refused(f"It is in the state “{batch.get_status_display()}”.")


def _discard(batch: StockImport, mandate: Mandate) -> str:
    discard_import(shop_id=batch.owner_id, import_id=batch.pk, reason=mandate.reason, acting=mandate.acting)
    return "Discarded."


def _retry_plan(batch: StockImport) -> str | Refused:
    if batch.status != Status.APPLIED:
        return Refused(f"It is in the state “{batch.get_status_display()}”.")
    failed = counts(batch).get("failed", 0)
    if not failed:
        return Refused("None of its rows has failed.")
    return f"Tries its {failed:,} failed rows again, but for unreadable ones, with the stock as it is then."


def _retry(batch: StockImport, mandate: Mandate) -> str:
    tried = retry_failed(shop_id=batch.owner_id, import_id=batch.pk, reason=mandate.reason, acting=mandate.acting)
    return f"{tried:,} rows are being tried again."


def _undo_plan(batch: StockImport) -> str | Refused:
    if batch.status != Status.APPLIED:
        return Refused(f"It is in the state “{batch.get_status_display()}”.")
    applied = counts(batch).get("applied", 0)
    if not applied:
        return Refused("None of its rows was applied.")
    return f"Takes {applied:,} rows back by counter-movements. Rows of which too much is sold or held since stay."


def _undo(batch: StockImport, mandate: Mandate) -> str:
    undo_import(shop_id=batch.owner_id, import_id=batch.pk, reason=mandate.reason, acting=mandate.acting)
    return "Being undone; its page shows how far it is."


@admin.register(StockImport)
class StockImportAdmin(ReadOnlyAdmin[StockImport]):
    shop_path = "shop"
    list_display = ("__str__", "whose", "state", "mode", "reference", "uploaded_by", "uploaded")
    list_filter = (("status", ChoicesDropdownFilter), ("owner", RelatedDropdownFilter))
    ordering = ("-id",)
    sortable_by = ()
    fields = (
        "owner", "file_name", "mode", "reference", "unknown_skus", "size_bytes", "digest", "uploaded_by", "uploaded_at",
        "confirmed_by", "confirmed_at", "reason", "undone_by", "undo_reason", "finished_at",
    )  # fmt: skip
    empty_text = "No import yet. Add one: a file with a column variant_key and one on_hand."
    add_form_template = "admin/stock_import_add.html"
    change_form_template = "admin/stock_import_change.html"
    reason_actions = (
        ReasonAction(
            name="confirm",
            label="Apply",
            plan=_confirm_plan,
            verb=_confirm,
            permission="inventory.change_stockrow",
            help="Moves the stock as the preview shows. A row whose stock changed since then is left and says so.",
        ),
        ReasonAction(
            name="discard",
            label="Discard",
            plan=_discard_plan,
            verb=_discard,
            permission="inventory.add_stockimport",
        ),
        ReasonAction(
            name="retry",
            label="Try failed rows again",
            plan=_retry_plan,
            verb=_retry,
            permission="inventory.change_stockrow",
        ),
        ReasonAction(
            name="undo",
            label="Undo",
            plan=_undo_plan,
            verb=_undo,
            permission="inventory.change_stockrow",
            danger=True,
            help="What was sold meanwhile stays sold: only what the import moved is moved back.",
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return ModelAdmin.has_add_permission(self, request)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("template/", view(self.template_file), name="inventory_stockimport_template"),
            path("export/", view(self.export), name="inventory_stockimport_export"),
            path("<path:object_id>/failed-rows/", view(self.failed_rows), name="inventory_stockimport_failed_rows"),
            *super().get_urls(),
        ]

    def get_form(
        self, request: HttpRequest, obj: StockImport | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        return super().get_form(request, obj, change, **kwargs) if obj else self.narrowed(UploadForm, request)

    def get_fields(self, request: HttpRequest, obj: StockImport | None = None) -> Any:
        if obj is not None:
            return super().get_fields(request, obj)
        pool = ("pool",) if scope_of(request).is_platform else ()
        return ("shop", *pool, "file", "mode", "reference", "unknown_skus")

    def get_readonly_fields(self, request: HttpRequest, obj: StockImport | None = None) -> Any:
        return super().get_readonly_fields(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: StockImport, form: Any, change: bool) -> None:
        """Receiving is bare and joins the view's transaction; imports that exist aren't edited."""
        data = form.cleaned_data
        received = receive_import_within(
            shop_id=data["owner_id"],
            file_name=data["file_name"],
            data=data["file"],
            mode=Mode(data["mode"]),
            unknown_skus=data["unknown_skus"],
            reference=data["reference"],
            acting=staff_actor(request),
        )
        obj.pk, obj.shop_id, obj.file_name = received.pk, received.shop_id, received.file_name
        obj.owner_id = received.owner_id

    def response_add(
        self, request: HttpRequest, obj: StockImport, post_url_continue: str | None = None
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:inventory_stockimport_change", args=(obj.pk,)))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        batch = self.get_object(request, object_id)
        extra = {"report": _report(batch)} if batch and self.has_view_permission(request, batch) else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **extra})

    def template_file(self, request: HttpRequest) -> StreamingHttpResponse:
        """`?mode=delta&format=xlsx`; a file to fill in."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        mode = Mode.DELTA if request.GET.get("mode") == "delta" else Mode.SET
        kind = Format.XLSX if request.GET.get("format") == "xlsx" else Format.CSV
        return _download(template(mode, kind), kind, "stock-template")

    def failed_rows(self, request: HttpRequest, object_id: str) -> StreamingHttpResponse:
        batch = self.get_object(request, object_id)
        if batch is None:
            raise Http404
        if not self.has_view_permission(request, batch):
            raise PermissionDenied
        return _download(failed_rows_file(batch), Format.CSV, f"import-{batch.pk}-failed")

    def export(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """The form, and the file once it is filled in: reads only, so that an address can be kept."""
        if not (request.user.has_perm("inventory.view_stockrow") and self.in_scope(request)):
            raise PermissionDenied
        form = self.narrowed(ExportForm, request)(request.GET if "format" in request.GET else None)
        if not scope_of(request).is_platform:
            del form.fields["pool"]
        if form.is_bound and form.is_valid():
            asked = form.cleaned_data
            selection = Selection(asked["owner_id"], asked["which"], asked["begins"])
            kind, name = Format(asked["format"]), selection.shop_id.replace(":", "-")
            return _download(export_stock(selection, kind=kind, now=timezone.now()), kind, f"stock-{name}")
        context = {**self.admin_site.each_context(request), "title": "Export stock", "opts": self.model._meta}
        return TemplateResponse(request, "admin/stock_export.html", {**context, "form": form})

    @admin.display(description="Of")
    def whose(self, batch: StockImport) -> str:
        return batch.owner_id

    @admin.display(description="State", ordering="status")
    def state(self, batch: StockImport) -> str:
        return badge(batch.get_status_display(), TONES[batch.status])

    @admin.display(description="Uploaded")
    def uploaded(self, batch: StockImport) -> str:
        return shop_time(batch.uploaded_at)


def _report(batch: StockImport) -> dict[str, Any]:
    """What the page says above the fields: where the import stands, how far it is, and rows by what becomes of them."""
    found = counts(batch)
    done, whole = batch.rows_read, max(batch.rows_expected, batch.rows_read)
    if batch.status == Status.APPLYING:
        done, whole = sum(found.values()) - _pending_twice(found), batch.rows_read
    elif batch.status == Status.UNDOING:
        done, whole = found.get("undone", 0), found.get("undone", 0) + found.get("applied", 0)
    return {
        "badge": badge(batch.get_status_display(), TONES[batch.status]),
        "problem": batch.problem,
        "at_work": batch.at_work,
        "done": done,
        "whole": whole,
        "progress": f"{done:,} of {whole:,}" if whole else f"{done:,}",
        "rows": [
            (label, f"{found[name]:,}", list_url(StockImportRow, urlencode({"batch__exact": batch.pk, **query})))
            for name, label, query in SUMMARY
            if found.get(name)
        ],
        "all_rows": list_url(StockImportRow, urlencode({"batch__exact": batch.pk})),
        "failed_file": reverse("admin:inventory_stockimport_failed_rows", args=(batch.pk,))
        if found.get("failed")
        else "",
    }


def _pending_twice(found: dict[str, int]) -> int:
    """Pending rows are counted as a state, and again per effect: neither is done."""
    return sum(number for name, number in found.items() if name.startswith("pending"))


def _download(pieces: Any, kind: Format, name: str) -> StreamingHttpResponse:
    disposition = f'attachment; filename="{name}.{kind}"'
    return StreamingHttpResponse(
        pieces, content_type=CONTENT_TYPES[kind], headers={"Content-Disposition": disposition}
    )  # fmt: skip
