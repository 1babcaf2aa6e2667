"""Rows of the money tables by SQL, as many as wanted: two shops, nine in ten rows of the first; the rare is rare."""

from __future__ import annotations

from typing import Final

from django.db import connection

from tests.factories.tenants import ShopFactory
from tests.load.columns import AT, ID, RARELY, SHOP
from tests.load.rented import RENTED

FILL: Final = {
    "commerce_order": f"""
        INSERT INTO commerce_order (id, shop_id, number, status, source, currency, subtotal_amount, discount_amount,
            shipping_amount, tax_amount, tax_mode, tax_inclusive, deposit_amount, total_amount, refunded_amount,
            deposit_refunded_amount, deposit_kept_amount, expected_total_amount, amount_differs, disputed,
            stripe_account, session_id, payment_intent_id, charge_id, balance_transaction_id, email, customer_name,
            phone, shipping_name, coupon_code, locale, review_reason, request_id, created_at, confirmed_at)
        SELECT {ID}, {SHOP}, n::text, CASE WHEN {RARELY} THEN 'review' WHEN n %% 7 = 0 THEN 'refunded'
            WHEN n %% 5 = 0 THEN 'canceled' ELSE 'confirmed' END, 'checkout', 'EUR', 2500, 0, 0, 0, 'none', false, 0,
            2500, 0, 0, 0, 2500, {RARELY}, {RARELY}, 'acct_standin', 'cs_' || n, 'pi_' || n, 'ch_' || n, 'txn_' || n,
            'buyer' || n || '@example.test', '', '', '', '', 'en', '', '', {AT}, {AT}
        FROM generate_series(1, %s) n""",
    "commerce_return": f"""
        INSERT INTO commerce_return (id, shop_id, order_id, idempotency_key, digest, status, restock, reason, acting,
            request_id, created_at)
        SELECT {ID}, {SHOP}, {ID}, 'k' || n, '', CASE WHEN {RARELY} THEN 'refused' ELSE 'accepted' END,
            CASE WHEN {RARELY} THEN 'failed' ELSE 'done' END, 'Torn', 'staff:x', '', {AT}
        FROM generate_series(1, %s) n""",
    "commerce_refund": f"""
        INSERT INTO commerce_refund (id, shop_id, order_id, returned_id, status, currency, amount, deposit_amount,
            tax_amount, stripe_account, stripe_key, stripe_params, refund_id, sends, refusals, read_stamp,
            failure_reason, pending_reason, told_status, created_at)
        SELECT {ID}, {SHOP}, {ID}, {ID}, CASE WHEN {RARELY} THEN 'failed' ELSE 'succeeded' END, 'EUR', 100, 0, 0,
            'acct_standin', 'k' || n, '{{}}', 're_' || n, 1, 0, 1, '', '', '', {AT} FROM generate_series(1, %s) n""",
    "commerce_journalentry": f"""
        INSERT INTO commerce_journalentry (id, shop_id, kind, reference, order_id, currency, source, memo, request_id,
            posted_at)
        OVERRIDING SYSTEM VALUE
        SELECT n, {SHOP}, CASE WHEN {RARELY} THEN 'dispute_withdrawn' ELSE 'capture' END, 'cs_' || n, {ID}, 'EUR',
            'ch_' || n, '', '', {AT} FROM generate_series(1, %s) n""",
    "commerce_journalline": f"""
        INSERT INTO commerce_journalline (shop_id, entry_id, account, amount)
        SELECT {SHOP}, n, account, amount FROM generate_series(1, %s) n,
            (VALUES ('stripe_clearing', 2500), ('revenue', -2500)) lines (account, amount)""",
    "commerce_dispute": f"""
        INSERT INTO commerce_dispute (id, shop_id, stripe_account, dispute_id, order_id, charge_id, payment_intent_id,
            status, reason, currency, amount, withdrawn_amount, fee_amount, refundable, evidence_due_by, read_stamp,
            read_at, created_at)
        SELECT {ID}, {SHOP}, 'acct_standin', 'du_' || n, {ID}, 'ch_' || n, 'pi_' || n,
            CASE WHEN {RARELY} THEN 'needs_response' ELSE 'lost' END, 'fraudulent', 'EUR', 2500, 0, 0, false, {AT}, 1,
            {AT}, {AT} FROM generate_series(1, %s) n""",
    "commerce_reconciliationrecord": f"""
        INSERT INTO commerce_reconciliationrecord (id, shop_id, source, external_id, payload, payload_digest, state,
            normalised, reasons, order_id, received_by, request_id, received_at, decided_at)
        SELECT {ID}, {SHOP}, 'worker_reconciliation', 'A-' || n, '{{}}', 'd' || n,
            CASE WHEN {RARELY} THEN 'rejected' ELSE 'applied' END, {RARELY},
            CASE WHEN {RARELY} THEN '{{"total": ["Unclear"]}}'::jsonb ELSE '{{}}' END,
            CASE WHEN {RARELY} THEN NULL ELSE {ID} END, 'api:worker', '', {AT}, {AT}
        FROM generate_series(1, %s) n""",
    "tenants_auditentry": f"""
        INSERT INTO tenants_auditentry (shop_id, at, actor_kind, actor_name, action, object_type, object_id, reason,
            data, request_id)
        SELECT {SHOP}, {AT}, CASE WHEN {RARELY} THEN 'staff' ELSE 'system' END,
            CASE WHEN {RARELY} THEN 'olga' ELSE 'settlement' END, CASE WHEN {RARELY} THEN 'host.changed' ELSE
            'order.confirmed' END, CASE WHEN {RARELY} THEN 'host' ELSE 'order' END, n::text, '', '{{}}', 'r' || n
        FROM generate_series(1, %s) n""",
    **RENTED,
}  # fmt: skip


# Of rows that are rolled back, nobody has to prove anything: the tests of a million would spend their time with that.
_KEYS: Final = "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'f'"


def fill(rows: int, *tables: str) -> None:
    """Fills `tables` with `rows` rows each, past triggers and foreign keys, in a transaction that is rolled back.

    The planner learns what they hold.
    """
    for shop_id in ("band", "other"):
        ShopFactory(id=shop_id)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in tables:
            cursor.execute(_KEYS, [table])
            for (name,) in cursor.fetchall():
                cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            cursor.execute(FILL[table], [rows])
            cursor.execute(f"ANALYZE {table}")
