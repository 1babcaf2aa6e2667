"""The same for rentals, charges on saved cards and subscriptions."""

from __future__ import annotations

from typing import Final

from tests.load.columns import AT, ID, RARELY, SHOP

RENTED: Final = {
    "commerce_rental": f"""
        INSERT INTO commerce_rental (id, shop_id, order_id, status, source, starts_on, ends_on, next_out_on,
            next_due_on, handed_out_at, returned_at, inspected_at, closed_at, owed_amount, endangered, frees_days,
            created_at)
        SELECT {ID}, {SHOP}, {ID}, CASE WHEN {RARELY} THEN 'handed_out' ELSE 'closed' END, 'checkout',
            ({AT})::date, ({AT})::date + 2, NULL, CASE WHEN {RARELY} THEN ({AT})::date + 2 END, {AT}, {AT}, {AT}, {AT},
            0, CASE WHEN {RARELY} THEN 1 ELSE 0 END, false, {AT} FROM generate_series(1, %s) n""",
    "commerce_charge": f"""
        INSERT INTO commerce_charge (id, shop_id, order_id, purpose, operation_key, status, amount, currency, manual,
            stripe_account, stripe_key, stripe_params, keyed_at, tries, sends, refusals, payment_intent_id, charge_id,
            balance_transaction_id, captured_amount, refunded_amount, capture_before, release, error_code, read_stamp,
            acting, reason, request_id, created_at)
        SELECT {ID}, {SHOP}, {ID}, CASE WHEN {RARELY} THEN 'damage' ELSE 'late_fee' END, 'k' || n,
            CASE WHEN n %% 2000 = 0 THEN 'requires_capture' WHEN {RARELY} THEN 'declined' ELSE 'succeeded' END, 500,
            'EUR', false, 'acct_standin', 'k' || n, '{{}}', {AT}, 1, 1, 0, 'pc_' || n, 'ch_' || n, 'txn_' || n, 500, 0,
            CASE WHEN n %% 2000 = 0 THEN {AT} END, false, '', 1, 'staff:x', 'Late', '', {AT}
        FROM generate_series(1, %s) n""",
    "commerce_collection": f"""
        INSERT INTO commerce_collection (id, shop_id, order_id, purpose, operation_key, currency, amount, from_deposit,
            from_hold, from_card, basis, acting, reason, created_at)
        SELECT {ID}, {SHOP}, {ID}, CASE WHEN {RARELY} THEN 'damage' ELSE 'late_fee' END, 'k' || n, 'EUR', 500, 500, 0,
            0, '{{}}', 'staff:x', 'Late', {AT} FROM generate_series(1, %s) n""",
    "commerce_subscription": f"""
        INSERT INTO commerce_subscription (id, shop_id, stripe_account, subscription_id, customer_id, status, currency,
            email, items, cancel_at_period_end, collection_paused, latest_invoice_id, metadata, read_stamp, read_at,
            created_at)
        SELECT {ID}, {SHOP}, 'acct_standin', 'sub_' || n, 'cus_' || n, CASE WHEN {RARELY} THEN 'past_due'
            WHEN n %% 5 = 0 THEN 'canceled' ELSE 'active' END, 'EUR', 'buyer' || n || '@example.test', '[]', false,
            false, 'in_' || n, '{{}}', 1, {AT}, {AT} FROM generate_series(1, %s) n""",
    "commerce_invoice": f"""
        INSERT INTO commerce_invoice (id, shop_id, stripe_account, invoice_id, subscription_id, customer_id, status,
            number, billing_reason, currency, amount_due, amount_paid, amount_remaining, total_amount, tax_amount,
            refunded_amount, attempt_count, customer_email, page_url, needs_action, payment_intent_id, charge_id,
            balance_transaction_id, read_stamp, read_at, created_at)
        SELECT {ID}, {SHOP}, 'acct_standin', 'in_' || n, 'sub_' || n, 'cus_' || n,
            CASE WHEN n %% 3000 = 0 THEN 'uncollectible' WHEN {RARELY} THEN 'open' ELSE 'paid' END, '', '', 'EUR', 500,
            500, 0, 500, 0, 0, 1, '', '', {RARELY}, 'pi_' || n, 'ch_' || n, 'txn_' || n, 1, {AT}, {AT}
        FROM generate_series(1, %s) n""",
    "commerce_plan": f"""
        INSERT INTO commerce_plan (id, shop_id, code, names, descriptions, active, position, created_at)
        SELECT {ID}, {SHOP}, 'plan-' || n, '{{"en": "Club"}}', '{{}}', {RARELY}, 0, {AT}
        FROM generate_series(1, %s) n""",
    "commerce_subscriptionoperation": f"""
        INSERT INTO commerce_subscriptionoperation (id, shop_id, subscription_id, kind, state, idempotency_key, digest,
            stripe_key, stripe_params, told, sends, refusals, error, acting, reason, request_id, created_at,
            finished_at)
        SELECT {ID}, {SHOP}, {ID}, 'change', CASE WHEN {RARELY} THEN 'unknown' ELSE 'done' END, 'k' || n, '', 'k' || n,
            '{{}}', '{{}}', 1, 0, '', 'staff:x', '', '', {AT}, CASE WHEN {RARELY} THEN NULL ELSE {AT} END
        FROM generate_series(1, %s) n""",
}  # fmt: skip
