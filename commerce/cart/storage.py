"""Where lines are kept: in rows, or in Redis under the version that the cart's row names (C4).

The row alone says which: `lines_version` is null while lines are rows. A setting says where the next change writes, so
it may be turned at any time, in either direction, and every cart is found.

Rows change under the cart's lock. Lines in Redis can't, because nothing waits for a network inside a transaction: a
change writes the new lines under a version of their own, then moves the row to it, if the row is still the one that was
read. After a crash between the two the cart is the older one, whole, and the new key is nobody's.
Settlement must empty a cart in the very transaction that sells it: what it does to lines in Redis is written on the row
as amendments, applied at every reading and folded in by the next change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from uuid_utils.compat import uuid7

from commerce.cart.errors import CartBusy
from commerce.cart.lines import BoughtLine, CartLineFacts, CartSnapshot, Lines, with_returned, without_bought
from commerce.cart.locks import lock_cart
from commerce.cart.metrics import LINES_LOST
from commerce.cart.models import Cart, CartLine
from commerce.cart.redis_lines import drop_lines, get_lines, put_lines
from tenants.database import shop_tx
from tenants.errors import NotFound

log = structlog.get_logger(__name__)

# At each try one of the rivals gets through: so many tabs at once are no customer's.
TRIES: Final = 40
_LINE_FIELDS: Final = (
    "lines__id", "lines__sku", "lines__variant_key", "lines__quantity", "lines__options",
    "lines__rental_start", "lines__rental_end", "lines__shown_amount", "lines__shown_currency",
)  # fmt: skip

Edit = Callable[[Lines], Lines]


class Amendment(msgspec.Struct, frozen=True):
    """What settlement took out of lines in Redis, or put back. Lines that come back keep the ids they have here."""

    kind: Literal["bought", "returned"]
    lines: Lines

    def applied_to(self, lines: Lines) -> Lines:
        if self.kind == "returned":
            return with_returned(lines, self.lines)
        return without_bought(
            lines,
            [BoughtLine(b.variant_key, b.quantity, b.options, b.rental_start, b.rental_end) for b in self.lines],
        )

    def as_json(self) -> Any:
        return msgspec.to_builtins(self)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A cart's row as read, and its lines where those are rows."""

    generation: int
    version: UUID | None
    amendments: Sequence[Any]
    rows: Lines


def read_cart(*, shop_id: str, cart_id: UUID) -> CartSnapshot:
    """Generation and lines of one moment. One query, and one look into Redis for lines that are there.

    An unknown cart is an empty one of generation 0. Raises CartsUnavailable.
    """
    found = _read(shop_id, cart_id)
    return CartSnapshot(cart_id, 0, ()) if found is None else found[1]


def change_lines(
    *, shop_id: str, cart_id: UUID | None, edit: Edit, make: UUID | None = None, new_generation: bool = True
) -> CartSnapshot:
    """The cart after `edit`, which is pure and may be asked several times. An edit that returns its argument changes
    nothing. Durable. `make`: a cart that this shop hasn't got is made under this id, never under the asked-for one,
    which may be another shop's. `new_generation` false is for what is no change to the customer.

    Raises NotFound for an unknown cart, CartsUnavailable, CartBusy, and what `edit` raises; nothing is changed then.
    """
    if settings.CART_STORAGE == "postgres" and (found := _change_rows(shop_id, cart_id, edit, make, new_generation)):
        return found
    return _change_by_comparison(shop_id, cart_id, edit, make, new_generation)


def empty_within(cart: Cart) -> None:
    """Removes every line of a locked cart, wherever they are, in the caller's transaction. Bumps its generation."""
    CartLine.objects.filter(shop_id=cart.shop_id, cart=cart).delete()
    _drop_after_commit(cart)
    _bump(cart, lines_version=None, amendments=[])


