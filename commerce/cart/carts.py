"""Verbs of carts. Every change locks the cart's row first and makes a new generation.

A checkout compares generations to know whether it still buys what it priced, so a change that doesn't bump one would
let a customer pay for another cart than the one shown.

The verbs that end in `_within` are bare helpers for the transaction that settles a checkout (C6): the caller has locked
what comes before the cart, and decides once per order whether to call at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import F, Sum
from django.utils import timezone

from commerce.cart.lines import (
    MAX_QUANTITY,
    BoughtLine,
    CartLineFacts,
    CartSnapshot,
    NewLine,
    bought_by_identity,
    check_line_count,
    check_quantity,
    identity,
    merged,
)
from commerce.cart.locks import lock_cart
from commerce.cart.models import Cart, CartLine
from inventory.variants import parse_variant_key
from tenants.database import in_shop_tx
from tenants.errors import NotFound

_LINE_FIELDS = (
    "lines__id", "lines__sku", "lines__variant_key", "lines__quantity", "lines__options",
    "lines__rental_start", "lines__rental_end", "lines__shown_amount", "lines__shown_currency",
)  # fmt: skip


def cart_snapshot(*, shop_id: str, cart_id: UUID) -> CartSnapshot:
    """Generation and lines of a cart, of one moment. One query.

    A cart that this shop hasn't got, another shop's included, is an empty one of generation 0.
    """
    rows = Cart.objects.filter(pk=cart_id, shop_id=shop_id).order_by("lines__position", "lines__id")
    generation = 0
    lines = []
    # One statement, so that generation and lines can't come from before and after a change.
    for generation, *line in rows.values_list("generation", *_LINE_FIELDS):  # noqa: B007
        if line[0] is not None:
            lines.append(CartLineFacts(*line))
    return CartSnapshot(cart_id=cart_id, generation=generation, lines=tuple(lines))


def units_in_cart(*, shop_id: str, cart_id: UUID) -> int:
    """How many units a cart holds, for a badge that shows no price. One query."""
    lines = CartLine.objects.filter(shop_id=shop_id, cart_id=cart_id)
    return int(lines.aggregate(units=Sum("quantity", default=0))["units"])


@in_shop_tx
def add_line(*, shop_id: str, cart_id: UUID | None, line: NewLine) -> CartSnapshot:
    """Adds `line`, or its quantity to the same line; makes the cart when there is none. Returns the cart after it.

    The returned cart's id is a new one when `cart_id` is None or unknown to this shop.
    Raises InvalidRequest when the line would exceed 999 units or the cart 100 lines; then nothing changes.
    """
    cart = _locked_or_new(shop_id=shop_id, cart_id=cart_id)
    rows = _rows(cart)
    wanted = identity(line.variant_key, line.options, line.rental_start, line.rental_end)
    same = next((row for row in rows if _identity(row) == wanted), None)
    if same is not None:
        check_quantity(same.quantity + line.quantity)
        same.quantity += line.quantity
        same.shown_amount, same.shown_currency = line.shown_amount, line.shown_currency
        same.save(update_fields=["quantity", "shown_amount", "shown_currency"])
    else:
        check_quantity(line.quantity)
        check_line_count(len(rows) + 1)
        position = max((row.position for row in rows), default=0) + 1
        row = _new_row(cart, line, position=position)
        row.save(force_insert=True)
        rows.append(row)
    return _changed(cart, rows)


@in_shop_tx
def set_quantity(*, shop_id: str, cart_id: UUID, line_id: UUID, quantity: int) -> CartSnapshot:
    """Sets a line's quantity; 0 removes the line. Returns the cart after it.

    Raises NotFound for a cart or line that this shop hasn't got, InvalidRequest for more than 999.
    """
    cart, rows = _locked(shop_id=shop_id, cart_id=cart_id)
    row = next((row for row in rows if row.pk == line_id), None)
    if row is None:
        raise NotFound("The cart has no such line.")
    if quantity == 0:
        row.delete()
        return _changed(cart, [other for other in rows if other is not row])
    check_quantity(quantity)
    row.quantity = quantity
    row.save(update_fields=["quantity"])
    return _changed(cart, rows)


def remove_line(*, shop_id: str, cart_id: UUID, line_id: UUID) -> CartSnapshot:
    """Removes one line. Durable; raises NotFound as `set_quantity` does."""
    return set_quantity(shop_id=shop_id, cart_id=cart_id, line_id=line_id, quantity=0)


@in_shop_tx
def replace_lines(*, shop_id: str, cart_id: UUID | None, lines: Sequence[NewLine]) -> CartSnapshot:
    """Makes `lines`, equal ones summed, the whole content of the cart; makes the cart when there is none.

    Raises InvalidRequest beyond 999 units of a line or 100 lines; then nothing changes.
    """
    wanted = merged(lines)
    cart = _locked_or_new(shop_id=shop_id, cart_id=cart_id)
    CartLine.objects.filter(shop_id=shop_id, cart=cart).delete()
    rows = [_new_row(cart, line, position=position) for position, line in enumerate(wanted, start=1)]
    CartLine.objects.bulk_create(rows)
    return _changed(cart, rows)


@in_shop_tx
def empty_cart(*, shop_id: str, cart_id: UUID) -> CartSnapshot:
    """Removes every line. A cart that is empty already stays as it is. Raises NotFound for an unknown cart."""
    cart, rows = _locked(shop_id=shop_id, cart_id=cart_id)
    if not rows:
        return CartSnapshot(cart_id=cart.pk, generation=cart.generation, lines=())
    CartLine.objects.filter(shop_id=shop_id, cart=cart).delete()
    return _changed(cart, [])


@in_shop_tx
def remember_shown(*, shop_id: str, cart_id: UUID, shown: dict[UUID, tuple[int, str]]) -> None:
    """Keeps the unit prices just shown: line id → (minor units, currency). Not a change of the cart: no new generation.

    A line removed meanwhile is passed over.
    """
    cart = lock_cart(shop_id=shop_id, cart_id=cart_id)
    if cart is None:
        return
    rows = list(CartLine.objects.filter(shop_id=shop_id, cart=cart, pk__in=shown))
    for row in rows:
        row.shown_amount, row.shown_currency = shown[row.pk]
    CartLine.objects.bulk_update(rows, ["shown_amount", "shown_currency"])


def empty_bought_within(*, shop_id: str, cart_id: UUID, generation: int, bought: Sequence[BoughtLine]) -> bool:
    """Takes what an order bought out of its cart. Locks the cart; call inside a transaction.

    When the cart still has the `generation` that was bought, it is emptied whole; otherwise the customer has changed it
    meanwhile, and only the bought quantities leave. Both make a new generation when anything left.
    Returns whether the cart was still the one bought; False also when there is no such cart.
    """
    cart = lock_cart(shop_id=shop_id, cart_id=cart_id)
    if cart is None:
        return False
    rows = CartLine.objects.filter(shop_id=shop_id, cart=cart)
    if cart.generation == generation:
        rows.delete()
        _bump_generation(cart)
        return True
    units = bought_by_identity(bought)
    touched = 0
    for row in rows:
        left = row.quantity - units.get(identity(row.variant_key, row.options, row.rental_start, row.rental_end), 0)
        if left == row.quantity:
            continue
        touched += 1
        if left > 0:
            rows.filter(pk=row.pk).update(quantity=left)
        else:
            rows.filter(pk=row.pk).delete()
    if touched:
        _bump_generation(cart)
    return False


def restore_lines_within(*, shop_id: str, cart_id: UUID, bought: Sequence[BoughtLine]) -> bool:
    """Puts lines back when a delayed payment failed, as a new generation. Locks the cart; call inside a transaction.

    Units join a line that the customer has added meanwhile, up to 999; the cart may exceed 100 lines by what comes
    back, because losing a customer's choice is worse. No price was shown for them.
    Returns False when there is no such cart.
    """
    cart = lock_cart(shop_id=shop_id, cart_id=cart_id)
    if cart is None:
        return False
    rows = {
        identity(row.variant_key, row.options, row.rental_start, row.rental_end): row
        for row in CartLine.objects.filter(shop_id=shop_id, cart=cart)
    }
    position = max((row.position for row in rows.values()), default=0)
    for (variant_key, options, rental_start, rental_end), quantity in bought_by_identity(bought).items():
        row = rows.get((variant_key, options, rental_start, rental_end))
        if row is not None:
            CartLine.objects.filter(pk=row.pk, shop_id=shop_id).update(
                quantity=min(MAX_QUANTITY, row.quantity + quantity)
            )
            continue
        position += 1
        CartLine.objects.create(
            shop_id=shop_id,
            cart=cart,
            sku=parse_variant_key(variant_key)[0],
            variant_key=variant_key,
            quantity=min(MAX_QUANTITY, quantity),
            options=dict(options),
            rental_start=rental_start,
            rental_end=rental_end,
            position=position,
        )
    _bump_generation(cart)
    return True


def _locked(*, shop_id: str, cart_id: UUID) -> tuple[Cart, list[CartLine]]:
    cart = lock_cart(shop_id=shop_id, cart_id=cart_id)
    if cart is None:
        raise NotFound("There is no such cart.")
    return cart, _rows(cart)


def _locked_or_new(*, shop_id: str, cart_id: UUID | None) -> Cart:
    cart = lock_cart(shop_id=shop_id, cart_id=cart_id) if cart_id is not None else None
    # Never under the asked-for id: it may be another shop's.
    return cart or Cart.objects.create(shop_id=shop_id)


def _rows(cart: Cart) -> list[CartLine]:
    return list(CartLine.objects.filter(shop_id=cart.shop_id, cart=cart).order_by("position", "id"))


def _identity(row: CartLine) -> tuple[object, ...]:
    return identity(row.variant_key, row.options, row.rental_start, row.rental_end)


def _new_row(cart: Cart, line: NewLine, *, position: int) -> CartLine:
    return CartLine(
        shop_id=cart.shop_id,
        cart=cart,
        sku=line.sku,
        variant_key=line.variant_key,
        quantity=line.quantity,
        options=dict(line.options),
        rental_start=line.rental_start,
        rental_end=line.rental_end,
        shown_amount=line.shown_amount,
        shown_currency=line.shown_currency,
        position=position,
    )


def _bump_generation(cart: Cart) -> int:
    """Makes a new generation of a locked cart, and returns it."""
    Cart.objects.filter(pk=cart.pk, shop_id=cart.shop_id).update(
        generation=F("generation") + 1, updated_at=timezone.now()
    )
    cart.generation += 1
    return cart.generation


def _changed(cart: Cart, rows: Sequence[CartLine]) -> CartSnapshot:
    return CartSnapshot(cart_id=cart.pk, generation=_bump_generation(cart), lines=tuple(_facts(row) for row in rows))


def _facts(row: CartLine) -> CartLineFacts:
    return CartLineFacts(
        line_id=row.pk,
        sku=row.sku,
        variant_key=row.variant_key,
        quantity=row.quantity,
        options=row.options,
        rental_start=row.rental_start,
        rental_end=row.rental_end,
        shown_amount=row.shown_amount,
        shown_currency=row.shown_currency,
    )
