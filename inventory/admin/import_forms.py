"""What staff fill in to bring stock in and out: for a shop, or, if they are the platform's, for a pool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from django import forms

from inventory.bulk.batches import look_at
from inventory.bulk.formats import MAX_BYTES, MAX_ROWS, FileRefused
from inventory.bulk.rows import Mode
from inventory.models import Pool, StockImport
from tenants.backoffice import widgets
from tenants.models import Shop

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[StockImport]
else:
    _ModelForm = forms.ModelForm

OF_A_SHOP: Final = forms.ModelChoiceField(Shop.objects.all(), required=False, widget=widgets.UnfoldAdminSelectWidget())
OF_A_POOL: Final = forms.ModelChoiceField(
    Pool.objects.all(),
    required=False,
    widget=widgets.UnfoldAdminSelectWidget(),
    help_text="Instead of a shop: stock that shops are routed to.",
)


def owner_of(data: Mapping[str, Any]) -> str:
    """The id of the shop or pool that was chosen. Raises ValidationError unless it was one of the two."""
    if bool(data.get("shop")) == bool(data.get("pool")):
        raise forms.ValidationError("Choose the shop or the pool that it belongs to, one of the two.")
    return str((data.get("shop") or data["pool"]).pk)


class UploadForm(_ModelForm):
    """One file for one shop, or for one pool."""

    shop = OF_A_SHOP
    pool = OF_A_POOL
    file = forms.FileField(
        max_length=500,
        widget=widgets.UnfoldAdminFileFieldWidget(),
        help_text=f"CSV, .xlsx or JSON, up to {MAX_BYTES // (1024 * 1024)} MiB and {MAX_ROWS:,} rows.",
    )
    mode = forms.ChoiceField(
        choices=StockImport.Mode.choices,
        label="What its numbers mean",
        widget=widgets.UnfoldAdminSelectWidget(),
        help_text="Set: the units that were counted, held ones included. Add: goods that came, or went (negative).",
    )
    reference = forms.CharField(
        max_length=100,
        required=False,
        widget=widgets.UnfoldAdminTextInputWidget(),
        help_text="Delivery note or stocktaking. The same file is added once per reference.",
    )
    unknown_skus = forms.BooleanField(
        required=False,
        label="Take variants that the catalog lacks",
        widget=widgets.UnfoldBooleanSwitchWidget(),
        help_text="Off: such rows are refused, as they are mostly slips of the pen. A pool knows those it has rows of.",
    )

    class Meta:
        model = StockImport
        fields = ("mode", "reference", "unknown_skus")

    def clean_file(self) -> bytes:
        upload = self.cleaned_data["file"]
        if upload.size > MAX_BYTES:
            raise forms.ValidationError(f"The file has more than {MAX_BYTES // (1024 * 1024)} MiB; split it.")
        self.cleaned_data["file_name"] = upload.name
        return bytes(upload.read())

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        data["owner_id"] = owner_of(data)
        if {"file", "mode"} <= set(data):
            try:
                look_at(
                    shop_id=data["owner_id"],
                    data=data["file"],
                    mode=Mode(data["mode"]),
                    reference=data.get("reference", ""),
                )
            except FileRefused as error:
                raise forms.ValidationError({"file": error.detail}) from error
        return data


class ExportForm(forms.Form):
    shop = OF_A_SHOP
    pool = OF_A_POOL
    format = forms.ChoiceField(
        choices=[("csv", "CSV"), ("xlsx", "Excel (.xlsx)"), ("json", "JSON")], widget=widgets.UnfoldAdminSelectWidget()
    )
    which = forms.ChoiceField(
        choices=[("", "All"), ("out", "Out of stock"), ("low", "Low"), ("held", "Held by somebody")],
        required=False,
        label="Rows",
        widget=widgets.UnfoldAdminSelectWidget(),
    )
    begins = forms.CharField(
        max_length=255,
        required=False,
        label="Variant begins with",
        widget=widgets.UnfoldAdminTextInputWidget(),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        return {**data, "owner_id": owner_of(data)}