def amend_within(cart: Cart, amendment: Amendment) -> None:
    """Does to a locked cart's lines what settlement wants, in the caller's transaction.

    Lines in Redis can't be looked at here, so their cart has a new generation although perhaps nothing left it. What
    returns makes one in any case: no attempt may have completed the generation that has it.
    """
    if cart.lines_version is not None:
        _bump(cart, amendments=[*cart.amendments, amendment.as_json()])
        return
    rows = _rows(cart)
    before = tuple(map(_facts, rows))
    after = amendment.applied_to(before)
    if after != before or amendment.kind == "returned":
        _write_rows(cart, rows, after)
        _bump(cart)


# ---------------------------------------------------------------- reading
def _read(shop_id: str, cart_id: UUID) -> tuple[_Stored, CartSnapshot] | None:
    stored = _stored(shop_id, cart_id)
    while stored is not None:
        if stored.version is None:
            return stored, CartSnapshot(cart_id, stored.generation, stored.rows)
        kept = get_lines(shop_id=shop_id, cart_id=cart_id, version=stored.version)
        if kept is None and (now := _stored(shop_id, cart_id)) != stored:
            stored = now  # changed between the two looks, and the older version removed
            continue
        lines = kept or ()
        for amendment in msgspec.convert(stored.amendments, list[Amendment]):
            lines = amendment.applied_to(lines)
        return stored, CartSnapshot(cart_id, stored.generation, lines, lost=kept is None)
    return None


def _stored(shop_id: str, cart_id: UUID) -> _Stored | None:
    """One statement, so that generation and lines can't come from before and after a change."""
    rows = Cart.objects.filter(pk=cart_id, shop_id=shop_id).order_by("lines__position", "lines__id")
    found = list(rows.values_list("generation", "lines_version", "amendments", *_LINE_FIELDS))
    if not found:
        return None
    generation, version, amendments = found[0][:3]
    return _Stored(generation, version, amendments, tuple(CartLineFacts(*row[3:]) for row in found if row[3]))


# ---------------------------------------------------------------- changing rows, under the cart's lock
def _change_rows(
    shop_id: str, cart_id: UUID | None, edit: Edit, make: UUID | None, new_generation: bool
) -> CartSnapshot | None:
    """None when the lines aren't rows (yet)."""
    with shop_tx(shop_id):
        cart = lock_cart(shop_id=shop_id, cart_id=cart_id) if cart_id is not None else None
        made = cart is None
        if cart is None:
            cart = _made(shop_id, make)
        elif cart.lines_version is not None:
            return None
        rows = _rows(cart)
        before = tuple(map(_facts, rows))
        after = edit(before)
        if made or after is not before:
            _write_rows(cart, rows, after)
            if new_generation:
                _bump(cart)
        return CartSnapshot(cart.pk, cart.generation, after)


def _made(shop_id: str, make: UUID | None) -> Cart:
    if make is None:
        raise NotFound("There is no such cart.")
    return Cart.objects.create(pk=make, shop_id=shop_id)


def _rows(cart: Cart) -> list[CartLine]:
    return list(CartLine.objects.filter(shop_id=cart.shop_id, cart=cart).order_by("position", "id"))


def _write_rows(cart: Cart, rows: Sequence[CartLine], after: Lines) -> None:
    """Makes `after` of `rows`: removals first, since a new line may be equal to one that goes."""
    kept = {row.pk: row for row in rows}
    wanted = {line.line_id for line in after}
    if gone := kept.keys() - wanted:
        CartLine.objects.filter(shop_id=cart.shop_id, cart=cart, pk__in=gone).delete()
    position = max((row.position for row in rows if row.pk in wanted), default=0)
    changed, new = [], []
    for line in after:
        row = kept.get(line.line_id)
        if row is None:
            position += 1
            new.append(_new_row(cart, line, position=position))
        elif _facts(row) != line:
            row.quantity = line.quantity
            row.shown_amount, row.shown_currency = line.shown_amount, line.shown_currency
            changed.append(row)
    if changed:
        CartLine.objects.bulk_update(changed, ["quantity", "shown_amount", "shown_currency"])
    if new:
        CartLine.objects.bulk_create(new)


