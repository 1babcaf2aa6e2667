"""Locked rows of this noun, in the order that every transaction takes them: the cart before its lines."""

from __future__ import annotations

from uuid import UUID

from commerce.cart.models import Cart


def lock_cart(*, shop_id: str, cart_id: UUID) -> Cart | None:
    """The shop's cart, locked until the transaction ends; None when there is no such cart.

    FOR NO KEY UPDATE: two changes of one cart queue, while rows that refer to it can still be written.
    """
    return Cart.objects.select_for_update(no_key=True).filter(pk=cart_id, shop_id=shop_id).first()
