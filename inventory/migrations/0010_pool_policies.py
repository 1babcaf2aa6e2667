"""What a shop sees of pools: its own routes, the rows and pools that they lead to, and its own movements of those rows.

Of a route it may change the two counters alone: who may have how much of a shared row is the platform's to say.
"""

from django.db import migrations

from tenants.database import WEB_ROLE
from tenants.policies import IN_SCOPE, rows_of_a_shop

# The shop's own comes first: its rows never ask for routes.
ROUTED = f"EXISTS (SELECT 1 FROM inventory_poolroute r WHERE r.shop_id::text = {IN_SCOPE} AND %s)"
POLICIES = {
    "inventory_stockrow": ("owner_id", ROUTED % "r.stock_row_id = inventory_stockrow.id"),
    "inventory_stockowner": ("id", ROUTED % "r.pool_id = inventory_stockowner.id"),
    "inventory_stockmovement": ("owner_id", f"for_shop_id::text = {IN_SCOPE}"),
}
WIDEN = "".join(
    f"ALTER POLICY rows_of_a_shop ON {table} USING ({column}::text = {IN_SCOPE} OR {also});"
    for table, (column, also) in POLICIES.items()
)
NARROW = "".join(
    f"ALTER POLICY rows_of_a_shop ON {table} USING ({column}::text = {IN_SCOPE});"
    for table, (column, _) in POLICIES.items()
)


class Migration(migrations.Migration):
    dependencies = [("inventory", "0009_pool_functions"), ("tenants", "0009_database_roles")]

    operations = [
        rows_of_a_shop("inventory_poolroute", web="read"),
        migrations.RunSQL(
            f"GRANT UPDATE (held, sold) ON inventory_poolroute TO {WEB_ROLE};",
            f"REVOKE UPDATE (held, sold) ON inventory_poolroute FROM {WEB_ROLE};",
        ),
        migrations.RunSQL(WIDEN, NARROW),
    ]
