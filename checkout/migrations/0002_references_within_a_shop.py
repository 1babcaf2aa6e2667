"""An attempt's cart, order, hold and plan are its own shop's, and so is the order that was paid without stock."""

from django.db import migrations

SAME_SHOP = """
ALTER TABLE checkout_checkoutattempt ADD CONSTRAINT attempt_cart_of_its_shop
    FOREIGN KEY (shop_id, cart_id) REFERENCES commerce_cart (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE checkout_checkoutattempt ADD CONSTRAINT attempt_order_of_its_shop
    FOREIGN KEY (shop_id, order_id) REFERENCES commerce_order (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE checkout_checkoutattempt ADD CONSTRAINT attempt_hold_of_its_shop
    FOREIGN KEY (shop_id, hold_id) REFERENCES inventory_hold (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE checkout_shortage ADD CONSTRAINT shortage_order_of_its_shop
    FOREIGN KEY (shop_id, order_id) REFERENCES commerce_order (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE checkout_subscribeattempt ADD CONSTRAINT subscribe_plan_of_its_shop
    FOREIGN KEY (shop_id, version_id) REFERENCES commerce_planversion (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
SAME_SHOP_REVERSE = """
ALTER TABLE checkout_subscribeattempt DROP CONSTRAINT subscribe_plan_of_its_shop;
ALTER TABLE checkout_shortage DROP CONSTRAINT shortage_order_of_its_shop;
ALTER TABLE checkout_checkoutattempt DROP CONSTRAINT attempt_hold_of_its_shop;
ALTER TABLE checkout_checkoutattempt DROP CONSTRAINT attempt_order_of_its_shop;
ALTER TABLE checkout_checkoutattempt DROP CONSTRAINT attempt_cart_of_its_shop;
"""


class Migration(migrations.Migration):
    replaces = [("checkout", "0004_references_within_a_shop")]
    dependencies = [("checkout", "0001_initial"), ("commerce", "0012_references_within_a_shop")]

    operations = [
        migrations.RunSQL(SAME_SHOP, SAME_SHOP_REVERSE),
    ]
