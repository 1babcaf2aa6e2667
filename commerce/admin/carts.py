"""Carts, to look at: whose they are is nobody's business here, what is in them helps when somebody calls."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest

from commerce.admin.display import panel, shop_amount, shop_moment, table
from commerce.admin.lists import NOTHING, KeySearch, as_uuid
from commerce.cart.carts import cart_snapshot
from commerce.cart.errors import CartsUnavailable
from commerce.models import Cart, CartLine
from tenants.backoffice import (
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    RelatedDropdownFilter,
    time_left,
)
from tenants.display import EMPTY


class CartAdmin(KeySearch[Cart], ReadOnlyAdmin[Cart]):
    """Registered in checkout/cart_admin.py, which adds what was made of a cart."""

    shop_path = "shop"
    list_display = ("id", "shop_name", "line_count", "unit_count", "kept", "changed", "made")
    list_filter = (("shop", RelatedDropdownFilter), ("updated_at", RangeDateTimeFilter))
    search_fields = ("id",)
    search_help_text = "Cart id"
    ordering = ("-updated_at",)
    sortable_by = ("changed", "made")
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

    def get_fieldsets(self, request: HttpRequest, obj: Cart | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        cart = obj
        return [
            (None, {"fields": ("id", "shop_name", "generation", "kept", "changed_at", "made_at")}),
            panel("Lines", lambda: lines_table(cart)),
        ]

    def key(self, term: str) -> Q:
        known = as_uuid(term)
        return Q(pk=known) if known is not None else NOTHING

    @admin.display(description="Lines")
    def line_count(self, cart: Cart) -> int | str:
        return EMPTY if cart.lines_version else getattr(cart, "line_total", None) or 0

    @admin.display(description="Units")
    def unit_count(self, cart: Cart) -> int | str:
        return EMPTY if cart.lines_version else getattr(cart, "unit_total", None) or 0

    @admin.display(description="Lines are in")
    def kept(self, cart: Cart) -> str:
        """A list asks Redis for nothing: the cart's own page shows what is there."""
        return "Redis" if cart.lines_version else "PostgreSQL"

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


def lines_table(cart: Cart) -> str:
    """What is in the cart, wherever it is kept, with the prices that the customer saw last."""
    try:
        found = cart_snapshot(shop_id=cart.shop_id, cart_id=cart.pk)
    except CartsUnavailable:
        return "Redis, which has the lines of this cart, can't be reached."
    if found.lost:
        return "Redis has lost the lines of this cart. The customer is told at the next look."
    return table(
        ("Variant", "Quantity", "Options", "Period", "Price last shown"),
        [
            (
                line.variant_key,
                line.quantity,
                ", ".join(f"{name}: {value}" for name, value in line.options.items()) or EMPTY,
                f"{line.rental_start} to {line.rental_end}" if line.rental_start else EMPTY,
                shop_amount(cart.shop, line.shown_amount, line.shown_currency),
            )
            for line in found.lines
        ],
        right=(1, 4),
        empty="Empty.",
    )
