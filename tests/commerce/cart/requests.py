"""What tests of the cart send, and what they find stored, wherever that is."""

from __future__ import annotations

import json

from commerce.cart import carts
from commerce.models import Cart

BAND = {"sku": "BAND", "quantity": 2, "variantAttributes": {"size": "M"}}


def send(client, method, body, **more):
    return getattr(client, method)("/api/cart", json.dumps(body), content_type="application/json", **more)


def stored_lines(shop):
    """Every line of every cart of a shop."""
    found = Cart.objects.filter(shop=shop).values_list("pk", flat=True)
    return [line for pk in found for line in carts.cart_snapshot(shop_id=shop.pk, cart_id=pk).lines]


def stored_line(shop):
    [line] = stored_lines(shop)
    return line
