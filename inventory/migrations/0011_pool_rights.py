"""What a shop may write where it sees a pool's rows: their counts, and movements of those that it has a route to.

Whose a stock row is and what it is called stays as it was made, and so does the row, for a shop's own ones too. In the ledger `for_shop`
names who sold, not who may: what a shop wrote there it goes on reading.
"""

from django.db import migrations

from tenants.database import WEB_ROLE
from tenants.policies import IN_SCOPE

ROUTED = (
    f"EXISTS (SELECT 1 FROM inventory_poolroute r WHERE r.shop_id::text = {IN_SCOPE}"
    " AND r.pool_id = inventory_stockmovement.owner_id AND r.stock_row_id = inventory_stockmovement.stock_row_id)"
)
SEEN = f"owner_id::text = {IN_SCOPE} OR for_shop_id::text = {IN_SCOPE}"
WRITTEN = f"owner_id::text = {IN_SCOPE} OR (for_shop_id::text = {IN_SCOPE} AND {ROUTED})"
COUNTS = "on_hand, held, low_stock_threshold"


class Migration(migrations.Migration):
    dependencies = [("inventory", "0010_pool_policies")]

    operations = [
        migrations.RunSQL(
            f"ALTER POLICY rows_of_a_shop ON inventory_stockmovement USING ({SEEN}) WITH CHECK ({WRITTEN})",
            f"ALTER POLICY rows_of_a_shop ON inventory_stockmovement USING ({SEEN}) WITH CHECK ({SEEN})",
        ),
        migrations.RunSQL(
            f"REVOKE UPDATE, DELETE ON inventory_stockrow FROM {WEB_ROLE};"
            f"GRANT UPDATE ({COUNTS}) ON inventory_stockrow TO {WEB_ROLE};",
            f"REVOKE UPDATE ({COUNTS}) ON inventory_stockrow FROM {WEB_ROLE};"
            f"GRANT UPDATE, DELETE ON inventory_stockrow TO {WEB_ROLE};",
        ),
    ]
