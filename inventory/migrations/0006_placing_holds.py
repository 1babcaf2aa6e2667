"""Placing a hold, in one round trip: key and items first, then the queues of its rows, then their counts.

What is left out, and why it may be, is told in inventory/DECISIONS.md ("Under its queue a row needs no second lock").
"""

from django.db import migrations

# Stock rows ascending by id: rows of an array come in its order. The upper bits keep these locks apart from any other
# use of advisory locks.
STOCK_QUEUE = """
CREATE FUNCTION inventory_stock_queue(p_rows bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock((100::bigint << 56) | w.id) FROM unnest(p_rows) AS w (id);
END $$;
"""

# What there is of each variant, for whoever asked for more.
HOLD_SHORTAGE = """
CREATE FUNCTION inventory_hold_shortage(
    p_shop text, p_variant_keys text[], p_quantities integer[], p_mode text, p_routed boolean
) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_routed THEN
        RETURN (SELECT jsonb_object_agg(w.variant_key, coalesce(f.o_available, 0))
            FROM unnest(p_variant_keys, p_quantities) AS w (variant_key, quantity)
            CROSS JOIN LATERAL inventory_stock_source(p_shop, w.variant_key, w.quantity, p_mode) AS f);
    END IF;
    RETURN (SELECT jsonb_object_agg(w.variant_key, coalesce(s.available, 0))
        FROM unnest(p_variant_keys) AS w (variant_key)
        LEFT JOIN inventory_stockrow s ON s.owner_id = p_shop AND s.variant_key = w.variant_key);
END $$;
"""

