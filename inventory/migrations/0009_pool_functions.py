"""Holds through routes: references that keep shops apart, and the functions of 0003 once more, with pools in them."""

from importlib import import_module

from django.db import migrations

# The way back is what was there before.
BEFORE = import_module("inventory.migrations.0003_hold_functions")

# An item's row is its shop's own or, with a route, that route's. Without a route `own_shop` is the item's shop and names
# the row's owner; with one it is null, and the route answers instead. No item refers to anything else.
REFERENCES = """
ALTER TABLE inventory_poolroute ADD CONSTRAINT route_of_its_pool
    FOREIGN KEY (pool_id, stock_row_id) REFERENCES inventory_stockrow (owner_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE inventory_holditem
    ADD COLUMN own_shop varchar(80) COLLATE "C"
        GENERATED ALWAYS AS (CASE WHEN route_id IS NULL THEN shop_id END) STORED,
    ADD CONSTRAINT hold_item_of_its_route
        FOREIGN KEY (shop_id, route_id, stock_row_id) REFERENCES inventory_poolroute (shop_id, id, stock_row_id)
        DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT hold_item_of_own_stock
        FOREIGN KEY (own_shop, stock_row_id) REFERENCES inventory_stockrow (owner_id, id)
        DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE inventory_poolroute SET (fillfactor = 80);
"""
REFERENCES_REVERSE = """
ALTER TABLE inventory_poolroute RESET (fillfactor);
ALTER TABLE inventory_holditem DROP CONSTRAINT hold_item_of_own_stock, DROP CONSTRAINT hold_item_of_its_route,
    DROP COLUMN own_shop;
ALTER TABLE inventory_poolroute DROP CONSTRAINT route_of_its_pool;
"""

# What a shop does when central inventory fails it: `lenient` and `required` sell their own stock, `strict` refuses.
# The difference between the first two is what counts as failing: only who is required to have routes misses one.
CENTRAL_MODE = """
CREATE FUNCTION inventory_central_mode(p_shop text, p_enforced boolean) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT CASE WHEN NOT t.requires_central_inventory THEN 'lenient'
                                 WHEN p_enforced THEN 'strict' ELSE 'required' END
                     FROM tenants_shopsettings t WHERE t.shop_id = p_shop), 'lenient')
$$;
"""

# Where a shop's variant is sold from, always one row: the row of its route; its own where there is none, or where it
# can't be used and the mode allows that; nothing. `o_trouble` says why it isn't the route's. A plain SQL function, so
# that the planner puts it into the statement that asks.
STOCK_SOURCE = """
CREATE FUNCTION inventory_stock_source(p_shop text, p_variant_key text, p_quantity integer, p_mode text)
RETURNS TABLE (o_stock_row bigint, o_route bigint, o_available integer, o_threshold integer, o_trouble text)
LANGUAGE sql STABLE AS $$
    SELECT coalesce(pool.id, own.id),
           CASE WHEN pool.id IS NOT NULL THEN seen.route_id END,
           CASE WHEN pool.id IS NOT NULL THEN least(pool.available, seen.allocation_left) ELSE own.available END,
           coalesce(pool.low_stock_threshold, own.low_stock_threshold),
           seen.trouble
    FROM (SELECT r.id AS route_id, r.stock_row_id, r.allocation_cap - r.held - r.sold AS allocation_left,
                 CASE WHEN r.id IS NULL THEN 'no_route'
                      WHEN NOT p.enabled THEN 'pool_disabled'
                      WHEN r.allocation_cap - r.held - r.sold < p_quantity THEN 'cap_reached' END AS trouble
            FROM (SELECT 1) AS one
            LEFT JOIN inventory_poolroute r ON r.shop_id = p_shop AND r.variant_key = p_variant_key AND r.enabled
            LEFT JOIN inventory_stockowner p ON p.id = r.pool_id) AS seen
    LEFT JOIN inventory_stockrow pool ON seen.trouble IS NULL AND pool.id = seen.stock_row_id
    LEFT JOIN inventory_stockrow own ON seen.trouble IS NOT NULL AND p_mode <> 'strict'
        AND own.owner_id = p_shop AND own.variant_key = p_variant_key
$$;
"""

# Answers: created, replayed, revived, conflict, insufficient (with what is available, per variant key), busy, closed (the
# shop takes no new business; holds that are there are found all the same), unavailable (central inventory failed a shop
# that requires it). `o_troubles` tells per variant key why a route was not used; null when there is nothing to tell.
# p_central: `enforced` and `lenient` go through routes, `own` doesn't look at them at all.
# p_variant_keys are distinct. The clock is the caller's: p_now. Waiting too long is error 55P03.
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
    v_mode text := 'lenient';
    v_routed boolean := false;
