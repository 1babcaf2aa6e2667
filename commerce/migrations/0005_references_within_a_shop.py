"""Rows of a shop refer to rows of the same shop: (shop_id, id) is what they name, whoever writes.

Deferred to the commit, as the single-column keys were that they replace. A reference that may be null is checked when
it isn't: shop_id never is, so no half of the pair can be missing.
"""

import django.db.models.deletion
from django.db import migrations, models


SAME_SHOP = """
ALTER TABLE commerce_cartline ADD CONSTRAINT cart_line_of_its_shop
    FOREIGN KEY (shop_id, cart_id) REFERENCES commerce_cart (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE commerce_producttext ADD CONSTRAINT product_text_of_its_shop
    FOREIGN KEY (shop_id, product_id) REFERENCES commerce_product (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE commerce_variant ADD CONSTRAINT variant_of_its_shop
    FOREIGN KEY (shop_id, product_id) REFERENCES commerce_product (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE commerce_order ADD CONSTRAINT order_hold_of_its_shop
    FOREIGN KEY (shop_id, hold_id) REFERENCES inventory_hold (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE commerce_orderline ADD CONSTRAINT order_line_of_its_shop
    FOREIGN KEY (shop_id, order_id) REFERENCES commerce_order (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE commerce_journalentry ADD CONSTRAINT journal_entry_order_of_its_shop
    FOREIGN KEY (shop_id, order_id) REFERENCES commerce_order (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE commerce_journalline ADD CONSTRAINT journal_line_of_its_shop
    FOREIGN KEY (shop_id, entry_id) REFERENCES commerce_journalentry (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
SAME_SHOP_REVERSE = """
ALTER TABLE commerce_journalline DROP CONSTRAINT journal_line_of_its_shop;
ALTER TABLE commerce_journalentry DROP CONSTRAINT journal_entry_order_of_its_shop;
ALTER TABLE commerce_orderline DROP CONSTRAINT order_line_of_its_shop;
ALTER TABLE commerce_order DROP CONSTRAINT order_hold_of_its_shop;
ALTER TABLE commerce_variant DROP CONSTRAINT variant_of_its_shop;
ALTER TABLE commerce_producttext DROP CONSTRAINT product_text_of_its_shop;
ALTER TABLE commerce_cartline DROP CONSTRAINT cart_line_of_its_shop;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('commerce', '0004_resolver_reads'),
        ('inventory', '0003_hold_functions'),
        ('tenants', '0007_host_onboarding'),
    ]

    operations = [
        migrations.AlterField(
            model_name='cart',
            name='shop',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AlterField(
            model_name='cartline',
            name='cart',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='commerce.cart'),
        ),
        migrations.AlterField(
            model_name='journalentry',
            name='order',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='journal_entries', to='commerce.order'),
        ),
        migrations.AlterField(
            model_name='journalentry',
            name='shop',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AlterField(
            model_name='journalline',
            name='entry',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='commerce.journalentry'),
        ),
        migrations.AlterField(
            model_name='order',
            name='hold',
            field=models.OneToOneField(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='order', to='inventory.hold'),
        ),
        migrations.AlterField(
            model_name='order',
            name='shop',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AlterField(
            model_name='orderline',
            name='order',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='commerce.order'),
        ),
        migrations.AlterField(
            model_name='product',
            name='shop',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AlterField(
            model_name='producttext',
            name='product',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='texts', to='commerce.product'),
        ),
        migrations.AlterField(
            model_name='variant',
            name='product',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='variants', to='commerce.product'),
        ),
        migrations.AddConstraint(
            model_name='cart',
            constraint=models.UniqueConstraint(fields=('shop', 'id'), name='cart_shop_and_id'),
        ),
        migrations.AddConstraint(
            model_name='journalentry',
            constraint=models.UniqueConstraint(fields=('shop', 'id'), name='journal_entry_shop_and_id'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.UniqueConstraint(fields=('shop', 'id'), name='order_shop_and_id'),
        ),
        migrations.AddConstraint(
            model_name='product',
            constraint=models.UniqueConstraint(fields=('shop', 'id'), name='product_shop_and_id'),
        ),
        migrations.RunSQL(SAME_SHOP, SAME_SHOP_REVERSE),
    ]
