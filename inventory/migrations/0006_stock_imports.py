"""Imports of stock: files, rows and their fates. A row's import and stock row are its own shop's, whoever writes."""

import django.db.models.deletion
from django.db import migrations, models


SAME_SHOP = """
ALTER TABLE inventory_stockimportpart ADD CONSTRAINT import_part_of_its_shop
    FOREIGN KEY (shop_id, batch_id) REFERENCES inventory_stockimport (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE inventory_stockimportrow ADD CONSTRAINT import_row_of_its_shop
    FOREIGN KEY (shop_id, batch_id) REFERENCES inventory_stockimport (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE inventory_stockimportrow ADD CONSTRAINT import_row_stock_of_its_shop
    FOREIGN KEY (shop_id, stock_row_id) REFERENCES inventory_stockrow (owner_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
SAME_SHOP_REVERSE = """
ALTER TABLE inventory_stockimportrow DROP CONSTRAINT import_row_stock_of_its_shop;
ALTER TABLE inventory_stockimportrow DROP CONSTRAINT import_row_of_its_shop;
ALTER TABLE inventory_stockimportpart DROP CONSTRAINT import_part_of_its_shop;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('inventory', '0005_watched_rows'),
        ('tenants', '0007_host_onboarding'),
    ]

    operations = [
        migrations.CreateModel(
            name='StockImport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('file_name', models.CharField(max_length=200)),
                ('format', models.CharField(choices=[('csv', 'CSV'), ('xlsx', 'XLSX'), ('json', 'JSON')], max_length=4)),
                ('size_bytes', models.PositiveIntegerField(verbose_name='size in bytes')),
                ('digest', models.CharField(help_text='SHA-256 of the file.', max_length=64)),
                ('mode', models.CharField(choices=[('set', 'Sets the units on hand'), ('delta', 'Adds units, or takes them away')], max_length=5)),
                ('unknown_skus', models.BooleanField(default=False, help_text='Whether variants that the catalog lacks are taken.', verbose_name='unknown variants')),
                ('reference', models.CharField(blank=True, default='', help_text='Delivery note, stocktaking, …', max_length=100)),
                ('status', models.CharField(choices=[('received', 'Being read'), ('ready', 'To be confirmed'), ('applying', 'Being applied'), ('applied', 'Applied'), ('undoing', 'Being undone'), ('undone', 'Undone'), ('unreadable', 'Unreadable'), ('discarded', 'Discarded')], default='received', max_length=10)),
                ('problem', models.TextField(blank=True, default='', help_text='Why no row, or no further row, could be read.')),
                ('rows_expected', models.PositiveIntegerField(default=0)),
                ('rows_read', models.PositiveIntegerField(default=0)),
                ('uploaded_by', models.CharField(max_length=160)),
                ('uploaded_at', models.DateTimeField()),
                ('confirmed_by', models.CharField(blank=True, default='', max_length=160)),
                ('confirmed_at', models.DateTimeField(blank=True, null=True)),
                ('reason', models.CharField(blank=True, default='', max_length=500)),
                ('undone_by', models.CharField(blank=True, default='', max_length=160)),
                ('undo_reason', models.CharField(blank=True, default='', max_length=500)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('worked_at', models.DateTimeField()),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
            ],
            options={
                'verbose_name': 'stock import',
                'ordering': ('-id',),
            },
        ),
        migrations.CreateModel(
            name='StockImportPart',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveSmallIntegerField()),
                ('data', models.BinaryField()),
                ('batch', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='parts', to='inventory.stockimport')),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
            ],
        ),
        migrations.CreateModel(
            name='StockImportRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveIntegerField(help_text='Counts the rows; several may stand on one line of JSON.')),
                ('line', models.PositiveIntegerField()),
                ('sku', models.CharField(blank=True, db_collation='C', default='', max_length=64)),
                ('variant_key', models.CharField(blank=True, db_collation='C', default='', max_length=255)),
                ('number', models.IntegerField(blank=True, help_text='Units, absolute or to add. Empty: as they are.', null=True)),
                ('threshold', models.PositiveIntegerField(blank=True, help_text='Empty: as it is.', null=True)),
                ('state', models.CharField(choices=[('pending', 'Will change'), ('unchanged', 'Unchanged'), ('failed', "Can't be applied"), ('applied', 'Applied'), ('undone', 'Undone'), ('dismissed', 'Dismissed')], max_length=9)),
                ('effect', models.CharField(choices=[('new', 'New row'), ('change', 'Other number'), ('threshold', 'Other threshold'), ('nothing', 'Nothing')], default='nothing', max_length=9)),
                ('code', models.CharField(blank=True, default='', max_length=12)),
                ('problem', models.TextField(blank=True, default='')),
                ('raw', models.JSONField(blank=True, null=True)),
                ('seen_on_hand', models.IntegerField(blank=True, null=True)),
                ('seen_threshold', models.PositiveIntegerField(blank=True, null=True)),
                ('delta', models.IntegerField(default=0, help_text='Units moved, or to be moved.')),
                ('batch', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='rows', to='inventory.stockimport')),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('stock_row', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockrow')),
            ],
            options={
                'verbose_name': 'row of an import',
                'verbose_name_plural': 'rows of imports',
                'ordering': ('-batch', 'position'),
            },
        ),
        migrations.AddIndex(
            model_name='stockimport',
            index=models.Index(fields=['shop', '-id'], name='stock_import_by_shop'),
        ),
        migrations.AddIndex(
            model_name='stockimport',
            index=models.Index(condition=models.Q(('status__in', ['received', 'applying', 'undoing'])), fields=['worked_at'], name='stock_import_at_work'),
        ),
        migrations.AddConstraint(
            model_name='stockimport',
            constraint=models.UniqueConstraint(fields=('shop', 'id'), name='stock_import_shop_and_id'),
        ),
        migrations.AddConstraint(
            model_name='stockimport',
            constraint=models.UniqueConstraint(condition=models.Q(('mode', 'delta'), ('status__in', ['applying', 'applied', 'undoing'])), fields=('shop', 'digest', 'reference'), name='stock_import_delta_once'),
        ),
        migrations.AddConstraint(
            model_name='stockimport',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['received', 'ready', 'applying', 'applied', 'undoing', 'undone', 'unreadable', 'discarded'])), name='stock_import_status_known'),
        ),
        migrations.AddConstraint(
            model_name='stockimport',
            constraint=models.CheckConstraint(condition=models.Q(('mode__in', ['set', 'delta'])), name='stock_import_mode_known'),
        ),
        migrations.AddConstraint(
            model_name='stockimport',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['applying', 'applied', 'undoing', 'undone']), _negated=True), models.Q(('confirmed_at__isnull', False), models.Q(('reason', ''), _negated=True)), _connector='OR'), name='stock_import_confirmed_with_reason'),
        ),
        migrations.AddConstraint(
            model_name='stockimportpart',
            constraint=models.UniqueConstraint(fields=('shop', 'batch', 'number'), name='stock_import_part_once'),
        ),
        migrations.AddIndex(
            model_name='stockimportrow',
            index=models.Index(fields=['batch', 'state', 'position'], name='stock_import_row_by_state'),
        ),
        migrations.AddIndex(
            model_name='stockimportrow',
            index=models.Index(fields=['-batch', 'position'], name='stock_import_row_in_order'),
        ),
        migrations.AddIndex(
            model_name='stockimportrow',
            index=models.Index(fields=['variant_key'], name='stock_import_row_variant'),
        ),
        migrations.AddIndex(
            model_name='stockimportrow',
            index=models.Index(fields=['shop', 'stock_row'], name='stock_import_row_stock'),
        ),
        migrations.AddIndex(
            model_name='stockimportrow',
            index=models.Index(condition=models.Q(('state', 'failed')), fields=['shop', '-batch'], name='stock_import_row_failed'),
        ),
        migrations.AddConstraint(
            model_name='stockimportrow',
            constraint=models.UniqueConstraint(fields=('shop', 'batch', 'position'), name='stock_import_row_once'),
        ),
        migrations.AddConstraint(
            model_name='stockimportrow',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['pending', 'unchanged', 'applied', 'undone'])), fields=('shop', 'batch', 'variant_key'), name='stock_import_variant_once'),
        ),
        migrations.AddConstraint(
            model_name='stockimportrow',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['pending', 'unchanged', 'failed', 'applied', 'undone', 'dismissed'])), name='stock_import_row_state_known'),
        ),
        migrations.AddConstraint(
            model_name='stockimportrow',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'failed'), _negated=True), models.Q(('problem', ''), _negated=True), _connector='OR'), name='stock_import_row_failed_with_problem'),
        ),
        migrations.RunSQL(SAME_SHOP, SAME_SHOP_REVERSE),
    ]