def _new_row(cart: Cart, line: CartLineFacts, *, position: int) -> CartLine:
    return CartLine(
        id=line.line_id,
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


def _bump(cart: Cart, **fields: Any) -> None:
    """Makes a new generation of a locked cart."""
    Cart.objects.filter(pk=cart.pk, shop_id=cart.shop_id).update(
        generation=F("generation") + 1, updated_at=timezone.now(), **fields
    )
    cart.generation += 1


def _drop_after_commit(cart: Cart) -> None:
    version = cart.lines_version
    if version is None:
        return
    shop_id, cart_id = cart.shop_id, cart.pk
    transaction.on_commit(lambda: drop_lines(shop_id=shop_id, cart_id=cart_id, version=version), robust=True)


# ---------------------------------------------------------------- changing by comparison, where Redis has a part
def _change_by_comparison(
    shop_id: str, cart_id: UUID | None, edit: Edit, make: UUID | None, new_generation: bool
) -> CartSnapshot:
    _refuse_transaction()
    for _ in range(TRIES):
        found = _read(shop_id, cart_id) if cart_id is not None else None
        if found is None and make is None:
            raise NotFound("There is no such cart.")
        stored, before = found or (None, CartSnapshot(make or uuid7(), 0, ()))
        after = edit(before.lines)
        if after is before.lines and stored is not None and not before.lost:
            return before
        moved = _moved(shop_id, stored, before, after, new_generation or before.lost)
        if moved is not None:
            return moved
    raise CartBusy


def _moved(
    shop_id: str, stored: _Stored | None, before: CartSnapshot, after: Lines, new_generation: bool
) -> CartSnapshot | None:
    """Writes `after` and moves the row to it; None when the row isn't any more what was read."""
    cart_id = before.cart_id
    version = uuid7() if after and settings.CART_STORAGE == "redis" else None
    if version is not None:
        put_lines(shop_id=shop_id, cart_id=cart_id, version=version, lines=after)  # no tx
    with shop_tx(shop_id):
        cart = _claimed(shop_id, cart_id, stored, version, new_generation)
        if cart is not None and (version is None or (stored is not None and stored.rows)):
            CartLine.objects.filter(shop_id=shop_id, cart=cart).delete()
            if version is None and after:
                _write_rows(cart, [], after)
    older = stored.version if stored is not None else None
    if (useless := version if cart is None else older) is not None:
        drop_lines(shop_id=shop_id, cart_id=cart_id, version=useless)
    if cart is None:
        return None
    if before.lost:
        LINES_LOST.labels(shop_id=shop_id).inc()
        log.error("cart_lines_lost", cart_id=str(cart_id), generation=before.generation)
    return CartSnapshot(cart_id, cart.generation, after, lost=before.lost)


def _claimed(
    shop_id: str, cart_id: UUID, stored: _Stored | None, version: UUID | None, new_generation: bool
) -> Cart | None:
    """The cart's row with its new version, locked by this; None when another change was faster."""
    if stored is None:
        return Cart.objects.create(pk=cart_id, shop_id=shop_id, generation=1, lines_version=version)
    fields: dict[str, Any] = {"lines_version": version, "amendments": []}
    generation = stored.generation
    if new_generation:
        generation += 1
        fields |= {"generation": generation, "updated_at": timezone.now()}
    # `exact` on null finds nothing in SQL, so that case is asked for in its own words.
    same = {"lines_version__isnull": True} if stored.version is None else {"lines_version": stored.version}
    rows = Cart.objects.filter(pk=cart_id, shop_id=shop_id, generation=stored.generation, **same)
    if not rows.update(**fields):
        return None
    return Cart(pk=cart_id, shop_id=shop_id, generation=generation, lines_version=version)


def _refuse_transaction() -> None:
    """Redis is a network, and a lost comparison must be able to look again."""
    if connection.in_atomic_block and not getattr(connection.atomic_blocks[-1], "_from_testcase", False):
        raise RuntimeError("A cart whose lines are in Redis can't be changed inside a transaction.")
