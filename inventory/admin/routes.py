"""Routes: which variants of which shops are sold from which pool, and how much of it each shop may have.

A shop's staff see their own; who may have how much of a shared row is the platform's to say.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from inventory.models import PoolRoute
from inventory.routes import (
    MAX_CAP,
    NewRoute,
    add_routes,
    add_routes_within,
    end_route,
    faults_of,
    parse_routes,
    renew_allocation,
    resume_route,
    set_allocation,
)
from inventory.variants import MalformedVariant, complete_key
from tenants.backoffice import (
    Mandate,
    ModelAdmin,
    ReadOnlyAdmin,
    ReasonAction,
    ReasonForm,
    Refused,
    RelatedDropdownFilter,
    badge,
    list_url,
    staff_actor,
    widgets,
)
from tenants.desk_scope import scope_of
from tenants.display import EMPTY
from tenants.errors import HoldfastError

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[PoolRoute]
else:
    _ModelForm = forms.ModelForm

MOST_LINES = 1000


class AllocationForm(ReasonForm):
    cap = forms.IntegerField(
        label="Units at most",
        required=False,
        min_value=0,
        max_value=MAX_CAP,
        help_text="Held and sold together, since the allocation was last renewed. Empty: all there are.",
        widget=widgets.UnfoldAdminIntegerFieldWidget(),
    )


class BulkForm(ReasonForm):
    lines = forms.CharField(
        max_length=200_000,
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 14}),
        help_text=(
            "One route a line: shop, SKU, attributes, pool, the pool's variant key, cap. "
            "Attributes, the pool's key (the shop's own then) and the cap may be empty."
        ),
    )

    def clean_lines(self) -> list[NewRoute]:
        text: str = self.cleaned_data["lines"]
        if len(text.splitlines()) > MOST_LINES:
            raise forms.ValidationError(f"At most {MOST_LINES} lines at once.")
        routes, faults = parse_routes(text)
        if faults:
            raise forms.ValidationError([f"Line {number}: {why}" for number, why in faults.items()][:50])
        if not routes:
            raise forms.ValidationError("There is no route in it.")
        return routes


class NewRouteForm(_ModelForm):
    variant = forms.CharField(
        max_length=255,
        required=False,
        help_text="Of the shop's SKU. Empty, or attributes such as color:black|size:M.",
        widget=widgets.UnfoldAdminTextInputWidget(),
    )
    reason = forms.CharField(min_length=3, max_length=500, widget=widgets.UnfoldAdminTextInputWidget())

    class Meta:
        model = PoolRoute
        fields = ("shop", "sku", "stock_row", "allocation_cap")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if {"shop", "sku", "variant", "stock_row"} <= set(data):
            try:
                key = complete_key(data["sku"], data["variant"])
            except MalformedVariant as error:
                raise forms.ValidationError({"variant": error.detail}) from error
            wanted = NewRoute(data["shop"].pk, data["sku"], key, data["stock_row"].pk, data.get("allocation_cap"))
            if fault := faults_of([wanted]).get(0):
                raise forms.ValidationError(fault)
            data["route"] = wanted
        return data


def _used(route: PoolRoute) -> str:
    cap = "no cap" if route.allocation_cap is None else f"a cap of {route.allocation_cap}"
    return f"{route.held} held and {route.sold} sold, {cap}"


def _running(route: PoolRoute, text: str) -> str | Refused:
    return text if route.enabled else Refused("It has ended.")


def plan_ending(route: PoolRoute) -> str | Refused:
    return _running(route, f"{_used(route)}. New holds take the shop's own stock, or nothing if it must use pools.")


def plan_allocating(route: PoolRoute) -> str | Refused:
    return _running(route, f"Now {_used(route)}.")


def plan_renewing(route: PoolRoute) -> str | Refused:
    return _running(route, f"{_used(route)}: the {route.sold} sold no longer count.")


def plan_resuming(route: PoolRoute) -> str | Refused:
    return Refused("It runs.") if route.enabled else f"{_used(route)}. New holds take the pool's stock again."


def end(route: PoolRoute, mandate: Mandate) -> str:
    end_route(shop_id=route.shop_id, route_id=route.pk, note=mandate.reason, acting=mandate.acting)
    return "Ended."


def allocate(route: PoolRoute, mandate: Mandate) -> str:
    cap: int | None = mandate.fields["cap"]
    set_allocation(shop_id=route.shop_id, route_id=route.pk, cap=cap, note=mandate.reason, acting=mandate.acting)
    return "No cap." if cap is None else f"At most {cap}."


def renew(route: PoolRoute, mandate: Mandate) -> str:
    renew_allocation(shop_id=route.shop_id, route_id=route.pk, note=mandate.reason, acting=mandate.acting)
    return "The allocation begins anew."


def resume(route: PoolRoute, mandate: Mandate) -> str:
    resume_route(shop_id=route.shop_id, route_id=route.pk, note=mandate.reason, acting=mandate.acting)
    return "It runs again."


class RouteStateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("runs", "Runs"), ("full", "Allocation used up"), ("ended", "Ended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PoolRoute]) -> QuerySet[PoolRoute]:
        match self.value():
            case "runs":
                return queryset.filter(enabled=True)
            case "full":
                return queryset.filter(enabled=True, allocation_cap__lte=F("held") + F("sold"))
            case "ended":
                return queryset.filter(enabled=False)
        return queryset


@admin.register(PoolRoute)
class PoolRouteAdmin(ReadOnlyAdmin[PoolRoute]):
    shop_path = "shop"
    list_display = ("variant_key", "shop_id", "pool_id", "state", "held", "sold", "cap", "left_of_it")
    list_filter = (RouteStateFilter, ("shop", RelatedDropdownFilter), ("pool", RelatedDropdownFilter))
    search_fields = ("shop__id__exact", "sku__startswith", "variant_key__startswith")
    search_help_text = "A whole shop id, or the beginning of a SKU or variant key"
    ordering = ("-id",)
    sortable_by = ("id",)
    fields = ("shop", "sku", "variant_key", "pool_id", "available", "state", "held", "sold", "cap", "left_of_it")
    readonly_fields = ("pool_id", "available", "state", "cap", "left_of_it")
    autocomplete_fields = ("shop", "stock_row")
    actions_list = ("bulk_link",)
    empty_text = "No route yet. Add one, or many at once; a shop without routes sells its own stock."
    reason_actions = (
        ReasonAction(
            name="allocate",
            label="Set allocation",
            plan=plan_allocating,
            verb=allocate,
            permission="allot",
            form=AllocationForm,
            help="Units that the shop may hold and have sold at most. Never below what it has already.",
        ),
        ReasonAction(
            name="renew",
            label="Renew allocation",
            plan=plan_renewing,
            verb=renew,
            permission="allot",
            help="When goods have come in: what was sold so far no longer counts.",
        ),
        ReasonAction(name="end", label="End route", plan=plan_ending, verb=end, permission="allot", danger=True),
        ReasonAction(name="resume", label="Resume route", plan=plan_resuming, verb=resume, permission="allot"),
    )

    def has_allot_permission(self, request: HttpRequest, obj: PoolRoute | None = None) -> bool:
        """The platform's alone: a shop that set its own cap would take what others were promised."""
        return scope_of(request).is_platform and request.user.has_perm("inventory.change_poolroute")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return ModelAdmin.has_add_permission(self, request) and scope_of(request).is_platform

    def get_queryset(self, request: HttpRequest) -> QuerySet[PoolRoute]:
        return super().get_queryset(request).select_related("stock_row")

    def get_form(self, request: HttpRequest, obj: PoolRoute | None = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = NewRouteForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: PoolRoute | None = None) -> Any:
        adding = ("shop", "sku", "variant", "stock_row", "allocation_cap", "reason")
        return super().get_fields(request, obj) if obj else adding

    def get_readonly_fields(self, request: HttpRequest, obj: PoolRoute | None = None) -> Any:
        return super().get_readonly_fields(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: PoolRoute, form: Any, change: bool) -> None:
        """Adding is bare and joins the view's transaction; routes that exist aren't edited."""
        data = form.cleaned_data
        (added,) = add_routes_within(routes=[data["route"]], note=data["reason"], acting=staff_actor(request))
        obj.pk, obj.pool_id, obj.variant_key = added.pk, added.pool_id, added.variant_key

    # ---------------------------------------------------------------- many at once
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.bulk)
        return [path("bulk/", view, name="inventory_poolroute_bulk"), *super().get_urls()]

    def get_actions_list(self, request: HttpRequest) -> list[Any]:
        """unfold's hook: no button that leads to a refusal."""
        buttons: list[Any] = super().get_actions_list(request)  # type: ignore[misc]
        return buttons if self.has_add_permission(request) else []

    def bulk_link(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:inventory_poolroute_bulk"))

    # What unfold reads from a list's action.
    vars(bulk_link).update(short_description="Add many routes", url_path="bulk-link", attrs={}, icon=None, variant=None)

    def bulk(self, request: HttpRequest) -> HttpResponse:
        """Says first what would be added, then adds all of it or nothing."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = BulkForm(request.POST if request.method == "POST" else None)
        planned: list[NewRoute] = form.cleaned_data["lines"] if form.is_valid() else []
        if planned and "add" in request.POST:
            try:
                added = add_routes(routes=planned, note=form.cleaned_data["reason"], acting=staff_actor(request))
            except HoldfastError as error:  # somebody was faster
                form.add_error("lines", error.detail)
                planned = []
            else:
                messages.success(request, f"{len(added)} routes added.")
                return HttpResponseRedirect(list_url(PoolRoute) or "/admin/")
        context = {
            **self.admin_site.each_context(request),
            "title": "Add many routes",
            "opts": self.model._meta,
            "form": form,
            "planned": planned[:50],
            "shops": sorted(Counter(route.shop_id for route in planned).items()),
            "list_url": list_url(PoolRoute),
        }
        return TemplateResponse(request, "admin/bulk_routes.html", context)

    # ---------------------------------------------------------------- columns
    @admin.display(description="State")
    def state(self, route: PoolRoute) -> str:
        if not route.enabled:
            return badge("Ended", "plain")
        return badge("Used up", "warn") if route.left == 0 else badge("Runs", "good")

    @admin.display(description="Available in the pool")
    def available(self, route: PoolRoute) -> str:
        return str(route.stock_row.available)

    @admin.display(description="Cap")
    def cap(self, route: PoolRoute) -> str:
        return EMPTY if route.allocation_cap is None else str(route.allocation_cap)

    @admin.display(description="Left of it")
    def left_of_it(self, route: PoolRoute) -> str:
        return EMPTY if route.left is None else str(route.left)
