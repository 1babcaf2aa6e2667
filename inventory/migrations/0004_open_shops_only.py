"""Only a shop that exists and is active places new holds, whoever calls."""

from django.db import migrations

# As in 0003, and one more answer: closed, for a shop that is not open for new business. Holds that are there are found.
# p_variant_keys are distinct. The clock is the caller's: p_now. Waiting too long is error 55P03.
HOLD_PLACE = """
CREATE OR REPLACE FUNCTION inventory_hold_place(
    p_shop text, p_hold uuid, p_key text, p_digest text, p_variant_keys text[], p_quantities integer[],
    p_held_for text, p_ttl_seconds integer, p_now timestamptz, p_request_id text, p_lock_timeout_ms integer,
    OUT o_answer text, OUT o_hold uuid, OUT o_status text, OUT o_expires_at timestamptz, OUT o_available jsonb,
    OUT o_waited_seconds double precision
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_rows bigint[];
    v_quantities integer[];
    v_enough boolean;
    v_rival inventory_hold%ROWTYPE;
    v_began timestamptz;
    v_open boolean;
BEGIN
    PERFORM set_config('lock_timeout', p_lock_timeout_ms::text, true);
    v_open := EXISTS (SELECT 1 FROM tenants_shop t WHERE t.id = p_shop AND t.status = 'active');

    FOR v_try IN 1..3 LOOP
        -- A look without locks: whoever asks for what is sold out neither writes nor queues.
        SELECT array_agg(s.id ORDER BY s.id), array_agg(w.quantity ORDER BY s.id), bool_and(s.available >= w.quantity)
            INTO v_rows, v_quantities, v_enough
            FROM unnest(p_variant_keys, p_quantities) AS w (variant_key, quantity)
            JOIN inventory_stockrow s ON s.owner_id = p_shop AND s.variant_key = w.variant_key;
        v_enough := coalesce(v_enough, false) AND cardinality(v_rows) = cardinality(p_variant_keys);

        IF v_open AND v_enough THEN
            WITH placed AS (
                INSERT INTO inventory_hold (id, shop_id, status, held_for, idempotency_key, active_idempotency_key,
                        lines_digest, ttl_seconds, expires_at, created_at, finish_reason, finished_by, request_id)
                    VALUES (p_hold, p_shop, 'active', p_held_for, p_key, p_key, p_digest, p_ttl_seconds,
                        p_now + make_interval(secs => p_ttl_seconds), p_now, '', '', p_request_id)
                    ON CONFLICT (shop_id, active_idempotency_key) DO NOTHING
                    RETURNING id, expires_at),
            items AS (
                INSERT INTO inventory_holditem (shop_id, hold_id, stock_row_id, quantity)
                    SELECT p_shop, placed.id, w.stock_row_id, w.quantity
                    FROM placed, unnest(v_rows, v_quantities) AS w (stock_row_id, quantity))
            SELECT placed.id, placed.expires_at INTO o_hold, o_expires_at FROM placed;
            EXIT WHEN o_hold IS NOT NULL;
        END IF;

        -- Looked up after the stock, so that a shortage caused by this very key's own hold is seen as the replay it is.
        SELECT * INTO v_rival FROM inventory_hold WHERE shop_id = p_shop AND active_idempotency_key = p_key;
        IF FOUND THEN
            o_hold := v_rival.id;
            o_status := v_rival.status;
            o_expires_at := v_rival.expires_at;
            o_answer := 'replayed';
            IF v_rival.lines_digest <> p_digest OR v_rival.held_for <> p_held_for THEN
                o_answer := 'conflict';
            ELSIF v_rival.status = 'active' AND v_rival.held_for = 'direct' AND v_rival.expires_at <= p_now THEN
                UPDATE inventory_hold
                    SET ttl_seconds = p_ttl_seconds, expires_at = p_now + make_interval(secs => p_ttl_seconds)
                    WHERE id = v_rival.id AND status = 'active' RETURNING expires_at INTO o_expires_at;
                IF NOT FOUND THEN  -- a reaper was faster: its units are free again, so start over
                    o_hold := NULL;
                    CONTINUE;
                END IF;
                o_answer := 'revived';
            END IF;
            RETURN;
        END IF;
        IF NOT v_open THEN
            o_hold := NULL;
            o_answer := 'closed';
            RETURN;
        END IF;
        IF NOT v_enough THEN
            o_hold := NULL;
            o_answer := 'insufficient';
            SELECT jsonb_object_agg(w.variant_key, coalesce(s.available, 0)) INTO o_available
                FROM unnest(p_variant_keys) AS w (variant_key)
                LEFT JOIN inventory_stockrow s ON s.owner_id = p_shop AND s.variant_key = w.variant_key;
            RETURN;
        END IF;
        -- The key was taken when we inserted and free when we looked: its hold ended in between.
    END LOOP;
    IF o_hold IS NULL THEN
        o_answer := 'busy';
        RETURN;
    END IF;

    v_began := clock_timestamp();
    PERFORM inventory_stock_queue(v_rows);
    o_waited_seconds := extract(epoch FROM clock_timestamp() - v_began);

    IF cardinality(v_rows) = 1 THEN
        UPDATE inventory_stockrow SET held = held + v_quantities[1]
            WHERE id = v_rows[1] AND available >= v_quantities[1];
        v_enough := FOUND;
    ELSE
        WITH locked AS MATERIALIZED (
            SELECT s.id, s.available FROM inventory_stockrow s WHERE s.id = ANY (v_rows)
                ORDER BY s.id FOR NO KEY UPDATE),
        verdict AS MATERIALIZED (
            SELECT count(*) = cardinality(v_rows) AND bool_and(locked.available >= w.quantity) AS enough
                FROM locked JOIN unnest(v_rows, v_quantities) AS w (id, quantity) USING (id)),
        moved AS (
            UPDATE inventory_stockrow s SET held = s.held + w.quantity
                FROM verdict, unnest(v_rows, v_quantities) AS w (id, quantity)
                WHERE verdict.enough AND s.id = w.id RETURNING 1)
        SELECT count(*) = cardinality(v_rows) INTO v_enough FROM moved;
    END IF;

    IF v_enough THEN
        o_answer := 'created';
        o_status := 'active';
        RETURN;
    END IF;
    DELETE FROM inventory_holditem WHERE hold_id = p_hold;
    DELETE FROM inventory_hold WHERE id = p_hold;
    o_hold := NULL;
    o_expires_at := NULL;
    o_answer := 'insufficient';
    SELECT jsonb_object_agg(s.variant_key, s.available) INTO o_available
        FROM inventory_stockrow s WHERE s.id = ANY (v_rows);
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("inventory", "0003_hold_functions"), ("tenants", "0001_initial")]

    # Backwards the function stays: it answers everything that 0003's did, and 0003 drops it.
    operations = [migrations.RunSQL(HOLD_PLACE, migrations.RunSQL.noop)]
