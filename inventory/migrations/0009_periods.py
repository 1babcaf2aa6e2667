"""Holds on periods: placed, and kept within what there is on every day. They end where all holds end.
The rules are told in inventory/DECISIONS.md.
"""

from django.db import migrations

# Whoever changes `on_hand`, by whatever path: the days from yesterday on have as many units, for it may still be
# yesterday somewhere. A day with more booked than that refuses, by `booked_within_capacity`.
CAPACITY = """
CREATE FUNCTION inventory_days_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE inventory_stockday d SET capacity = NEW.on_hand
        WHERE d.owner_id = NEW.owner_id AND d.stock_row_id = NEW.id AND d.day >= (now() AT TIME ZONE 'UTC')::date - 1
          AND d.capacity <> NEW.on_hand;
    RETURN NULL;
END $$;

CREATE TRIGGER inventory_days_follow_on_hand AFTER UPDATE OF on_hand ON inventory_stockrow FOR EACH ROW
    WHEN (OLD.on_hand IS DISTINCT FROM NEW.on_hand) EXECUTE FUNCTION inventory_days_follow();
"""
CAPACITY_REVERSE = """
DROP TRIGGER inventory_days_follow_on_hand ON inventory_stockrow;
DROP FUNCTION inventory_days_follow();
"""

# What each of the wished periods has left on its scarcest day, by its place among the wishes, and the days on which
# the wishes together ask for more than there is. Cleaning days count as days. Units held without a period are away.
PERIODS_LOOK = """
CREATE FUNCTION inventory_periods_look(
    p_shop text, p_variant_keys text[], p_quantities integer[], p_starts date[], p_ends date[]
) RETURNS TABLE (o_line integer, o_available integer, o_short date[])
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY WITH wished AS (
        SELECT w.line::integer AS line, w.quantity, w.starts, w.ends + coalesce(s.buffer_days, 0) AS until, s.id,
               coalesce(s.available, 0) AS units
        FROM unnest(p_variant_keys, p_quantities, p_starts, p_ends) WITH ORDINALITY
            AS w (variant_key, quantity, starts, ends, line)
        LEFT JOIN inventory_stockrow s ON s.owner_id = p_shop AND s.variant_key = w.variant_key),
    days AS (
        SELECT w.line, w.id, w.units, w.starts + g.n AS day,
               sum(w.quantity) OVER (PARTITION BY w.id, w.starts + g.n) AS asked
        FROM wished w CROSS JOIN LATERAL generate_series(0, w.until - w.starts) AS g (n)),
    looked AS (
        SELECT d.line, d.day, d.asked, d.units - coalesce(b.booked, 0) AS free
        FROM days d LEFT JOIN inventory_stockday b
            ON b.owner_id = p_shop AND b.stock_row_id = d.id AND b.day = d.day)
    SELECT l.line, greatest(min(l.free), 0)::integer,
           coalesce(array_agg(l.day ORDER BY l.day) FILTER (WHERE l.free < l.asked), '{}')
        FROM looked l GROUP BY l.line;
END $$;
"""

