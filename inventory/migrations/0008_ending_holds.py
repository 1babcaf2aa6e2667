"""Ending holds: committed, released, expired, one or many, each in one round trip.

Whatever ends a hold comes through inventory_holds_end, which alone moves units and days.
"""

from django.db import migrations

# What the ending holds have booked of days goes back, under the queue of its row: called where those are held
# already.
PERIODS_FREE = """
CREATE FUNCTION inventory_periods_free(p_holds uuid[]) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    UPDATE inventory_stockday d SET booked = d.booked - t.units
        FROM (SELECT p.shop_id, p.stock_row_id, p.starts + g.n AS day, sum(p.quantity) AS units
                FROM inventory_holdperiod p CROSS JOIN LATERAL generate_series(0, p.blocked_until - p.starts) AS g (n)
                WHERE p.hold_id = ANY (p_holds) GROUP BY 1, 2, 3) t
        WHERE d.owner_id = t.shop_id AND d.stock_row_id = t.stock_row_id AND d.day = t.day;
END $$;
"""

# Gives back, or sells, what holds have that the caller has locked and found active. Answers them.
# Days are queued for with the items' rows, ascending together, as a batch may have both. Committed days stay booked,
# and only items are units that leave the stock.
HOLDS_END = """
CREATE FUNCTION inventory_holds_end(
    p_holds uuid[], p_outcome text, p_reason text, p_actor text, p_now timestamptz, p_request_id text
) RETURNS TABLE (o_hold uuid, o_shop text) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_rows bigint[];
    v_totals integer[];
    v_routed boolean;
    v_moved integer;
BEGIN
    SELECT array_agg(t.stock_row_id ORDER BY t.stock_row_id), array_agg(t.total ORDER BY t.stock_row_id), bool_or(t.routed)
        INTO v_rows, v_totals, v_routed
        FROM (SELECT i.stock_row_id, sum(i.quantity)::integer AS total, bool_or(i.route_id IS NOT NULL) AS routed
                FROM inventory_holditem i WHERE i.hold_id = ANY (p_holds) GROUP BY i.stock_row_id) t;
    IF p_outcome <> 'committed' AND EXISTS (SELECT 1 FROM inventory_holdperiod p WHERE p.hold_id = ANY (p_holds)) THEN
        PERFORM inventory_stock_queue(ARRAY (
            SELECT q.id FROM (SELECT unnest(v_rows) AS id UNION
                              SELECT p.stock_row_id FROM inventory_holdperiod p WHERE p.hold_id = ANY (p_holds)) q
                ORDER BY q.id));
        PERFORM inventory_periods_free(p_holds);
    END IF;
    IF v_rows IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock((100::bigint << 56) | w.id) FROM unnest(v_rows) AS w (id);
        IF v_routed THEN
            PERFORM 1 FROM inventory_poolroute r
                WHERE r.id IN (SELECT i.route_id FROM inventory_holditem i WHERE i.hold_id = ANY (p_holds))
                ORDER BY r.id FOR NO KEY UPDATE;
            UPDATE inventory_poolroute r
                SET held = r.held - t.total, sold = r.sold + CASE p_outcome WHEN 'committed' THEN t.total ELSE 0 END
                FROM (SELECT i.route_id, sum(i.quantity)::integer AS total FROM inventory_holditem i
                        WHERE i.hold_id = ANY (p_holds) AND i.route_id IS NOT NULL GROUP BY i.route_id) t
                WHERE r.id = t.route_id;
        END IF;
        UPDATE inventory_stockrow s
            SET held = s.held - w.total,
                on_hand = s.on_hand - CASE p_outcome WHEN 'committed' THEN w.total ELSE 0 END
            FROM unnest(v_rows, v_totals) AS w (id, total) WHERE s.id = w.id;
    END IF;
    IF p_outcome = 'committed' THEN
        -- Several holds may take from one row: each movement tells what its own turn left.
        INSERT INTO inventory_stockmovement
                (owner_id, stock_row_id, for_shop_id, delta, on_hand_after, reason, reference, actor, note, request_id, at)
            SELECT s.owner_id, s.id, CASE WHEN i.route_id IS NOT NULL THEN i.shop_id END, -i.quantity,
                   s.on_hand + sum(i.quantity) OVER (PARTITION BY s.id)
                       - sum(i.quantity) OVER (PARTITION BY s.id ORDER BY i.hold_id),
                   'sale', i.hold_id::text, p_actor, p_reason, p_request_id, p_now
            FROM inventory_holditem i JOIN inventory_stockrow s ON s.id = i.stock_row_id
            WHERE i.hold_id = ANY (p_holds)
            ORDER BY s.id, i.hold_id;
    END IF;
    RETURN QUERY
        UPDATE inventory_hold h
            SET status = p_outcome, finished_at = p_now, finish_reason = p_reason, finished_by = p_actor,
                active_idempotency_key = CASE p_outcome WHEN 'committed' THEN h.active_idempotency_key END
            WHERE h.id = ANY (p_holds)
            RETURNING h.id, h.shop_id::text;
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
    v_said text;
BEGIN
    IF p_outcome NOT IN ('committed', 'released', 'expired') THEN
        RAISE EXCEPTION 'a hold does not end as %', p_outcome USING ERRCODE = 'invalid_parameter_value';
    END IF;
    v_said := set_config('lock_timeout', p_lock_timeout_ms::text, true);
    v_holds := ARRAY (
        SELECT h.id FROM inventory_hold h WHERE h.id = ANY (p_holds) AND h.status = 'active' ORDER BY h.id FOR UPDATE);
    IF cardinality(v_holds) > 0 THEN
        RETURN QUERY SELECT * FROM inventory_holds_end(v_holds, p_outcome, p_reason, p_actor, p_now, p_request_id);
    END IF;
END $$;
"""

