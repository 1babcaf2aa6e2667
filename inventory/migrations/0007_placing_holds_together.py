"""Many holds of one shop in one statement: one round trip and one commit for all that wait for the same rows."""

from django.db import migrations

# Places what can simply be placed, and answers which that were. About the others it says nothing: whoever wished for
# them asks inventory_hold_place, whose answers they get. That leaves repeats, conflicts, shortages, closed shops,
# routes and central inventory to one function.
# Wishes are numbered from 1 in order of arrival; l_… are their lines, of distinct variants within a wish.
# Order of locks as everywhere: keys (ascending, so that batches side by side don't meet head-on), queues, rows.
PLACE_TOGETHER = """
CREATE FUNCTION inventory_holds_place_together(
    p_shop text, p_holds uuid[], p_keys text[], p_digests text[], p_ttl_seconds integer[], p_nows timestamptz[],
    p_request_ids text[], l_wish integer[], l_variant_key text[], l_quantity integer[], p_lock_timeout_ms integer
) RETURNS TABLE (o_wish integer, o_expires_at timestamptz, o_waited_seconds double precision)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_said text := set_config('lock_timeout', p_lock_timeout_ms::text, true);
    v_simple boolean;
    v_placed integer[];
    v_lost integer[] := '{}';
    v_wishes integer[];
    v_rows bigint[];
    v_quantities integer[];
    v_began timestamptz;
    v_waited double precision;
    v_stock bigint[];
    v_left integer[];
    v_totals integer[];
    v_moved integer;
    v_at integer;
    v_from integer;
    v_fits boolean;
BEGIN
    SELECT t.status = 'active' AND NOT coalesce(o.requires_central_inventory, false)
            AND NOT EXISTS (SELECT 1 FROM inventory_poolroute r WHERE r.shop_id = p_shop AND r.enabled)
        INTO v_simple
        FROM tenants_shop t LEFT JOIN tenants_shopsettings o ON o.shop_id = t.id WHERE t.id = p_shop;
    IF v_simple IS NOT TRUE THEN
        RETURN;
    END IF;

    -- A look without locks: what is sold out neither writes nor queues. Of the wishes that could be met, holds and items.
    SELECT array_agg(m.wish ORDER BY m.wish, m.id), array_agg(m.id ORDER BY m.wish, m.id),
           array_agg(m.quantity ORDER BY m.wish, m.id)
        INTO v_wishes, v_rows, v_quantities
        FROM (SELECT w.wish, s.id, w.quantity, bool_and(coalesce(s.available >= w.quantity, false))
                         OVER (PARTITION BY w.wish) AS enough
                FROM unnest(l_wish, l_variant_key, l_quantity) AS w (wish, variant_key, quantity)
                LEFT JOIN inventory_stockrow s ON s.owner_id = p_shop AND s.variant_key = w.variant_key) AS m
        WHERE m.enough;
    IF v_wishes IS NULL THEN
        RETURN;
    END IF;
    WITH made AS (
        INSERT INTO inventory_hold (id, shop_id, status, held_for, idempotency_key, active_idempotency_key,
                lines_digest, ttl_seconds, expires_at, created_at, finish_reason, finished_by, request_id)
            SELECT p_holds[w.wish], p_shop, 'active', 'direct', p_keys[w.wish], p_keys[w.wish], p_digests[w.wish],
                   p_ttl_seconds[w.wish], p_nows[w.wish] + make_interval(secs => p_ttl_seconds[w.wish]),
                   p_nows[w.wish], '', '', p_request_ids[w.wish]
                FROM (SELECT DISTINCT wish FROM unnest(v_wishes) AS wish) AS w
                ORDER BY p_keys[w.wish], w.wish
            ON CONFLICT (shop_id, active_idempotency_key) DO NOTHING
            RETURNING id)
    SELECT array_agg(array_position(p_holds, made.id)) INTO v_placed FROM made;
    IF v_placed IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(w.wish ORDER BY w.wish, w.id), array_agg(w.id ORDER BY w.wish, w.id),
           array_agg(w.quantity ORDER BY w.wish, w.id)
        INTO v_wishes, v_rows, v_quantities
        FROM unnest(v_wishes, v_rows, v_quantities) AS w (wish, id, quantity) WHERE w.wish = ANY (v_placed);
    INSERT INTO inventory_holditem (shop_id, hold_id, stock_row_id, quantity)
        SELECT p_shop, p_holds[w.wish], w.id, w.quantity FROM unnest(v_wishes, v_rows, v_quantities) AS w (wish, id, quantity);

    v_began := clock_timestamp();
    PERFORM inventory_stock_queue(ARRAY (SELECT DISTINCT id FROM unnest(v_rows) AS id ORDER BY id));
    v_waited := extract(epoch FROM clock_timestamp() - v_began);

    SELECT array_agg(s.id), array_agg(s.available), array_agg(t.total)
        INTO v_stock, v_left, v_totals
        FROM (SELECT w.id, sum(w.quantity)::integer AS total FROM unnest(v_rows, v_quantities) AS w (id, quantity)
                GROUP BY w.id) AS t
        JOIN inventory_stockrow s ON s.id = t.id;
    IF EXISTS (SELECT 1 FROM unnest(v_left, v_totals) AS w (available, total) WHERE w.available < w.total) THEN
        -- Not enough for all: first come, first served, and whole carts alone.
        v_totals := array_fill(0, ARRAY[cardinality(v_stock)]);
        v_from := 1;
        WHILE v_from <= cardinality(v_wishes) LOOP
            v_fits := true;
            v_at := v_from;
            WHILE v_wishes[v_at] = v_wishes[v_from] LOOP
                v_fits := v_fits AND v_left[array_position(v_stock, v_rows[v_at])] >= v_quantities[v_at];
                v_at := v_at + 1;
            END LOOP;
            IF v_fits THEN
                FOR v_line IN v_from .. v_at - 1 LOOP
                    v_moved := array_position(v_stock, v_rows[v_line]);
                    v_left[v_moved] := v_left[v_moved] - v_quantities[v_line];
                    v_totals[v_moved] := v_totals[v_moved] + v_quantities[v_line];
                END LOOP;
            ELSE
                v_lost := v_lost || v_wishes[v_from];
            END IF;
            v_from := v_at;
        END LOOP;
        DELETE FROM inventory_holditem i USING unnest(v_lost) AS w (wish) WHERE i.hold_id = p_holds[w.wish];
        DELETE FROM inventory_hold h USING unnest(v_lost) AS w (wish) WHERE h.id = p_holds[w.wish];
    END IF;
    UPDATE inventory_stockrow s SET held = s.held + w.total
        FROM unnest(v_stock, v_totals) AS w (id, total) WHERE s.id = w.id AND s.available >= w.total;
    GET DIAGNOSTICS v_moved = ROW_COUNT;
    IF v_moved <> cardinality(v_stock) THEN
        RAISE EXCEPTION 'stock was changed past its queue' USING ERRCODE = 'lock_not_available';
    END IF;
    RETURN QUERY
        SELECT w.wish, p_nows[w.wish] + make_interval(secs => p_ttl_seconds[w.wish]), v_waited
        FROM unnest(v_placed) AS w (wish) WHERE w.wish <> ALL (v_lost);
END $$;
"""


class Migration(migrations.Migration):
    replaces = [("inventory", "0015_holds_together")]
    dependencies = [("inventory", "0006_placing_holds")]

    operations = [
        migrations.RunSQL(
            PLACE_TOGETHER,
            "DROP FUNCTION inventory_holds_place_together(text, uuid[], text[], text[], integer[], timestamptz[], text[],"
            " integer[], text[], integer[], integer)",
        ),
    ]