# As inventory_hold_place, for days: same answers, same order of locks (key, queues ascending, rows, then days, which
# nobody locks but under their row's queue). `insufficient` comes with the short lines.
PERIOD_HOLD_PLACE = """
CREATE FUNCTION inventory_period_hold_place(
    p_shop text, p_hold uuid, p_key text, p_digest text, p_variant_keys text[], p_quantities integer[],
    p_starts date[], p_ends date[], p_held_for text, p_ttl_seconds integer, p_now timestamptz, p_request_id text,
    p_lock_timeout_ms integer,
    OUT o_answer text, OUT o_hold uuid, OUT o_status text, OUT o_expires_at timestamptz, OUT o_short jsonb,
    OUT o_waited_seconds double precision
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_rows bigint[];
    v_rival inventory_hold%ROWTYPE;
    v_began timestamptz;
    v_open boolean;
BEGIN
    PERFORM set_config('lock_timeout', p_lock_timeout_ms::text, true);
    v_open := EXISTS (SELECT 1 FROM tenants_shop t WHERE t.id = p_shop AND t.status = 'active');

    FOR v_try IN 1..3 LOOP
        -- A look without locks: whoever asks for days that are taken neither writes nor queues.
        SELECT jsonb_agg(jsonb_build_object('line', l.o_line, 'available', l.o_available, 'days', to_jsonb(l.o_short)))
            INTO o_short FROM inventory_periods_look(p_shop, p_variant_keys, p_quantities, p_starts, p_ends) l
            WHERE cardinality(l.o_short) > 0;

        IF v_open AND o_short IS NULL THEN
            INSERT INTO inventory_hold (id, shop_id, status, held_for, idempotency_key, active_idempotency_key,
                    lines_digest, ttl_seconds, expires_at, created_at, finish_reason, finished_by, request_id)
                VALUES (p_hold, p_shop, 'active', p_held_for, p_key, p_key, p_digest, p_ttl_seconds,
                    p_now + make_interval(secs => p_ttl_seconds), p_now, '', '', p_request_id)
                ON CONFLICT (shop_id, active_idempotency_key) DO NOTHING
                RETURNING id, expires_at INTO o_hold, o_expires_at;
            EXIT WHEN o_hold IS NOT NULL;
        END IF;

        SELECT * INTO v_rival FROM inventory_hold WHERE shop_id = p_shop AND active_idempotency_key = p_key;
        IF FOUND THEN
            o_short := NULL;
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
                IF NOT FOUND THEN  -- a reaper was faster: its days are free again, so start over
                    o_hold := NULL;
                    CONTINUE;
                END IF;
                o_answer := 'revived';
            END IF;
            RETURN;
        END IF;
        o_hold := NULL;
        IF NOT v_open THEN
            o_answer := 'closed';
            RETURN;
        END IF;
        IF o_short IS NOT NULL THEN
            o_answer := 'insufficient';
            RETURN;
        END IF;
        -- The key was taken when we inserted and free when we looked: its hold ended in between.
    END LOOP;
    IF o_hold IS NULL THEN
        o_answer := 'busy';
        RETURN;
    END IF;

    SELECT array_agg(s.id ORDER BY s.id) INTO v_rows
        FROM inventory_stockrow s WHERE s.owner_id = p_shop AND s.variant_key = ANY (p_variant_keys);
    v_began := clock_timestamp();
    PERFORM inventory_stock_queue(v_rows);
    o_waited_seconds := extract(epoch FROM clock_timestamp() - v_began);
    PERFORM 1 FROM inventory_stockrow s WHERE s.id = ANY (v_rows) ORDER BY s.id FOR NO KEY UPDATE;

    -- Once more, now that nobody else books these rows.
    SELECT jsonb_agg(jsonb_build_object('line', l.o_line, 'available', l.o_available, 'days', to_jsonb(l.o_short)))
        INTO o_short FROM inventory_periods_look(p_shop, p_variant_keys, p_quantities, p_starts, p_ends) l
        WHERE cardinality(l.o_short) > 0;
    IF o_short IS NOT NULL THEN
        DELETE FROM inventory_hold WHERE id = p_hold;
        o_hold := NULL;
        o_expires_at := NULL;
        o_answer := 'insufficient';
        RETURN;
    END IF;

    INSERT INTO inventory_holdperiod (shop_id, hold_id, stock_row_id, starts, ends, blocked_until, quantity)
        SELECT p_shop, p_hold, s.id, w.starts, w.ends, w.ends + s.buffer_days, w.quantity
        FROM unnest(p_variant_keys, p_quantities, p_starts, p_ends) AS w (variant_key, quantity, starts, ends)
        JOIN inventory_stockrow s ON s.owner_id = p_shop AND s.variant_key = w.variant_key;
    INSERT INTO inventory_stockday (owner_id, stock_row_id, day, booked, capacity)
        SELECT p_shop, s.id, p.starts + g.n, sum(p.quantity), s.on_hand
        FROM inventory_holdperiod p JOIN inventory_stockrow s ON s.id = p.stock_row_id
        CROSS JOIN LATERAL generate_series(0, p.blocked_until - p.starts) AS g (n)
        WHERE p.hold_id = p_hold
        GROUP BY s.id, p.starts + g.n, s.on_hand ORDER BY s.id, p.starts + g.n
        ON CONFLICT (owner_id, stock_row_id, day)
            DO UPDATE SET booked = inventory_stockday.booked + excluded.booked;
    o_answer := 'created';
    o_status := 'active';
END $$;
"""


class Migration(migrations.Migration):
    replaces = [("inventory", "0018_period_functions")]
    dependencies = [("inventory", "0008_ending_holds")]

    operations = [
        migrations.RunSQL(CAPACITY, CAPACITY_REVERSE),
        migrations.RunSQL(
            PERIODS_LOOK, "DROP FUNCTION inventory_periods_look(text, text[], integer[], date[], date[])"
        ),
        migrations.RunSQL(
            PERIOD_HOLD_PLACE,
            "DROP FUNCTION inventory_period_hold_place(text, uuid, text, text, text[], integer[], date[], date[], text,"
            " integer, timestamptz, text, integer)",
        ),
    ]
