"""The cart's page in the back office: what is in it, and what its customer made of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest

from checkout.models import CheckoutAttempt
from commerce.admin.carts import CartAdmin
from commerce.admin.display import User, panel, reader_link, shop_moment, table
from commerce.admin.lists import as_uuid
from commerce.models import Cart

# A page of them: whoever wants the rest filters the list of checkouts.
NEWEST = 50


@admin.register(Cart)
class CheckedOutCartAdmin(CartAdmin):
    search_fields = ("id",)
    search_help_text = "Cart, checkout or order id, cs_…"

    def key(self, term: str) -> Q:
        attempts = CheckoutAttempt.objects.filter(cart_id__isnull=False).values_list("cart_id", flat=True)
        known = as_uuid(term)
        if known is None and not term.startswith("cs_"):
            return super().key(term)
        found = attempts.filter(Q(session_id=term) if known is None else Q(pk=known) | Q(order_id=known))
        # Asked first: "this cart or one of those attempts'" in one statement reads every cart.
        return Q(pk__in=[*filter(None, [known]), *found[:NEWEST]])

    def get_fieldsets(self, request: HttpRequest, obj: Cart | None = None) -> Any:
        shown = super().get_fieldsets(request, obj)
        if obj is None:
            return shown
        cart = obj
        return [*shown, panel("Checkouts", lambda: checkouts(cart, request.user))]


def checkouts(cart: Cart, reader: User) -> str:
    """The newest first, with their orders and the generation that each would have sold."""
    attempts = CheckoutAttempt.objects.for_shop(cart.shop_id).filter(cart_id=cart.pk).select_related("order")
    return table(
        ("Begun", "Checkout", "State", "Order", "Order's status", "Generation"),
        [
            (
                shop_moment(cart.shop, attempt.created_at),
                reader_link(reader, attempt),
                attempt.get_outcome_display() if attempt.outcome else attempt.get_state_display(),
                reader_link(reader, attempt.order),
                attempt.order.get_status_display(),
                attempt.cart_generation,
            )
            for attempt in attempts.order_by("-cart_generation", "-created_at")[:NEWEST]
        ],
        right=(5,),
        empty="Nobody has checked this cart out.",
    )
