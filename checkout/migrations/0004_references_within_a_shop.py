"""An attempt's cart, order and hold are its own shop's, whoever writes."""

import django.db.models.deletion
from django.db import migrations, models


SAME_SHOP = """
ALTER TABLE checkout_checkoutattempt ADD CONSTRAINT attempt_cart_of_its_shop
    FOREIGN KEY (shop_id, cart_id) REFERENCES commerce_cart (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE checkout_checkoutattempt ADD CONSTRAINT attempt_order_of_its_shop
    FOREIGN KEY (shop_id, order_id) REFERENCES commerce_order (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE checkout_checkoutattempt ADD CONSTRAINT attempt_hold_of_its_shop
    FOREIGN KEY (shop_id, hold_id) REFERENCES inventory_hold (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
SAME_SHOP_REVERSE = """
ALTER TABLE checkout_checkoutattempt DROP CONSTRAINT attempt_hold_of_its_shop;
ALTER TABLE checkout_checkoutattempt DROP CONSTRAINT attempt_order_of_its_shop;
ALTER TABLE checkout_checkoutattempt DROP CONSTRAINT attempt_cart_of_its_shop;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('checkout', '0003_resolver_reads'),
        ('commerce', '0005_references_within_a_shop'),
        ('inventory', '0003_hold_functions'),
    ]

    operations = [
        migrations.AlterField(
            model_name='checkoutattempt',
            name='cart',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='commerce.cart'),
        ),
        migrations.AlterField(
            model_name='checkoutattempt',
            name='hold',
            field=models.OneToOneField(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='attempt', to='inventory.hold'),
        ),
        migrations.AlterField(
            model_name='checkoutattempt',
            name='order',
            field=models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='attempt', to='commerce.order'),
        ),
        migrations.RunSQL(SAME_SHOP, SAME_SHOP_REVERSE),
    ]
