"""Verbs of carts. Every change makes a new generation, in one step with the lines (commerce/cart/storage.py).

A checkout compares generations to know whether it still buys what it priced, so a change that doesn't bump one would
let a customer pay for another cart than the one shown.

The verbs that end in `_within` are bare helpers for the transaction that settles a checkout (C6): the caller has locked
what comes before the cart, and decides once per order whether to call at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from django.db import IntegrityError
from uuid_utils.compat import uuid7

from commerce.cart.errors import CartsUnavailable
from commerce.cart.lines import (
    BoughtLine,
    CartSnapshot,
    Lines,
    NewLine,
    check_line_count,
    check_quantity,
    merged,
    returned_lines,
    taken_lines,
)
from commerce.cart.locks import lock_cart
from commerce.cart.storage import Amendment, amend_within, change_lines, empty_within, read_cart
from tenants.errors import NotFound


def cart_snapshot(*, shop_id: str, cart_id: UUID) -> CartSnapshot:
    """Generation and lines of a cart, of one moment. One query, and one look into Redis for lines that are there.

    A cart that this shop hasn't got, another shop's included, is an empty one of generation 0. Raises CartsUnavailable.
    """
    return read_cart(shop_id=shop_id, cart_id=cart_id)


def units_in_cart(*, shop_id: str, cart_id: UUID) -> int:
    """How many units a cart holds, for a badge that shows no price. One query. 0 while Redis is away: a page isn't
    refused for its badge.
    """
    try:
        return sum(line.quantity for line in cart_snapshot(shop_id=shop_id, cart_id=cart_id).lines)
    except CartsUnavailable:
        return 0


def add_line(*, shop_id: str, cart_id: UUID | None, line: NewLine) -> CartSnapshot:
    """Adds `line`, or its quantity to the same line; makes the cart when there is none. Returns the cart after it.

    The returned cart's id is a new one when `cart_id` is None or unknown to this shop. Durable.
    Raises InvalidRequest when the line would exceed 999 units or the cart 100 lines, CartsUnavailable, CartBusy; then
    nothing changes.
    """
    new = line.stored()

    def add(lines: Lines) -> Lines:
        same = next((known for known in lines if known.identity == new.identity), None)
        if same is None:
            check_quantity(new.quantity)
            check_line_count(len(lines) + 1)
            return (*lines, new)
        check_quantity(same.quantity + new.quantity)
        more = replace(new, line_id=same.line_id, quantity=same.quantity + new.quantity, options=same.options)
        return tuple(more if known is same else known for known in lines)

    return change_lines(shop_id=shop_id, cart_id=cart_id, edit=add, make=uuid7())


def set_quantity(*, shop_id: str, cart_id: UUID, line_id: UUID, quantity: int) -> CartSnapshot:
    """Sets a line's quantity; 0 removes the line. Returns the cart after it. Durable.

    Raises NotFound for a cart or line that this shop hasn't got, InvalidRequest for more than 999, CartsUnavailable,
    CartBusy.
    """

    def put(lines: Lines) -> Lines:
        if all(line.line_id != line_id for line in lines):
            raise NotFound("The cart has no such line.")
        if quantity == 0:
            return tuple(line for line in lines if line.line_id != line_id)
        check_quantity(quantity)
        return tuple(replace(line, quantity=quantity) if line.line_id == line_id else line for line in lines)

    return change_lines(shop_id=shop_id, cart_id=cart_id, edit=put)


def remove_line(*, shop_id: str, cart_id: UUID, line_id: UUID) -> CartSnapshot:
    """Removes one line. Durable; raises NotFound as `set_quantity` does."""
    return set_quantity(shop_id=shop_id, cart_id=cart_id, line_id=line_id, quantity=0)


def replace_lines(*, shop_id: str, cart_id: UUID | None, lines: Sequence[NewLine]) -> CartSnapshot:
    """Makes `lines`, equal ones summed, the whole content of the cart; makes the cart when there is none. Durable.

    Raises InvalidRequest beyond 999 units of a line or 100 lines, CartsUnavailable, CartBusy; then nothing changes.
    """
    wanted = tuple(line.stored() for line in merged(lines))
    return change_lines(shop_id=shop_id, cart_id=cart_id, edit=lambda _: wanted, make=uuid7())


def adopt_lines(*, shop_id: str, cart_id: UUID, lines: Sequence[NewLine]) -> CartSnapshot:
    """Makes the cart `cart_id` with `lines`, equal ones summed; a cart that is there already is left as it is. Durable.

    Raises InvalidRequest beyond 999 units of a line or 100 lines, CartsUnavailable.
    """
    wanted = tuple(line.stored() for line in merged(lines))
    known = cart_snapshot(shop_id=shop_id, cart_id=cart_id)
    if known.generation:
        return known
    try:
        return change_lines(shop_id=shop_id, cart_id=None, edit=lambda _: wanted, make=cart_id)
    except IntegrityError:  # made by a twin since
        return cart_snapshot(shop_id=shop_id, cart_id=cart_id)


def empty_cart(*, shop_id: str, cart_id: UUID) -> CartSnapshot:
    """Removes every line. A cart that is empty already stays as it is. Durable.

    Raises NotFound for an unknown cart, CartsUnavailable, CartBusy.
    """
    return change_lines(shop_id=shop_id, cart_id=cart_id, edit=lambda lines: () if lines else lines)


def remember_shown(*, shop_id: str, cart_id: UUID, shown: dict[UUID, tuple[int, str]]) -> None:
    """Keeps the unit prices just shown: line id → (minor units, currency). Not a change of the cart: no new generation.

    A line removed meanwhile is passed over. Durable.
    """

    def remember(lines: Lines) -> Lines:
        known = {line.line_id: (line.shown_amount, line.shown_currency) for line in lines}
        now = [(line, *(known | shown)[line.line_id]) for line in lines]
        seen = tuple(replace(line, shown_amount=amount, shown_currency=currency) for line, amount, currency in now)
        return lines if seen == lines else seen

    try:
        change_lines(shop_id=shop_id, cart_id=cart_id, edit=remember, new_generation=False)
    except NotFound:
        return


def acknowledge_loss(*, shop_id: str, cart_id: UUID) -> CartSnapshot:
    """A cart whose lines Redis has lost is an empty one from here on: of a new generation, so that no checkout of what
    was in it can be repeated. The answer says `lost` once; a cart that is whole is left alone. Durable.
    """
    return change_lines(shop_id=shop_id, cart_id=cart_id, edit=lambda lines: lines)


def empty_bought_within(*, shop_id: str, cart_id: UUID, generation: int, bought: Sequence[BoughtLine]) -> bool:
    """Takes what an order bought out of its cart. Locks the cart; call inside a transaction.

    When the cart still has the `generation` that was bought, it is emptied whole; otherwise the customer has changed it
    meanwhile, and only the bought quantities leave. Both make a new generation when anything left. Redis isn't asked.
    Returns whether the cart was still the one bought; False also when there is no such cart.
    """
    cart = lock_cart(shop_id=shop_id, cart_id=cart_id)
    if cart is None:
        return False
    if cart.generation == generation:
        empty_within(cart)
        return True
    amend_within(cart, Amendment("bought", taken_lines(bought)))
    return False


def restore_lines_within(*, shop_id: str, cart_id: UUID, bought: Sequence[BoughtLine]) -> bool:
    """Puts lines back when a delayed payment failed, as a new generation. Locks the cart; call inside a transaction.

    Units join a line that the customer has added meanwhile, up to 999; the cart may exceed 100 lines by what comes
    back, because losing a customer's choice is worse. No price was shown for them. Redis isn't asked.
    Returns False when there is no such cart.
    """
    cart = lock_cart(shop_id=shop_id, cart_id=cart_id)
    if cart is None:
        return False
    amend_within(cart, Amendment("returned", returned_lines(bought)))
    return True