# A batch of the reaper in one round trip: between two trips its locks would be held for nothing.
# Ends up to p_limit overdue direct holds of one shop, the oldest first; those that somebody has locked are left
# alone. Every hold is locked and judged once.
HOLDS_REAP = """
CREATE FUNCTION inventory_holds_reap(
    p_shop text, p_now timestamptz, p_limit integer, p_leave_out uuid[], p_reason text, p_actor text,
    p_lock_timeout_ms integer
) RETURNS integer LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_holds uuid[];
    v_ended integer;
    v_said text := set_config('lock_timeout', p_lock_timeout_ms::text, true);
BEGIN
    v_holds := ARRAY (
        SELECT h.id FROM inventory_hold h
            WHERE h.status = 'active' AND h.held_for = 'direct' AND h.shop_id = p_shop AND h.expires_at <= p_now
              AND h.id <> ALL (p_leave_out)
            ORDER BY h.expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
    IF cardinality(v_holds) = 0 THEN
        RETURN 0;
    END IF;
    SELECT count(*) INTO v_ended FROM inventory_holds_end(v_holds, 'expired', p_reason, p_actor, p_now, '');
    RETURN v_ended;
END $$;
"""


class Migration(migrations.Migration):
    replaces = [("inventory", "0014_fewer_steps")]
    dependencies = [("inventory", "0007_placing_holds_together")]

    operations = [
        migrations.RunSQL(PERIODS_FREE, "DROP FUNCTION inventory_periods_free(uuid[])"),
        migrations.RunSQL(HOLDS_END, "DROP FUNCTION inventory_holds_end(uuid[], text, text, text, timestamptz, text)"),
        migrations.RunSQL(
            HOLDS_FINISH,
            "DROP FUNCTION inventory_holds_finish(uuid[], text, text, text, timestamptz, text, integer)",
        ),
        migrations.RunSQL(
            HOLDS_REAP, "DROP FUNCTION inventory_holds_reap(text, timestamptz, integer, uuid[], text, text, integer)"
        ),
    ]
