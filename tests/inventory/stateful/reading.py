"""The database's side of the comparison, in the model's words. Plain SQL: it shares no code with the verbs."""

from __future__ import annotations

from django.db import connection

ROWS = "SELECT owner_id, variant_key, on_hand, held, available, low_stock_threshold FROM inventory_stockrow"
HOLDS = """
    SELECT h.id, h.shop_id, h.status, h.held_for, h.idempotency_key, h.active_idempotency_key, h.ttl_seconds,
        h.expires_at, h.finished_at IS NOT NULL
    FROM inventory_hold h
"""
# By the shop's own word for the variant, and where the units are.
ITEMS = """
    SELECT h.id, coalesce(r.variant_key, s.variant_key), i.quantity, s.owner_id, s.variant_key
    FROM inventory_hold h JOIN inventory_holditem i ON i.hold_id = h.id
    JOIN inventory_stockrow s ON s.id = i.stock_row_id
    LEFT JOIN inventory_poolroute r ON r.id = i.route_id AND r.stock_row_id = s.id AND r.shop_id = h.shop_id
"""
ROUTES = """
    SELECT r.shop_id, r.variant_key, s.variant_key, r.enabled, r.allocation_cap, r.held, r.sold
    FROM inventory_poolroute r JOIN inventory_stockrow s ON s.id = r.stock_row_id AND s.owner_id = r.pool_id
"""
MOVEMENTS = """
    SELECT m.owner_id, s.variant_key, m.delta, m.on_hand_after, m.reason, m.reference, m.for_shop_id
    FROM inventory_stockmovement m JOIN inventory_stockrow s ON s.id = m.stock_row_id
"""
AUDITS = "SELECT shop_id, action FROM tenants_auditentry"


def read(shops: list[str], pool: str) -> dict[str, object]:
    """Everything of these shops and of their pool that a verb of the inventory can have written."""
    owners = [*shops, pool]
    with connection.cursor() as cursor:

        def rows(statement: str, of: list[str]) -> list[tuple]:
            cursor.execute(statement, [of])
            return cursor.fetchall()

        items: dict[object, list[tuple]] = {}
        for hold_id, *item in rows(f"{ITEMS} WHERE h.shop_id = ANY (%s)", shops):
            items.setdefault(hold_id, []).append(tuple(item))
        return {
            "rows": {tuple(row[:2]): tuple(row[2:]) for row in rows(f"{ROWS} WHERE owner_id = ANY (%s)", owners)},
            "holds": {
                row[0]: (*row[1:], tuple(sorted(items.get(row[0], ()))))
                for row in rows(f"{HOLDS} WHERE h.shop_id = ANY (%s)", shops)
            },
            "routes": rows(f"{ROUTES} WHERE r.shop_id = ANY (%s) ORDER BY r.id", shops),
            "movements": sorted(rows(f"{MOVEMENTS} WHERE m.owner_id = ANY (%s)", owners), key=str),
            "audits": rows(f"{AUDITS} WHERE shop_id = ANY (%s) ORDER BY id", shops),
        }
