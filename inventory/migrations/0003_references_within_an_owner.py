"""Rows refer to rows of the same owner: (owner_id, id) or (shop_id, id) is what they name, whoever writes. Deferred
to the commit, as Django's own keys are.
"""

from django.db import migrations

# An item belongs to its hold's shop, a movement to its row's owner.
HOLDS_AND_MOVEMENTS = """
ALTER TABLE inventory_holditem ADD CONSTRAINT hold_item_of_its_shop
    FOREIGN KEY (shop_id, hold_id) REFERENCES inventory_hold (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE inventory_stockmovement ADD CONSTRAINT movement_of_its_owner
    FOREIGN KEY (owner_id, stock_row_id) REFERENCES inventory_stockrow (owner_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
HOLDS_AND_MOVEMENTS_REVERSE = """
ALTER TABLE inventory_stockmovement DROP CONSTRAINT movement_of_its_owner;
ALTER TABLE inventory_holditem DROP CONSTRAINT hold_item_of_its_shop;
"""

# An item's row is its shop's own or, with a route, that route's. Without a route `own_shop` is the item's shop and
# names the row's owner; with one it is null, and the route answers instead. No item refers to anything else.
ROUTES = """
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
"""
ROUTES_REVERSE = """
ALTER TABLE inventory_holditem DROP CONSTRAINT hold_item_of_own_stock, DROP CONSTRAINT hold_item_of_its_route,
    DROP COLUMN own_shop;
ALTER TABLE inventory_poolroute DROP CONSTRAINT route_of_its_pool;
"""

# Periods are a shop's own rows, so that a hold never has another shop's units for a day.
PERIODS = """
ALTER TABLE inventory_holdperiod ADD CONSTRAINT hold_period_of_its_shop
    FOREIGN KEY (shop_id, hold_id) REFERENCES inventory_hold (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE inventory_holdperiod ADD CONSTRAINT hold_period_of_own_stock
    FOREIGN KEY (shop_id, stock_row_id) REFERENCES inventory_stockrow (owner_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE inventory_stockday ADD CONSTRAINT stock_day_of_its_owner
    FOREIGN KEY (owner_id, stock_row_id) REFERENCES inventory_stockrow (owner_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
PERIODS_REVERSE = """
ALTER TABLE inventory_stockday DROP CONSTRAINT stock_day_of_its_owner;
ALTER TABLE inventory_holdperiod DROP CONSTRAINT hold_period_of_own_stock;
ALTER TABLE inventory_holdperiod DROP CONSTRAINT hold_period_of_its_shop;
"""

# A row's alert belongs to the row's owner, a delivery to its alert's.
ALERTS = """
ALTER TABLE inventory_stockalert ADD CONSTRAINT stock_alert_of_its_owner
    FOREIGN KEY (owner_id, stock_row_id) REFERENCES inventory_stockrow (owner_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE inventory_alertdelivery ADD CONSTRAINT alert_delivery_of_its_owner
    FOREIGN KEY (owner_id, alert_id) REFERENCES inventory_stockalert (owner_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
ALERTS_REVERSE = """
ALTER TABLE inventory_alertdelivery DROP CONSTRAINT alert_delivery_of_its_owner;
ALTER TABLE inventory_stockalert DROP CONSTRAINT stock_alert_of_its_owner;
"""

# Whose an import is says its stock's owner: a shop's or a pool's. Its shop stands beside it, null for a pool.
IMPORTS = """
ALTER TABLE inventory_stockimportpart ADD CONSTRAINT import_part_of_its_owner
    FOREIGN KEY (owner_id, batch_id) REFERENCES inventory_stockimport (owner_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE inventory_stockimportrow ADD CONSTRAINT import_row_of_its_owner
    FOREIGN KEY (owner_id, batch_id) REFERENCES inventory_stockimport (owner_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE inventory_stockimportrow ADD CONSTRAINT import_row_stock_of_its_owner
    FOREIGN KEY (owner_id, stock_row_id) REFERENCES inventory_stockrow (owner_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
IMPORTS_REVERSE = """
ALTER TABLE inventory_stockimportrow DROP CONSTRAINT import_row_stock_of_its_owner;
ALTER TABLE inventory_stockimportrow DROP CONSTRAINT import_row_of_its_owner;
ALTER TABLE inventory_stockimportpart DROP CONSTRAINT import_part_of_its_owner;
"""


class Migration(migrations.Migration):
    replaces = [("inventory", "0009_pool_functions")]
    dependencies = [("inventory", "0002_movements_and_ended_holds")]

    operations = [
        migrations.RunSQL(HOLDS_AND_MOVEMENTS, HOLDS_AND_MOVEMENTS_REVERSE),
        migrations.RunSQL(ROUTES, ROUTES_REVERSE),
        migrations.RunSQL(PERIODS, PERIODS_REVERSE),
        migrations.RunSQL(ALERTS, ALERTS_REVERSE),
        migrations.RunSQL(IMPORTS, IMPORTS_REVERSE),
    ]
