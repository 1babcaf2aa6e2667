"""Placing and ending holds, one round trip each. Their rules are told in inventory/DECISIONS.md."""

from django.db import migrations

# Stock rows ascending by id. The upper bits keep these locks apart from any other use of advisory locks.
STOCK_QUEUE = """
CREATE FUNCTION inventory_stock_queue(p_rows bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_row bigint;
BEGIN
    FOREACH v_row IN ARRAY p_rows LOOP
        PERFORM pg_advisory_xact_lock((100::bigint << 56) | v_row);
    END LOOP;
END $$;
"""

# Answers: created, replayed, revived, conflict, insufficient (with what is available, per variant key), busy, closed (the
# shop takes no new business; holds that are there are found all the same).
# p_variant_keys are distinct. The clock is the caller's: p_now. Waiting too long is error 55P03.
HOLD_PLACE = """
CREATE FUNCTION inventory_hold_place(
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

# Ends those of p_holds that are active, and answers which. One shop or many; any number of holds.
HOLDS_FINISH = """
CREATE FUNCTION inventory_holds_finish(
    p_holds uuid[], p_outcome text, p_reason text, p_actor text, p_now timestamptz, p_request_id text,
    p_lock_timeout_ms integer
) RETURNS TABLE (o_hold uuid, o_shop text) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_holds uuid[];
    v_rows bigint[];
    v_totals integer[];
BEGIN
    IF p_outcome NOT IN ('committed', 'released', 'expired') THEN
        RAISE EXCEPTION 'a hold does not end as %', p_outcome USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('lock_timeout', p_lock_timeout_ms::text, true);

    SELECT array_agg(l.id ORDER BY l.id) INTO v_holds FROM (
        SELECT h.id FROM inventory_hold h WHERE h.id = ANY (p_holds) AND h.status = 'active'
            ORDER BY h.id FOR UPDATE) l;
    IF v_holds IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(t.stock_row_id ORDER BY t.stock_row_id), array_agg(t.total ORDER BY t.stock_row_id)
        INTO v_rows, v_totals
        FROM (SELECT i.stock_row_id, sum(i.quantity)::integer AS total FROM inventory_holditem i
                WHERE i.hold_id = ANY (v_holds) GROUP BY i.stock_row_id) t;
    IF v_rows IS NOT NULL THEN
        PERFORM inventory_stock_queue(v_rows);
        PERFORM 1 FROM inventory_stockrow s WHERE s.id = ANY (v_rows) ORDER BY s.id FOR NO KEY UPDATE;
        UPDATE inventory_stockrow s
            SET held = s.held - w.total,
                on_hand = s.on_hand - CASE p_outcome WHEN 'committed' THEN w.total ELSE 0 END
            FROM unnest(v_rows, v_totals) AS w (id, total) WHERE s.id = w.id;
    END IF;
    IF p_outcome = 'committed' THEN
        -- Several holds may take from one row: each movement tells what its own turn left.
        INSERT INTO inventory_stockmovement
                (owner_id, stock_row_id, delta, on_hand_after, reason, reference, actor, note, request_id, at)
            SELECT s.owner_id, s.id, -i.quantity,
                   s.on_hand + sum(i.quantity) OVER (PARTITION BY s.id)
                       - sum(i.quantity) OVER (PARTITION BY s.id ORDER BY i.hold_id),
                   'sale', i.hold_id::text, p_actor, p_reason, p_request_id, p_now
            FROM inventory_holditem i JOIN inventory_stockrow s ON s.id = i.stock_row_id
            WHERE i.hold_id = ANY (v_holds)
            ORDER BY s.id, i.hold_id;
    END IF;
    RETURN QUERY
        UPDATE inventory_hold h
            SET status = p_outcome, finished_at = p_now, finish_reason = p_reason, finished_by = p_actor,
                active_idempotency_key = CASE p_outcome WHEN 'committed' THEN h.active_idempotency_key END
            WHERE h.id = ANY (v_holds)
            RETURNING h.id, h.shop_id::text;
END $$;
"""

# A batch of the reaper in one round trip: between two trips its locks would be held for nothing.
# Ends up to p_limit overdue direct holds of one shop, the oldest first; those that somebody has locked are left alone.
HOLDS_REAP = """
CREATE FUNCTION inventory_holds_reap(
    p_shop text, p_now timestamptz, p_limit integer, p_leave_out uuid[], p_reason text, p_actor text,
    p_lock_timeout_ms integer
) RETURNS integer LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_holds uuid[];
    v_ended integer;
BEGIN
    v_holds := ARRAY (
        SELECT h.id FROM inventory_hold h
            WHERE h.status = 'active' AND h.held_for = 'direct' AND h.shop_id = p_shop AND h.expires_at <= p_now
              AND h.id <> ALL (p_leave_out)
            ORDER BY h.expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
    SELECT count(*) INTO v_ended
        FROM inventory_holds_finish(v_holds, 'expired', p_reason, p_actor, p_now, '', p_lock_timeout_ms);
    RETURN v_ended;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("inventory", "0002_integrity"), ("tenants", "0001_initial")]

    operations = [
        migrations.RunSQL(STOCK_QUEUE, "DROP FUNCTION inventory_stock_queue(bigint[]);"),
        migrations.RunSQL(
            HOLD_PLACE,
            "DROP FUNCTION inventory_hold_place(text, uuid, text, text, text[], integer[], text, integer, timestamptz,"
            " text, integer);",
        ),
        migrations.RunSQL(
            HOLDS_FINISH,
            "DROP FUNCTION inventory_holds_finish(uuid[], text, text, text, timestamptz, text, integer);",
        ),
        migrations.RunSQL(
            HOLDS_REAP, "DROP FUNCTION inventory_holds_reap(text, timestamptz, integer, uuid[], text, text, integer);"
        ),
    ]
