"""The database's side of the comparison, in the model's words. Plain SQL: it shares no code with the verbs."""

from __future__ import annotations

from django.db import connection

ROWS = "SELECT owner_id, variant_key, on_hand, held, available, low_stock_threshold FROM inventory_stockrow"
HOLDS = """
    SELECT h.id, h.shop_id, h.status, h.held_for, h.idempotency_key, h.active_idempotency_key, h.ttl_seconds,
        h.expires_at, h.finished_at IS NOT NULL,
        (SELECT array_agg(s.variant_key ORDER BY s.variant_key COLLATE "C") FROM inventory_holditem i
            JOIN inventory_stockrow s ON s.id = i.stock_row_id AND s.owner_id = h.shop_id WHERE i.hold_id = h.id),
        (SELECT array_agg(i.quantity ORDER BY s.variant_key COLLATE "C") FROM inventory_holditem i
            JOIN inventory_stockrow s ON s.id = i.stock_row_id AND s.owner_id = h.shop_id WHERE i.hold_id = h.id)
    FROM inventory_hold h
"""
MOVEMENTS = """
    SELECT m.owner_id, s.variant_key, m.delta, m.on_hand_after, m.reason, m.reference
    FROM inventory_stockmovement m JOIN inventory_stockrow s ON s.id = m.stock_row_id
"""
AUDITS = "SELECT shop_id, action FROM tenants_auditentry"


def read(shops: list[str]) -> dict[str, object]:
    """Everything of these shops that a verb of the inventory can have written."""
    with connection.cursor() as cursor:

        def rows(statement: str) -> list[tuple]:
            cursor.execute(statement, [shops])
            return cursor.fetchall()

        return {
            "rows": {tuple(row[:2]): tuple(row[2:]) for row in rows(f"{ROWS} WHERE owner_id = ANY (%s)")},
            "holds": {
                row[0]: (*row[1:9], tuple(zip(row[9] or (), row[10] or (), strict=True)))
                for row in rows(f"{HOLDS} WHERE h.shop_id = ANY (%s)")
            },
            "movements": sorted(rows(f"{MOVEMENTS} WHERE m.owner_id = ANY (%s)")),
            "audits": rows(f"{AUDITS} WHERE shop_id = ANY (%s) ORDER BY id"),
        }
