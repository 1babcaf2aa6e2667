"""The shop that holds are measured in: its stock, the proof that nothing was lost or made up, and its removal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.db import connection

from checkout.models import CheckoutAttempt
from commerce.models import Order, OrderLine, Product, Variant
from tenants.models import Host, ServiceToken, Shop, ShopSettings, StripeObject
from webhooks.models import StripeEvent

SHOP_ID: Final = "bench-holds"
EVENTS: Final = "evt_bench_"
"""What the id of every event begins with that a run has made."""
SKUS: Final = 9_999
"""Divided by three: the lines of a cart come from thirds that don't meet, so that a cart names no variant twice."""
ON_HAND: Final = 1_000_000_000
PAST: Final = 20_000

_STOCK: Final = """
    INSERT INTO inventory_stockrow (owner_id, sku, variant_key, on_hand, held, low_stock_threshold, created_at)
    SELECT %s, 'bench-' || n, 'bench-' || n, %s, 0, 0, now() FROM generate_series(1, %s) AS n
"""
# Holds that have ended, as a shop has them: sessions that meet an empty table plan to read all of it, ever after.
_PAST: Final = """
    WITH ended AS (
        INSERT INTO inventory_hold (id, shop_id, status, held_for, idempotency_key, active_idempotency_key,
                lines_digest, ttl_seconds, expires_at, created_at, finished_at, finish_reason, finished_by, request_id)
            SELECT uuidv7(), %(shop)s, 'released', 'direct', 'past-' || n, NULL, repeat('0', 64), 600, now(), now(),
                now(), '', '', '' FROM generate_series(1, %(past)s) AS n RETURNING id)
    INSERT INTO inventory_holditem (shop_id, hold_id, stock_row_id, quantity)
        SELECT %(shop)s, ended.id, (SELECT min(id) FROM inventory_stockrow WHERE owner_id = %(shop)s), 1 FROM ended
"""
_COUNTED: Final = """
    SELECT (SELECT coalesce(sum(on_hand), 0) FROM inventory_stockrow WHERE owner_id = %(shop)s),
           (SELECT coalesce(sum(held), 0) FROM inventory_stockrow WHERE owner_id = %(shop)s),
           (SELECT count(*) FROM inventory_hold WHERE shop_id = %(shop)s AND status = 'active'),
           (SELECT count(*) FROM inventory_holditem i JOIN inventory_hold h ON h.id = i.hold_id
                WHERE h.shop_id = %(shop)s AND h.status = 'active'),
           (SELECT coalesce(sum(i.quantity), 0) FROM inventory_holditem i JOIN inventory_hold h ON h.id = i.hold_id
                WHERE h.shop_id = %(shop)s AND h.status = 'active')
"""
# Nobody may take back what these tables tell of: only their owner can, by lifting what guards them for the length of a
# transaction. Benchmarks have a database of their own for that, and refuse to run in production.
_HISTORIES: Final = (
    ("commerce_journalline", "shop_id", "journal_line_append_only"),
    ("commerce_journalentry", "shop_id", "journal_entry_append_only"),
    ("inventory_stockmovement", "owner_id", "inventory_stockmovement_append_only"),
    ("tenants_auditentry", "shop_id", "tenants_auditentry_append_only"),
)


@dataclass(frozen=True, slots=True)
class Counted:
    """`on_hand` and `held`: what the stock rows say. `units`: what the active holds' items say."""

    on_hand: int
    held: int
    holds: int
    items: int
    units: int


def counted() -> Counted:
    with connection.cursor() as cursor:
        cursor.execute(_COUNTED, {"shop": SHOP_ID})
        return Counted(*map(int, cursor.fetchone()))


def prove(before: Counted, *, placed: int, lines: int) -> Counted:
    """What there is now, after `placed` holds of `lines` units each. Raises RuntimeError when that isn't what's there.

    No unit was sold or made, the rows hold what the items say, and every hold is whole.
    """
    now = counted()
    expected = Counted(
        on_hand=before.on_hand,
        held=before.held + placed * lines,
        holds=before.holds + placed,
        items=before.items + placed * lines,
        units=before.units + placed * lines,
    )
    if now != expected:
        raise RuntimeError(f"Stock is not conserved: {now} where {expected} was due.")
    return now


@contextlib.contextmanager
def stage(*, skus: int = SKUS, past: int = PAST) -> Iterator[None]:
    """A shop with `skus` stock rows, and `past` holds that have ended, for the length of the run. What an interrupted
    run has left goes first.
    """
    _remove()
    shop = Shop.objects.create(id=SHOP_ID, name="Benchmark")
    ShopSettings.objects.create(shop=shop, currency="EUR", locales=["en"])
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO inventory_stockowner (id, shop_id) VALUES (%s, %s)", [SHOP_ID, SHOP_ID])
        # Without movements, which nobody may delete: the history of these rows begins and ends with the run.
        cursor.execute(_STOCK, [SHOP_ID, ON_HAND, skus])
        cursor.execute(_PAST, {"shop": SHOP_ID, "past": past})
    # What autovacuum would do in a minute, and until then plans would be those of unknown tables. On the driver's own
    # connection: statements of a scope run as a role that may not do this.
    connection.connection.execute("VACUUM ANALYZE inventory_stockrow, inventory_hold, inventory_holditem")
    try:
        yield
    finally:
        _remove()


@contextlib.contextmanager
def catalog(*, skus: int) -> Iterator[None]:
    """The first stock rows of the stage as products at 25.00 EUR. What was bought of them goes with the stage."""
    Product.objects.bulk_create(
        Product(shop_id=SHOP_ID, sku=f"bench-{number}", slug=f"bench-{number}") for number in range(1, skus + 1)
    )
    products = Product.objects.filter(shop_id=SHOP_ID)
    Variant.objects.bulk_create(
        Variant(
            shop_id=SHOP_ID,
            product=product,
            sku=product.sku,
            variant_key=product.sku,
            currency="EUR",
            price_amount=2500,
        )
        for product in products
    )
    try:
        yield
    finally:
        _remove_checkouts()


def _remove_checkouts() -> None:
    StripeEvent.objects.filter(event_id__startswith=EVENTS).delete()
    # On the driver's own connection: statements of a scope run as a role that may not do this.
    driver = connection.connection
    with driver.transaction():
        for table, _, guard in _HISTORIES:
            driver.execute(f"ALTER TABLE {table} DISABLE TRIGGER {guard}")
        for table, column, _ in _HISTORIES:
            driver.execute(f"DELETE FROM {table} WHERE {column} = %s", [SHOP_ID])  # noqa: S608
        driver.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table, _, guard in _HISTORIES:
            driver.execute(f"ALTER TABLE {table} ENABLE TRIGGER {guard}")
    for rows in (CheckoutAttempt, OrderLine, Order, Variant, Product, StripeObject):
        rows._default_manager.filter(shop_id=SHOP_ID).delete()


def _remove() -> None:
    _remove_checkouts()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM inventory_holditem WHERE shop_id = %s", [SHOP_ID])
        cursor.execute("DELETE FROM inventory_hold WHERE shop_id = %s", [SHOP_ID])
        cursor.execute("DELETE FROM inventory_stockrow WHERE owner_id = %s", [SHOP_ID])
        cursor.execute("DELETE FROM inventory_stockowner WHERE id = %s", [SHOP_ID])
    Host.objects.filter(shop_id=SHOP_ID).delete()
    ServiceToken.objects.filter(shop_id=SHOP_ID).delete()
    Shop.objects.filter(pk=SHOP_ID).delete()