# Answers: created, replayed, revived, conflict, insufficient (with what is available, per variant key), busy, closed
# (the shop takes no new business; holds that are there are found all the same), unavailable (central inventory failed
# a shop that requires it). `o_troubles` tells per variant key why a route was not used; null when there is nothing to
# tell.
# p_central: `enforced` and `lenient` go through routes, `own` doesn't look at them at all.
# p_variant_keys are distinct. The clock is the caller's: p_now. Waiting too long is error 55P03.
# Assignments instead of PERFORM, and one row's statements without arrays: each is a plan less to start.
HOLD_PLACE = """
CREATE FUNCTION inventory_hold_place(
    p_shop text, p_hold uuid, p_key text, p_digest text, p_variant_keys text[], p_quantities integer[],
    p_held_for text, p_ttl_seconds integer, p_now timestamptz, p_request_id text, p_lock_timeout_ms integer,
    p_central text DEFAULT 'lenient',
    OUT o_answer text, OUT o_hold uuid, OUT o_status text, OUT o_expires_at timestamptz, OUT o_available jsonb,
    OUT o_waited_seconds double precision, OUT o_troubles jsonb
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_rows bigint[];
    v_quantities integer[];
    v_routes bigint[];
    v_enough boolean;
    v_rival inventory_hold%ROWTYPE;
    v_began timestamptz;
    v_open boolean;
    v_said text;
    v_row bigint;
    v_moved integer;
    v_mode text := 'lenient';
    v_routed boolean := false;
BEGIN
    v_said := set_config('lock_timeout', p_lock_timeout_ms::text, true);
    IF p_central = 'own' THEN
        v_open := EXISTS (SELECT 1 FROM tenants_shop t WHERE t.id = p_shop AND t.status = 'active');
    ELSE
        -- The rule of inventory_central_mode, in one planned statement with the rest: a call would be planned each time.
        SELECT t.status = 'active',
               CASE WHEN NOT coalesce(o.requires_central_inventory, false) THEN 'lenient'
                    WHEN p_central = 'enforced' THEN 'strict' ELSE 'required' END,
               EXISTS (SELECT 1 FROM inventory_poolroute r WHERE r.shop_id = p_shop AND r.enabled)
            INTO v_open, v_mode, v_routed
            FROM tenants_shop t LEFT JOIN tenants_shopsettings o ON o.shop_id = t.id WHERE t.id = p_shop;
        v_open := coalesce(v_open, false);
        v_mode := coalesce(v_mode, 'lenient');
        v_routed := coalesce(v_routed, false);
    END IF;

    FOR v_try IN 1..3 LOOP
        -- A look without locks: whoever asks for what is sold out neither writes nor queues.
        IF v_routed THEN
            SELECT array_agg(f.o_stock_row ORDER BY f.o_stock_row) FILTER (WHERE f.o_stock_row IS NOT NULL),
                   array_agg(w.quantity ORDER BY f.o_stock_row) FILTER (WHERE f.o_stock_row IS NOT NULL),
                   array_agg(f.o_route ORDER BY f.o_stock_row) FILTER (WHERE f.o_stock_row IS NOT NULL),
                   bool_and(f.o_available >= w.quantity),
                   jsonb_object_agg(w.variant_key, f.o_trouble)
                       FILTER (WHERE f.o_trouble IS NOT NULL AND (f.o_trouble <> 'no_route' OR v_mode <> 'lenient'))
                INTO v_rows, v_quantities, v_routes, v_enough, o_troubles
                FROM unnest(p_variant_keys, p_quantities) AS w (variant_key, quantity)
                CROSS JOIN LATERAL inventory_stock_source(p_shop, w.variant_key, w.quantity, v_mode) AS f;
        ELSE
            SELECT array_agg(s.id ORDER BY s.id), array_agg(w.quantity ORDER BY s.id), bool_and(s.available >= w.quantity)
                INTO v_rows, v_quantities, v_enough
                FROM unnest(p_variant_keys, p_quantities) AS w (variant_key, quantity)
                JOIN inventory_stockrow s ON s.owner_id = p_shop AND s.variant_key = w.variant_key;
            IF v_mode <> 'lenient' THEN
                SELECT jsonb_object_agg(w.variant_key, 'no_pool') INTO o_troubles
                    FROM unnest(p_variant_keys) AS w (variant_key);
            END IF;
        END IF;
        v_enough := coalesce(v_enough, false) AND cardinality(v_rows) = cardinality(p_variant_keys)
            AND (v_mode <> 'strict' OR o_troubles IS NULL);

        IF v_open AND v_enough THEN
            INSERT INTO inventory_hold (id, shop_id, status, held_for, idempotency_key, active_idempotency_key,
                    lines_digest, ttl_seconds, expires_at, created_at, finish_reason, finished_by, request_id)
                VALUES (p_hold, p_shop, 'active', p_held_for, p_key, p_key, p_digest, p_ttl_seconds,
                    p_now + make_interval(secs => p_ttl_seconds), p_now, '', '', p_request_id)
                ON CONFLICT (shop_id, active_idempotency_key) DO NOTHING
                RETURNING id, expires_at INTO o_hold, o_expires_at;
            IF o_hold IS NOT NULL THEN
                IF cardinality(v_rows) = 1 THEN
                    INSERT INTO inventory_holditem (shop_id, hold_id, stock_row_id, quantity, route_id)
                        VALUES (p_shop, p_hold, v_rows[1], v_quantities[1], v_routes[1]);
                ELSE
                    INSERT INTO inventory_holditem (shop_id, hold_id, stock_row_id, quantity, route_id)
                        SELECT p_shop, p_hold, w.stock_row_id, w.quantity, w.route_id
                        FROM unnest(v_rows, v_quantities, v_routes) AS w (stock_row_id, quantity, route_id);
                END IF;
                EXIT;
            END IF;
        END IF;

        -- Looked up after the stock, so that a shortage caused by this very key's own hold is seen as the replay it is.
        SELECT * INTO v_rival FROM inventory_hold WHERE shop_id = p_shop AND active_idempotency_key = p_key;
        IF FOUND THEN
            o_hold := v_rival.id;
            o_status := v_rival.status;
            o_expires_at := v_rival.expires_at;
            o_troubles := NULL;
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
        IF v_mode = 'strict' AND o_troubles IS NOT NULL THEN
            o_hold := NULL;
            o_answer := 'unavailable';
            RETURN;
        END IF;
        IF NOT v_enough THEN
            o_hold := NULL;
            o_answer := 'insufficient';
            o_available := inventory_hold_shortage(p_shop, p_variant_keys, p_quantities, v_mode, v_routed);
            RETURN;
        END IF;
        -- The key was taken when we inserted and free when we looked: its hold ended in between.
    END LOOP;
    IF o_hold IS NULL THEN
        o_answer := 'busy';
        RETURN;
    END IF;

    v_began := clock_timestamp();
    FOREACH v_row IN ARRAY v_rows LOOP
        v_said := pg_advisory_xact_lock((100::bigint << 56) | v_row)::text;
    END LOOP;
    o_waited_seconds := extract(epoch FROM clock_timestamp() - v_began);

    IF v_routed AND NOT inventory_allocation_holds(v_routes, v_quantities) THEN
        -- Somebody of this shop took the rest of an allocation meanwhile. Another row now would be one out of order:
        -- strict shops are told, the others find their own stock on the next try.
        DELETE FROM inventory_holditem WHERE hold_id = p_hold;
        DELETE FROM inventory_hold WHERE id = p_hold;
        o_hold := NULL;
        o_expires_at := NULL;
        o_answer := CASE v_mode WHEN 'strict' THEN 'unavailable' ELSE 'busy' END;
        SELECT jsonb_object_agg(r.variant_key, 'cap_reached') INTO o_troubles
            FROM unnest(v_routes, v_quantities) AS w (route, quantity) JOIN inventory_poolroute r ON r.id = w.route
            WHERE NOT r.enabled OR r.allocation_cap - r.held - r.sold < w.quantity;
        RETURN;
    END IF;

    IF cardinality(v_rows) = 1 THEN
        UPDATE inventory_stockrow SET held = held + v_quantities[1]
            WHERE id = v_rows[1] AND available >= v_quantities[1];
        v_enough := FOUND;
    ELSE
        SELECT count(*) = cardinality(v_rows) INTO v_enough
            FROM unnest(v_rows, v_quantities) AS w (id, quantity)
            JOIN inventory_stockrow s ON s.id = w.id AND s.available >= w.quantity;
        IF v_enough THEN
            UPDATE inventory_stockrow s SET held = s.held + w.quantity
                FROM unnest(v_rows, v_quantities) AS w (id, quantity) WHERE s.id = w.id AND s.available >= w.quantity;
            GET DIAGNOSTICS v_moved = ROW_COUNT;
            IF v_moved <> cardinality(v_rows) THEN
                RAISE EXCEPTION 'stock was changed past its queue' USING ERRCODE = 'lock_not_available';
            END IF;
        END IF;
    END IF;

    IF v_enough THEN
        IF v_routed THEN
            UPDATE inventory_poolroute r SET held = r.held + w.quantity
                FROM unnest(v_routes, v_quantities) AS w (id, quantity) WHERE r.id = w.id;
        END IF;
        o_answer := 'created';
        o_status := 'active';
        RETURN;
    END IF;
    DELETE FROM inventory_holditem WHERE hold_id = p_hold;
    DELETE FROM inventory_hold WHERE id = p_hold;
    o_hold := NULL;
    o_expires_at := NULL;
    o_answer := 'insufficient';
    o_available := inventory_hold_shortage(p_shop, p_variant_keys, p_quantities, v_mode, v_routed);
END $$;
"""


class Migration(migrations.Migration):
    replaces = [("inventory", "0003_hold_functions")]
    dependencies = [("inventory", "0005_pools")]

    operations = [
        migrations.RunSQL(STOCK_QUEUE, "DROP FUNCTION inventory_stock_queue(bigint[])"),
        migrations.RunSQL(
            HOLD_SHORTAGE, "DROP FUNCTION inventory_hold_shortage(text, text[], integer[], text, boolean)"
        ),
        migrations.RunSQL(
            HOLD_PLACE,
            "DROP FUNCTION inventory_hold_place(text, uuid, text, text, text[], integer[], text, integer, timestamptz, text,"
            " integer, text)",
        ),
    ]
