"""Stock rows: what is there, who holds it, and adjusting it with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from inventory.admin.bookings import (
    BufferForm,
    booking_in_words,
    explain_days,
    plan_buffer,
    rents_out,
    set_buffer,
)
from inventory.admin.columns import owner
from inventory.admin.standing import STATES, explain_row, in_words
from inventory.availability import state_of
from inventory.errors import StockBooked, StockHeld
from inventory.models import Hold, Pool, StockMovement, StockRow
from inventory.stock import (
    ADJUSTING,
    MAX_ON_HAND,
    StockChange,
    adjust_stock,
    create_stock_row_within,
    recount_stock,
    set_low_stock_threshold,
)
from inventory.variants import MalformedVariant, complete_key
from tenants.backoffice import (
    Mandate,
    ModelAdmin,
    ReadOnlyAdmin,
    ReadOnlyInline,
    ReasonAction,
    ReasonForm,
    RelatedDropdownFilter,
    badge,
    staff_actor,
    widgets,
)
from tenants.errors import HoldfastError
from tenants.models import Shop
from tenants.panels import User, panel, shop_moment

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[StockRow]
else:
    _ModelForm = forms.ModelForm


class AdjustForm(ReasonForm):
    delta = forms.IntegerField(
        label="Units to add", help_text="Negative: to take away.", widget=widgets.UnfoldAdminIntegerFieldWidget()
    )
    kind = forms.ChoiceField(
        choices=[choice for choice in StockMovement.Reason.choices if choice[0] in ADJUSTING],
        initial=StockMovement.Reason.ADJUSTMENT,
        widget=widgets.UnfoldAdminSelectWidget(),
    )


class RecountForm(ReasonForm):
    counted = forms.IntegerField(
        label="Units counted",
        min_value=0,
        max_value=MAX_ON_HAND,
        help_text="All of them, those held for customers included.",
        widget=widgets.UnfoldAdminIntegerFieldWidget(),
    )


class ThresholdForm(ReasonForm):
    threshold = forms.IntegerField(
        label="Low at and below",
        min_value=0,
        max_value=MAX_ON_HAND,
        help_text="0: never low.",
        widget=widgets.UnfoldAdminIntegerFieldWidget(),
    )


def _stock_plan(row: StockRow) -> str:
    return f"{row.on_hand} on hand, {row.held} of them held: at most {row.available} can be taken away."


def _holders(error: HoldfastError) -> list[tuple[Hold, str]]:
    """Who holds what a refusal would have taken away."""
    now = timezone.now()
    if isinstance(error, StockBooked):
        return [(Hold(pk=booking.hold_id), booking_in_words(booking, now=now)) for booking in error.bookings]
    if not isinstance(error, StockHeld):
        return []
    return [(Hold(pk=holder.hold_id), in_words(holder, now=now)) for holder in error.holders]


def _moved(change: StockChange) -> str:
    if not change.delta:
        return f"As counted: {change.on_hand} on hand, nothing moved."
    return f"{change.delta:+d}: now {change.on_hand} on hand, {change.held} of them held."


def _adjust(row: StockRow, mandate: Mandate) -> str:
    return _moved(
        adjust_stock(
            shop_id=row.owner_id,
            stock_row_id=row.pk,
            delta=mandate.fields["delta"],
            reason=mandate.fields["kind"],
            note=mandate.reason,
            acting=mandate.acting,
        )
    )


def _recount(row: StockRow, mandate: Mandate) -> str:
    return _moved(
        recount_stock(
            shop_id=row.owner_id,
            stock_row_id=row.pk,
            counted=mandate.fields["counted"],
            note=mandate.reason,
            acting=mandate.acting,
        )
    )


def _set_threshold(row: StockRow, mandate: Mandate) -> str:
    threshold: int = mandate.fields["threshold"]
    set_low_stock_threshold(
        shop_id=row.owner_id, stock_row_id=row.pk, threshold=threshold, note=mandate.reason, acting=mandate.acting
    )
    return f"Low at and below {threshold}." if threshold else "Never low."


class OpenStockForm(_ModelForm):
    """A new row: a shop's own stock of one variant, or a pool's."""

    shop = forms.ModelChoiceField(Shop.objects.all(), required=False, widget=widgets.UnfoldAdminSelectWidget())
    pool = forms.ModelChoiceField(
        Pool.objects.all(),
        required=False,
        widget=widgets.UnfoldAdminSelectWidget(),
        help_text="Instead of a shop: stock that shops are routed to.",
    )
    sku = forms.CharField(max_length=64, label="SKU", widget=widgets.UnfoldAdminTextInputWidget())
    variant = forms.CharField(
        max_length=255,
        required=False,
        help_text="Empty, or attributes such as color:black|size:M.",
        widget=widgets.UnfoldAdminTextInputWidget(),
    )
    on_hand = forms.IntegerField(
        min_value=0, max_value=MAX_ON_HAND, initial=0, widget=widgets.UnfoldAdminIntegerFieldWidget()
    )
    low_stock_threshold = forms.IntegerField(
        min_value=0, max_value=MAX_ON_HAND, initial=0, widget=widgets.UnfoldAdminIntegerFieldWidget()
    )
    reason = forms.CharField(min_length=3, max_length=500, widget=widgets.UnfoldAdminTextInputWidget())

    class Meta:
        model = StockRow
        fields = ("sku", "low_stock_threshold")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if bool(data.get("shop")) == bool(data.get("pool")):
            raise forms.ValidationError("Choose the shop or the pool that it belongs to, one of the two.")
        data["owner_id"] = (data.get("shop") or data["pool"]).pk
        if {"sku", "variant"} <= set(data):
            try:
                data["variant_key"] = complete_key(data["sku"], data["variant"])
            except MalformedVariant as error:
                raise forms.ValidationError({"variant": error.detail}) from error
            if StockRow.objects.filter(owner_id=data["owner_id"], variant_key=data["variant_key"]).exists():
                raise forms.ValidationError({"variant": "There is a stock row of this variant already."})
        return data


class StockStateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("out", "Out"), ("low", "Low"), ("held", "Held by somebody")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[StockRow]) -> QuerySet[StockRow]:
        match self.value():
            case "out":
                return queryset.filter(available__lte=0)
            case "low":
                return queryset.filter(available__gt=0, available__lte=F("low_stock_threshold"))
            case "held":
                return queryset.filter(held__gt=0)
        return queryset


class MovementInline(ReadOnlyInline[StockMovement, StockRow]):
    model = StockMovement
    verbose_name_plural = "history"
    hide_title = True
    fields = readonly_fields = ("when", "moved", "on_hand_after", "reason", "for_shop_id", "reference", "actor", "note")
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[StockMovement]:
        return super().get_queryset(request).select_related("stock_row__owner__shop__settings")

    @admin.display(description="When")
    def when(self, movement: StockMovement) -> str:
        return shop_moment(movement.stock_row.owner.shop, movement.at)

    @admin.display(description="Units")
    def moved(self, movement: StockMovement) -> str:
        return f"{movement.delta:+d}"


@admin.register(StockRow)
class StockRowAdmin(ReadOnlyAdmin[StockRow]):
    shop_path = "owner__shop"
    list_display = ("variant_key", owner, "on_hand", "held", "available", "state", "low_stock_threshold")
    list_filter = (StockStateFilter, ("owner", RelatedDropdownFilter))
    search_fields = ("sku__startswith", "variant_key__startswith")
    search_help_text = "The beginning of a SKU or variant key"
    # The order that the unique key is in; the counters have no index, as it would slow every hold down.
    ordering = ("owner", "variant_key")
    sortable_by = ("variant_key",)
    fields = ("owner", "sku", "variant_key", "low_stock_threshold", "buffer_days", "opened")
    readonly_fields = ("opened",)
    inlines = (MovementInline,)
    empty_text = "No stock yet. Add a row per variant, or import a file."
    actions_list = ("import_link", "export_link")
    reason_actions = (
        ReasonAction(
            name="adjust",
            label="Adjust stock",
            plan=_stock_plan,
            verb=_adjust,
            permission="inventory.change_stockrow",
            form=AdjustForm,
            in_the_way=_holders,
            help="Adds units to each row, or takes them away. Units that are held can't be taken away.",
        ),
        ReasonAction(
            name="recount",
            label="Recount",
            plan=_stock_plan,
            verb=_recount,
            permission="inventory.change_stockrow",
            form=RecountForm,
            in_the_way=_holders,
            help="Makes the units on hand what was counted. Sales made meanwhile are not undone.",
        ),
        ReasonAction(
            name="threshold",
            label="Set low-stock threshold",
            plan=lambda row: f"Now low at and below {row.low_stock_threshold}, with {row.available} available.",
            verb=_set_threshold,
            permission="inventory.change_stockrow",
            form=ThresholdForm,
        ),
        ReasonAction(
            name="buffer",
            label="Set days for cleaning",
            plan=plan_buffer,
            verb=set_buffer,
            permission="inventory.change_stockrow",
            form=BufferForm,
            help="Of shops that rent out: how long units stay in after each return.",
        ),
    )

    def import_link(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:inventory_stockimport_add"))

    def export_link(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:inventory_stockimport_export"))

    # What unfold reads from an action's function.
    vars(import_link).update(
        short_description="Import a file", url_path="import-link", attrs={}, icon=None, variant=None
    )
    vars(export_link).update(short_description="Export", url_path="export-link", attrs={}, icon=None, variant=None)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return ModelAdmin.has_add_permission(self, request)

    def get_form(self, request: HttpRequest, obj: StockRow | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **kwargs) if obj else self.narrowed(OpenStockForm, request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[StockRow]:
        return super().get_queryset(request).select_related("owner__shop__settings")

    def get_fieldsets(self, request: HttpRequest, obj: StockRow | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        return [*self.panels(obj, request.user), ("This row", {"fields": self.fields})]

    def panels(self, row: StockRow, reader: User) -> list[tuple[str, dict[str, Any]]]:
        """What the page says before it names the row's own fields."""
        title = "Why it is available" if row.available else "Why it is not available"
        panels = [panel(title, lambda: explain_row(row, reader))]
        return [*panels, panel("Who has it when", lambda: explain_days(row, reader))] if rents_out(row) else panels

    def get_fields(self, request: HttpRequest, obj: StockRow | None = None) -> Any:
        opening = ("shop", "pool", "sku", "variant", "on_hand", "low_stock_threshold", "reason")
        return super().get_fields(request, obj) if obj else opening

    def get_readonly_fields(self, request: HttpRequest, obj: StockRow | None = None) -> Any:
        return super().get_readonly_fields(request, obj) if obj else ()

    def get_inlines(self, request: HttpRequest, obj: StockRow | None) -> Any:
        return super().get_inlines(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: StockRow, form: Any, change: bool) -> None:
        """Opening is bare and joins the view's transaction; rows that exist aren't edited."""
        data = form.cleaned_data
        opened = create_stock_row_within(
            shop_id=data["owner_id"],
            sku=data["sku"],
            variant_key=data["variant_key"],
            on_hand=data["on_hand"],
            acting=staff_actor(request),
            note=data["reason"],
            low_stock_threshold=data["low_stock_threshold"],
            now=timezone.now(),
        )
        obj.pk, obj.owner_id, obj.variant_key = opened.pk, opened.owner_id, opened.variant_key

    @admin.display(description="State")
    def state(self, row: StockRow) -> str:
        return badge(*STATES[state_of(available=row.available, threshold=row.low_stock_threshold)])

    @admin.display(description="Opened")
    def opened(self, row: StockRow) -> str:
        return shop_moment(row.owner.shop, row.created_at)
