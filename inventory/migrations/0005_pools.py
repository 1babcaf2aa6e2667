"""Which row a variant is sold from, with pools in it: one function answers for whoever asks, and one says whether a
pool's allocations still have room.
"""

from django.db import migrations

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


class Migration(migrations.Migration):
    replaces = [("inventory", "0011_pool_rights")]
    dependencies = [("inventory", "0004_row_level_security")]

    operations = [
        migrations.RunSQL(CENTRAL_MODE, "DROP FUNCTION inventory_central_mode(text, boolean)"),
        migrations.RunSQL(STOCK_SOURCE, "DROP FUNCTION inventory_stock_source(text, text, integer, text)"),
        migrations.RunSQL(ALLOCATION_HOLDS, "DROP FUNCTION inventory_allocation_holds(bigint[], integer[])"),
    ]
