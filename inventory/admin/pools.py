"""Pools: stock that several shops sell from. The platform's alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html

from inventory.models import Pool, PoolRoute, StockImport, StockRow
from inventory.routes import POOL_NAME, create_pool_within, set_pool_enabled
from tenants.backoffice import (
    Mandate,
    ModelAdmin,
    ReadOnlyAdmin,
    ReasonAction,
    Refused,
    badge,
    list_url,
    staff_actor,
    widgets,
)

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Pool]
else:
    _ModelForm = forms.ModelForm


class NewPoolForm(_ModelForm):
    short_name = forms.CharField(
        max_length=62,
        widget=widgets.UnfoldAdminTextInputWidget(),
        help_text="Lower-case letters, digits and hyphens. It can't be changed later.",
    )
    reason = forms.CharField(min_length=3, max_length=500, widget=widgets.UnfoldAdminTextInputWidget())

    class Meta:
        model = Pool
        fields = ("name",)

    def clean_short_name(self) -> str:
        name: str = self.cleaned_data["short_name"]
        if not POOL_NAME.fullmatch(name):
            raise forms.ValidationError("Lower-case letters, digits and hyphens, beginning with one of the first two.")
        if Pool.objects.filter(pk=f"pool:{name}").exists():
            raise forms.ValidationError("There is a pool of this name already.")
        return name


def plan_turning(pool: Pool, *, on: bool) -> str | Refused:
    if pool.enabled == on:
        return Refused(f"It is {'on' if on else 'off'} already.")
    if on:
        return "Shops are sold from it again through their routes."
    return (
        "It lends nothing new. Shops that require central inventory refuse where that is enforced; "
        "the others sell their own stock. What is held or paid for ends as it would have."
    )


def turn(pool: Pool, mandate: Mandate, *, on: bool) -> str:
    set_pool_enabled(pool_id=pool.pk, enabled=on, note=mandate.reason, acting=mandate.acting)
    return f"The pool is {'on' if on else 'off'}."


@admin.register(Pool)
class PoolAdmin(ReadOnlyAdmin[Pool]):
    shop_path = None
    list_display = ("id", "name", "state", "leads")
    search_fields = ("id__startswith", "name__istartswith")
    ordering = ("id",)
    fields = ("id", "name", "state", "leads")
    readonly_fields = ("state", "leads")
    empty_text = "No pool yet. Add one, then rows of stock in it, then routes that lead shops to them."
    reason_actions = (
        ReasonAction(
            name="disable",
            label="Turn off",
            plan=lambda pool: plan_turning(pool, on=False),
            verb=lambda pool, mandate: turn(pool, mandate, on=False),
            permission="inventory.change_pool",
            danger=True,
        ),
        ReasonAction(
            name="enable",
            label="Turn on",
            plan=lambda pool: plan_turning(pool, on=True),
            verb=lambda pool, mandate: turn(pool, mandate, on=True),
            permission="inventory.change_pool",
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return ModelAdmin.has_add_permission(self, request)

    def get_form(self, request: HttpRequest, obj: Pool | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **kwargs) if obj else NewPoolForm

    def get_fields(self, request: HttpRequest, obj: Pool | None = None) -> Any:
        return super().get_fields(request, obj) if obj else ("short_name", "name", "reason")

    def get_readonly_fields(self, request: HttpRequest, obj: Pool | None = None) -> Any:
        return super().get_readonly_fields(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: Pool, form: Any, change: bool) -> None:
        data = form.cleaned_data
        made = create_pool_within(
            name=data["short_name"], title=data["name"], note=data["reason"], acting=staff_actor(request)
        )
        obj.pk = made.pk

    @admin.display(description="State")
    def state(self, pool: Pool) -> str:
        return badge("On", "good") if pool.enabled else badge("Off", "bad")

    @admin.display(description="In it")
    def leads(self, pool: Pool) -> str:
        return format_html(
            '<a href="{}">Stock</a>, <a href="{}">routes</a>, <a href="{}">imports</a>',
            list_url(StockRow, urlencode({"owner__id__exact": pool.pk})) or "",
            list_url(PoolRoute, urlencode({"pool__id__exact": pool.pk})) or "",
            list_url(StockImport, urlencode({"owner__id__exact": pool.pk})) or "",
        )
