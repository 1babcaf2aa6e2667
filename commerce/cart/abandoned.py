"""What happens to carts that nobody comes back to. Which those are is the checkout's to say: it knows who pays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import F

from commerce.cart.models import Cart, CartLine
from commerce.cart.redis_lines import drop_lines


def empty_abandoned_within(*, shop_id: str, carts: Sequence[Cart]) -> None:
    """Removes the lines of locked carts, wherever they are, and makes a new generation of each. A cart grows no younger
    by it: `updated_at` is its customer's last change.
    """
    ids = [cart.pk for cart in carts]
    CartLine.objects.filter(shop_id=shop_id, cart_id__in=ids).delete()
    Cart.objects.filter(shop_id=shop_id, pk__in=ids).update(
        generation=F("generation") + 1, lines_version=None, amendments=[]
    )
    for cart in carts:
        if cart.lines_version is not None:
            drop = partial(drop_lines, shop_id=shop_id, cart_id=cart.pk, version=cart.lines_version)
            transaction.on_commit(drop, robust=True)


def remove_empty_within(*, shop_id: str, cart_ids: Collection[UUID]) -> None:
    """Removes locked carts without lines, to which no attempt refers."""
    Cart.objects.filter(shop_id=shop_id, pk__in=cart_ids).delete()
