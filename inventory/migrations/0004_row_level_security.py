"""What a shop sees and may write of stock: its own rows, and of pools what its routes lead to.

It sees the rows and pools behind its routes and its own movements of those rows. Of what is a pool's it writes counts
alone, and movements where it has a route now; in the ledger `for_shop` names who sold, not who may: what a shop wrote
there it goes on reading. Whose a stock row is and what it is called stays as it was made, and so does the row, for a
shop's own ones too. Of a route it may change the two counters: who may have how much of a shared row is the
platform's to say.
"""

from django.db import migrations

from tenants.policies import IN_SCOPE, rows_of_a_shop, web_may_update

ROUTES = f"SELECT 1 FROM inventory_poolroute r WHERE r.shop_id::text = {IN_SCOPE}"
# The shop's own comes first: its rows never ask for routes.
OWN = f"owner_id::text = {IN_SCOPE}"
SOLD = f"for_shop_id::text = {IN_SCOPE}"
ROUTED = "r.pool_id = inventory_stockmovement.owner_id AND r.stock_row_id = inventory_stockmovement.stock_row_id"


class Migration(migrations.Migration):
    replaces = [
        ("inventory", "0007_row_level_security"),
        ("inventory", "0010_pool_policies"),
    ]
    dependencies = [("inventory", "0003_references_within_an_owner"), ("tenants", "0005_row_level_security")]

    operations = [
        rows_of_a_shop(
            "inventory_stockowner",
            web="append",
            rows=f"id::text = {IN_SCOPE} OR EXISTS ({ROUTES} AND r.pool_id = inventory_stockowner.id)",
        ),
        rows_of_a_shop(
            "inventory_stockrow",
            web="append",
            rows=f"{OWN} OR EXISTS ({ROUTES} AND r.stock_row_id = inventory_stockrow.id)",
        ),
        web_may_update("inventory_stockrow", "on_hand", "held", "out", "low_stock_threshold", "buffer_days"),
        rows_of_a_shop(
            "inventory_stockmovement",
            web="append",
            rows=f"{OWN} OR {SOLD}",
            written=f"{OWN} OR ({SOLD} AND EXISTS ({ROUTES} AND {ROUTED}))",
        ),
        rows_of_a_shop("inventory_poolroute", web="read"),
        web_may_update("inventory_poolroute", "held", "sold"),
        rows_of_a_shop("inventory_hold"),
        rows_of_a_shop("inventory_holditem"),
        rows_of_a_shop("inventory_holdperiod"),
        rows_of_a_shop("inventory_stockday", column="owner_id", web="append"),
        web_may_update("inventory_stockday", "booked", "capacity"),
        rows_of_a_shop("inventory_stockimport"),
        rows_of_a_shop("inventory_stockimportpart"),
        rows_of_a_shop("inventory_stockimportrow"),
        rows_of_a_shop("inventory_stockalert", column="owner_id"),
        rows_of_a_shop("inventory_alertdelivery", column="owner_id"),
    ]