BEGIN
    PERFORM set_config('lock_timeout', p_lock_timeout_ms::text, true);
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
            WITH placed AS (
                INSERT INTO inventory_hold (id, shop_id, status, held_for, idempotency_key, active_idempotency_key,
                        lines_digest, ttl_seconds, expires_at, created_at, finish_reason, finished_by, request_id)
                    VALUES (p_hold, p_shop, 'active', p_held_for, p_key, p_key, p_digest, p_ttl_seconds,
                        p_now + make_interval(secs => p_ttl_seconds), p_now, '', '', p_request_id)
                    ON CONFLICT (shop_id, active_idempotency_key) DO NOTHING
                    RETURNING id, expires_at),
            items AS (
                INSERT INTO inventory_holditem (shop_id, hold_id, stock_row_id, quantity, route_id)
                    SELECT p_shop, placed.id, w.stock_row_id, w.quantity, w.route_id
                    FROM placed, unnest(v_rows, v_quantities, v_routes) AS w (stock_row_id, quantity, route_id))
            SELECT placed.id, placed.expires_at INTO o_hold, o_expires_at FROM placed;
            EXIT WHEN o_hold IS NOT NULL;
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
    PERFORM inventory_stock_queue(v_rows);
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

# Locks those of p_routes that aren't null, ascending, and answers whether each still has room. To be asked under the
# queues of their rows, which is why nobody ever waits here.
ALLOCATION_HOLDS = """
CREATE FUNCTION inventory_allocation_holds(p_routes bigint[], p_quantities integer[]) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_refused integer;
BEGIN
    PERFORM 1 FROM inventory_poolroute r WHERE r.id = ANY (p_routes) ORDER BY r.id FOR NO KEY UPDATE;
    SELECT count(*) INTO v_refused
        FROM unnest(p_routes, p_quantities) AS w (route, quantity) JOIN inventory_poolroute r ON r.id = w.route
        WHERE NOT r.enabled OR r.allocation_cap - r.held - r.sold < w.quantity;
    RETURN v_refused = 0;
END $$;
"""

# Ends those of p_holds that are active, and answers which. One shop or many; any number of holds.
HOLDS_FINISH = """
CREATE OR REPLACE FUNCTION inventory_holds_finish(
    p_holds uuid[], p_outcome text, p_reason text, p_actor text, p_now timestamptz, p_request_id text,
    p_lock_timeout_ms integer
) RETURNS TABLE (o_hold uuid, o_shop text) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_holds uuid[];
    v_rows bigint[];
    v_totals integer[];
    v_routed boolean;
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
    SELECT array_agg(t.stock_row_id ORDER BY t.stock_row_id), array_agg(t.total ORDER BY t.stock_row_id), bool_or(t.routed)
        INTO v_rows, v_totals, v_routed
        FROM (SELECT i.stock_row_id, sum(i.quantity)::integer AS total, bool_or(i.route_id IS NOT NULL) AS routed
                FROM inventory_holditem i WHERE i.hold_id = ANY (v_holds) GROUP BY i.stock_row_id) t;
    IF v_rows IS NOT NULL THEN
        PERFORM inventory_stock_queue(v_rows);
        IF v_routed THEN
            PERFORM 1 FROM inventory_poolroute r
                WHERE r.id IN (SELECT i.route_id FROM inventory_holditem i WHERE i.hold_id = ANY (v_holds))
                ORDER BY r.id FOR NO KEY UPDATE;
            UPDATE inventory_poolroute r
                SET held = r.held - t.total, sold = r.sold + CASE p_outcome WHEN 'committed' THEN t.total ELSE 0 END
                FROM (SELECT i.route_id, sum(i.quantity)::integer AS total FROM inventory_holditem i
                        WHERE i.hold_id = ANY (v_holds) AND i.route_id IS NOT NULL GROUP BY i.route_id) t
                WHERE r.id = t.route_id;
        END IF;
        PERFORM 1 FROM inventory_stockrow s WHERE s.id = ANY (v_rows) ORDER BY s.id FOR NO KEY UPDATE;
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

# Called with eleven arguments by whatever still runs from before: the twelfth has a default.
DROP_OLD_PLACE = (
    "DROP FUNCTION inventory_hold_place(text, uuid, text, text, text[], integer[], text, integer, timestamptz, text,"
    " integer);"
)
DROP_NEW_PLACE = DROP_OLD_PLACE.replace(" integer);", " integer, text);")


class Migration(migrations.Migration):
    dependencies = [("inventory", "0008_pools"), ("tenants", "0001_initial")]

    operations = [
        migrations.RunSQL(REFERENCES, REFERENCES_REVERSE),
        migrations.RunSQL(CENTRAL_MODE, "DROP FUNCTION inventory_central_mode(text, boolean);"),
        migrations.RunSQL(STOCK_SOURCE, "DROP FUNCTION inventory_stock_source(text, text, integer, text);"),
        migrations.RunSQL(
            HOLD_SHORTAGE, "DROP FUNCTION inventory_hold_shortage(text, text[], integer[], text, boolean);"
        ),
        migrations.RunSQL(ALLOCATION_HOLDS, "DROP FUNCTION inventory_allocation_holds(bigint[], integer[]);"),
        migrations.RunSQL(DROP_OLD_PLACE, BEFORE.HOLD_PLACE),
        migrations.RunSQL(HOLD_PLACE, DROP_NEW_PLACE),
        migrations.RunSQL(HOLDS_FINISH, BEFORE.HOLDS_FINISH.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")),
    ]
