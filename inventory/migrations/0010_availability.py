"""What is available, as functions: statements whose plans a connection keeps.

Planning them anew took four fifths of their time, row-level security included. Which row a variant is sold from stays
`inventory_stock_source`'s to say; a shop without routes that needs none, which is nearly every shop, has nothing to
ask there.
"""

from django.db import migrations

# The rule of inventory_central_mode in one planned statement with the look for routes.
RULE = """
    SELECT CASE WHEN NOT t.requires_central_inventory THEN 'lenient' WHEN p_enforced THEN 'strict' ELSE 'required' END
        INTO v_mode FROM tenants_shopsettings t WHERE t.shop_id = p_shop;
    v_mode := coalesce(v_mode, 'lenient');
    v_own := v_mode = 'lenient'
        AND NOT EXISTS (SELECT 1 FROM inventory_poolroute r WHERE r.shop_id = p_shop AND r.enabled);
"""

# Every variant of the SKUs that the shop has a row or a route for, where it would be sold from now.
BY_SKU = f"""
CREATE FUNCTION inventory_available_by_sku(p_shop text, p_skus text[], p_enforced boolean)
RETURNS TABLE (o_sku text, o_variant_key text, o_available integer, o_threshold integer)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_mode text;
    v_own boolean;
BEGIN
    {RULE}
    IF v_own THEN
        RETURN QUERY SELECT s.sku::text, s.variant_key::text, s.available, s.low_stock_threshold
            FROM inventory_stockrow s WHERE s.owner_id = p_shop AND s.sku = ANY (p_skus);
        RETURN;
    END IF;
    RETURN QUERY WITH variants AS (
            SELECT s.sku, s.variant_key FROM inventory_stockrow s WHERE s.owner_id = p_shop AND s.sku = ANY (p_skus)
            UNION
            SELECT r.sku, r.variant_key FROM inventory_poolroute r
                WHERE r.shop_id = p_shop AND r.sku = ANY (p_skus) AND r.enabled)
        SELECT v.sku::text, v.variant_key::text, coalesce(f.o_available, 0), coalesce(f.o_threshold, 0)
        FROM variants v CROSS JOIN LATERAL inventory_stock_source(p_shop, v.variant_key, 1, v_mode) AS f;
END
$$;
"""

# Where there is a row to sell the variant from, how many it has. What a route is missing is only news where the shop
# fails closed: whoever has neither row is simply out.
BY_KEY = f"""
CREATE FUNCTION inventory_available_by_key(
    p_shop text, p_variant_keys text[], p_quantities integer[], p_enforced boolean)
RETURNS TABLE (o_variant_key text, o_available integer, o_trouble text)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_mode text;
    v_own boolean;
BEGIN
    {RULE}
    IF v_own THEN
        RETURN QUERY SELECT s.variant_key::text, s.available, NULL
            FROM inventory_stockrow s WHERE s.owner_id = p_shop AND s.variant_key = ANY (p_variant_keys);
        RETURN;
    END IF;
    RETURN QUERY SELECT w.variant_key, f.o_available, CASE WHEN v_mode = 'strict' THEN f.o_trouble END
        FROM unnest(p_variant_keys, p_quantities) AS w (variant_key, quantity)
        CROSS JOIN LATERAL inventory_stock_source(p_shop, w.variant_key, w.quantity, v_mode) AS f;
END
$$;
"""


class Migration(migrations.Migration):
    replaces = [("inventory", "0012_availability_functions")]
    dependencies = [("inventory", "0009_periods")]

    operations = [
        migrations.RunSQL(BY_SKU, "DROP FUNCTION inventory_available_by_sku(text, text[], boolean)"),
        migrations.RunSQL(BY_KEY, "DROP FUNCTION inventory_available_by_key(text, text[], integer[], boolean)"),
    ]
