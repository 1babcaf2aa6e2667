"""Imports of pools. Whose an import is says its stock's owner from now on, by which rows, parts and stock refer to each
other; its shop stays beside it, null for a pool, and is what policies and pages go by. Going back needs imports of
pools to be gone.
"""

import django.db.models.deletion
import django.db.models.functions.text
import django.db.models.lookups
from django.db import migrations, models

OLD = """
ALTER TABLE inventory_stockimportpart ADD CONSTRAINT import_part_of_its_shop
    FOREIGN KEY (shop_id, batch_id) REFERENCES inventory_stockimport (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE inventory_stockimportrow ADD CONSTRAINT import_row_of_its_shop
    FOREIGN KEY (shop_id, batch_id) REFERENCES inventory_stockimport (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE inventory_stockimportrow ADD CONSTRAINT import_row_stock_of_its_shop
    FOREIGN KEY (shop_id, stock_row_id) REFERENCES inventory_stockrow (owner_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
NO_OLD = """
ALTER TABLE inventory_stockimportrow DROP CONSTRAINT import_row_stock_of_its_shop;
ALTER TABLE inventory_stockimportrow DROP CONSTRAINT import_row_of_its_shop;
ALTER TABLE inventory_stockimportpart DROP CONSTRAINT import_part_of_its_shop;
"""
NEW = """
ALTER TABLE inventory_stockimportpart ADD CONSTRAINT import_part_of_its_owner
    FOREIGN KEY (owner_id, batch_id) REFERENCES inventory_stockimport (owner_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE inventory_stockimportrow ADD CONSTRAINT import_row_of_its_owner
    FOREIGN KEY (owner_id, batch_id) REFERENCES inventory_stockimport (owner_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE inventory_stockimportrow ADD CONSTRAINT import_row_stock_of_its_owner
    FOREIGN KEY (owner_id, stock_row_id) REFERENCES inventory_stockrow (owner_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
NO_NEW = """
ALTER TABLE inventory_stockimportrow DROP CONSTRAINT import_row_stock_of_its_owner;
ALTER TABLE inventory_stockimportrow DROP CONSTRAINT import_row_of_its_owner;
ALTER TABLE inventory_stockimportpart DROP CONSTRAINT import_part_of_its_owner;
"""
# Checked at once: a table with checks that wait can't be altered further in the same transaction.
FILL = """
SET CONSTRAINTS ALL IMMEDIATE;
INSERT INTO inventory_stockowner (id, shop_id)
    SELECT DISTINCT shop_id, shop_id FROM inventory_stockimport ON CONFLICT DO NOTHING;
UPDATE inventory_stockimport SET owner_id = shop_id;
UPDATE inventory_stockimportpart SET owner_id = shop_id;
UPDATE inventory_stockimportrow SET owner_id = shop_id;
SET CONSTRAINTS ALL DEFERRED;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('inventory', '0015_holds_together'),
        ('tenants', '0013_service_token_pages'),
    ]

    operations = [
        migrations.RunSQL(NO_OLD, OLD),
        migrations.RemoveConstraint(
            model_name='stockimport',
            name='stock_import_shop_and_id',
        ),
        migrations.RemoveConstraint(
            model_name='stockimport',
            name='stock_import_delta_once',
        ),
        migrations.RemoveConstraint(
            model_name='stockimportpart',
            name='stock_import_part_once',
        ),
        migrations.RemoveConstraint(
            model_name='stockimportrow',
            name='stock_import_row_once',
        ),
        migrations.RemoveConstraint(
            model_name='stockimportrow',
            name='stock_import_variant_once',
        ),
        migrations.RemoveIndex(
            model_name='stockimportrow',
            name='stock_import_row_stock',
        ),
        migrations.AddField(
            model_name='stockimport',
            name='owner',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockowner'),
        ),
        migrations.AddField(
            model_name='stockimportpart',
            name='owner',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockowner'),
        ),
        migrations.AddField(
            model_name='stockimportrow',
            name='owner',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockowner'),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='stockimport',
            name='owner',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockowner'),
        ),
        migrations.AlterField(
            model_name='stockimportpart',
            name='owner',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockowner'),
        ),
        migrations.AlterField(
            model_name='stockimportrow',
            name='owner',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockowner'),
        ),
        migrations.AlterField(
            model_name='stockimport',
            name='shop',
            field=models.ForeignKey(db_index=False, help_text="None for a pool's.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AlterField(
            model_name='stockimportpart',
            name='shop',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AlterField(
            model_name='stockimportrow',
            name='shop',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AddIndex(
            model_name='stockimport',
            index=models.Index(fields=['owner', '-id'], name='stock_import_by_owner'),
        ),
        migrations.AddIndex(
            model_name='stockimportrow',
            index=models.Index(fields=['owner', 'stock_row'], name='stock_import_row_stock'),
        ),
        migrations.AddConstraint(
            model_name='stockimport',
            constraint=models.UniqueConstraint(fields=('owner', 'id'), name='stock_import_owner_and_id'),
        ),
        migrations.AddConstraint(
            model_name='stockimport',
            constraint=models.UniqueConstraint(condition=models.Q(('mode', 'delta'), ('status__in', ['applying', 'applied', 'undoing'])), fields=('owner', 'digest', 'reference'), name='stock_import_delta_once'),
        ),
        migrations.AddConstraint(
            model_name='stockimport',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('shop__isnull', False), ('shop', models.F('owner'))), models.Q(('shop__isnull', True), django.db.models.lookups.Exact(django.db.models.functions.text.Left('owner', 5), models.Value('pool:'))), _connector='OR'), name='stock_import_of_its_owner'),
        ),
        migrations.AddConstraint(
            model_name='stockimportpart',
            constraint=models.UniqueConstraint(fields=('owner', 'batch', 'number'), name='stock_import_part_once'),
        ),
        migrations.AddConstraint(
            model_name='stockimportpart',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('shop__isnull', False), ('shop', models.F('owner'))), models.Q(('shop__isnull', True), django.db.models.lookups.Exact(django.db.models.functions.text.Left('owner', 5), models.Value('pool:'))), _connector='OR'), name='stock_import_part_of_its_owner'),
        ),
        migrations.AddConstraint(
            model_name='stockimportrow',
            constraint=models.UniqueConstraint(fields=('owner', 'batch', 'position'), name='stock_import_row_once'),
        ),
        migrations.AddConstraint(
            model_name='stockimportrow',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['pending', 'unchanged', 'applied', 'undone'])), fields=('owner', 'batch', 'variant_key'), name='stock_import_variant_once'),
        ),
        migrations.AddConstraint(
            model_name='stockimportrow',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('shop__isnull', False), ('shop', models.F('owner'))), models.Q(('shop__isnull', True), django.db.models.lookups.Exact(django.db.models.functions.text.Left('owner', 5), models.Value('pool:'))), _connector='OR'), name='stock_import_row_of_its_owner'),
        ),
        migrations.RunSQL(NEW, NO_NEW),
    ]
