"""Carts, to look at: whose they are is nobody's business here, what is in them helps when somebody calls."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest

from commerce.admin.display import shop_amount, shop_moment
from commerce.admin.lists import NOTHING, KeySearch, as_uuid
from commerce.models import Cart, CartLine
from tenants.backoffice import (
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    RelatedDropdownFilter,
    link_to,
    time_left,
)
from tenants.display import EMPTY


class CartLineInline(ReadOnlyInline[CartLine, Cart]):
    model = CartLine
    fields = ("variant_key", "quantity", "chosen", "period", "shown")
    readonly_fields = fields
    hide_title = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[CartLine]:
        return super().get_queryset(request).select_related("cart__shop__settings")

    @admin.display(description="Options")
    def chosen(self, line: CartLine) -> str:
        return ", ".join(f"{name}: {value}" for name, value in line.options.items()) or EMPTY

    @admin.display(description="Period")
    def period(self, line: CartLine) -> str:
        return f"{line.rental_start} to {line.rental_end}" if line.rental_start else EMPTY

    @admin.display(description="Price last shown")
    def shown(self, line: CartLine) -> str:
        return shop_amount(line.cart.shop, line.shown_amount, line.shown_currency)


@admin.register(Cart)
class CartAdmin(KeySearch[Cart], ReadOnlyAdmin[Cart]):
    shop_path = "shop"
    list_display = ("id", "shop_name", "line_count", "unit_count", "changed", "made")
    list_filter = (("shop", RelatedDropdownFilter), ("updated_at", RangeDateTimeFilter))
    search_fields = ("id",)
    search_help_text = "Cart id"
    ordering = ("-updated_at",)
    sortable_by = ("changed", "made")
    fields = ("id", "shop_name", "generation", "changed_at", "made_at")
    inlines = (CartLineInline,)
    empty_text = "No cart yet. A customer's first article makes one."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Cart]:
        lines = CartLine.objects.filter(cart_id=OuterRef("pk")).order_by().values("cart_id")
        return (
            super()
            .get_queryset(request)
            .select_related("shop__settings")
            .annotate(
                line_total=Subquery(lines.annotate(found=Count("pk")).values("found")),
                unit_total=Subquery(lines.annotate(found=Sum("quantity")).values("found")),
            )
        )

    def key(self, term: str) -> Q:
        known = as_uuid(term)
        return Q(pk=known) if known is not None else NOTHING

    @admin.display(description="Shop")
    def shop_name(self, cart: Cart) -> str:
        return link_to(cart.shop)

    @admin.display(description="Lines")
    def line_count(self, cart: Cart) -> int:
        return getattr(cart, "line_total", None) or 0

    @admin.display(description="Units")
    def unit_count(self, cart: Cart) -> int:
        return getattr(cart, "unit_total", None) or 0

    @admin.display(description="Last changed", ordering="updated_at")
    def changed(self, cart: Cart) -> str:
        return time_left(cart.updated_at)

    @admin.display(description="Made", ordering="id")
    def made(self, cart: Cart) -> str:
        return shop_moment(cart.shop, cart.created_at)

    @admin.display(description="Last changed")
    def changed_at(self, cart: Cart) -> str:
        return shop_moment(cart.shop, cart.updated_at)

    @admin.display(description="Made")
    def made_at(self, cart: Cart) -> str:
        return shop_moment(cart.shop, cart.created_at)
