"""Stock and what holds it: rows and movements, pools and routes, holds, booked days, alerts, imports."""

import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.text
import django.db.models.lookups
import uuid_utils.compat
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tenants', '0001_initial'),
    ]

    replaces = [
        ('inventory', '0004_low_stock_alerts'),
        ('inventory', '0005_watched_rows'),
        ('inventory', '0006_stock_imports'),
        ('inventory', '0008_pools'),
        ('inventory', '0016_pool_imports'),
        ('inventory', '0017_booked_days'),
        ('inventory', '0019_rented_out'),
        ('inventory', '0020_stock_day_over'),
    ]

    operations = [
        migrations.CreateModel(
            name='StockOwner',
            fields=[
                ('id', models.CharField(db_collation='C', max_length=80, primary_key=True, serialize=False)),
                ('shop', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('name', models.CharField(blank=True, db_default='', default='', max_length=120)),
                ('enabled', models.BooleanField(db_default=True, default=True, help_text='A pool that is off lends nothing; holds on it end as usual.')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('shop__isnull', True), ('shop', models.F('id')), _connector='OR'), name='stock_owner_is_its_shop'), models.CheckConstraint(condition=models.Q(('shop__isnull', False), ('id__regex', '^pool:[a-z0-9][a-z0-9-]*$'), _connector='OR'), name='stock_owner_pool_id'), models.CheckConstraint(condition=models.Q(('shop__isnull', True), models.Q(('enabled', True), ('name', '')), _connector='OR'), name='stock_owner_plain_for_shops')],
            },
        ),
        migrations.CreateModel(
            name='StockRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='rows', to='inventory.stockowner')),
                ('sku', models.CharField(db_collation='C', max_length=64)),
                ('variant_key', models.CharField(db_collation='C', max_length=255)),
                ('on_hand', models.IntegerField(default=0)),
                ('held', models.IntegerField(default=0)),
                ('available', models.GeneratedField(db_persist=True, expression=django.db.models.expressions.CombinedExpression(models.F('on_hand'), '-', models.F('held')), output_field=models.IntegerField())),
                ('low_stock_threshold', models.PositiveIntegerField(default=0)),
                ('buffer_days', models.PositiveSmallIntegerField(db_default=0, default=0, help_text="Days after each rental on which its units are cleaned and can't go out.")),
                ('out', models.IntegerField(db_default=0, default=0, help_text='Rented units that are with customers now.')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ('owner', 'variant_key'),
                'indexes': [models.Index(fields=['owner', 'sku'], name='stock_row_by_sku'), models.Index(condition=models.Q(('low_stock_threshold__gt', 0)), fields=['owner', 'id'], name='stock_row_watched')],
                'constraints': [models.CheckConstraint(condition=models.Q(('held__gte', 0), ('held__lte', models.F('on_hand'))), name='held_within_on_hand'), models.CheckConstraint(condition=models.Q(('out__gte', 0), ('out__lte', models.F('on_hand'))), name='out_within_on_hand'), models.UniqueConstraint(fields=('owner', 'variant_key'), name='stock_row_one_per_variant'), models.UniqueConstraint(fields=('owner', 'id'), name='stock_row_owner_and_id')],
            },
        ),
        migrations.CreateModel(
            name='StockMovement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('owner', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockowner')),
                ('stock_row', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='movements', to='inventory.stockrow')),
                ('for_shop', models.ForeignKey(blank=True, db_index=False, help_text="Of a pool's units: the shop that sold them or took them back.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('delta', models.IntegerField()),
                ('on_hand_after', models.IntegerField()),
                ('reason', models.CharField(choices=[('opening', 'Opening stock'), ('receipt', 'Goods received'), ('adjustment', 'Adjustment'), ('recount', 'Recount'), ('sale', 'Sale'), ('return', 'Return'), ('loss', 'Lost by a customer')], max_length=12)),
                ('reference', models.CharField(blank=True, default='', help_text='Hold, order or batch behind it.', max_length=255)),
                ('actor', models.CharField(max_length=160)),
                ('note', models.TextField(blank=True, default='')),
                ('request_id', models.CharField(blank=True, default='', max_length=64)),
                ('at', models.DateTimeField()),
            ],
            options={
                'ordering': ('-id',),
                'indexes': [models.Index(fields=['stock_row', '-id'], name='movement_by_row'), models.Index(fields=['owner', 'reference'], name='movement_by_reference')],
                'constraints': [models.CheckConstraint(condition=models.Q(('delta', 0), _negated=True), name='movement_moves_something'), models.CheckConstraint(condition=models.Q(('reason__in', ['opening', 'receipt', 'adjustment', 'recount', 'sale', 'return', 'loss'])), name='movement_reason_known'), models.CheckConstraint(condition=models.Q(('for_shop__isnull', True), django.db.models.lookups.Exact(django.db.models.functions.text.Left('owner', 5), models.Value('pool:')), _connector='OR'), name='movement_shop_of_a_pool'), models.CheckConstraint(condition=models.Q(('on_hand_after__gte', 0)), name='movement_leaves_no_debt')],
            },
        ),
        migrations.CreateModel(
            name='StockAlert',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockowner')),
                ('stock_row', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='alerts', to='inventory.stockrow')),
                ('on_hand', models.IntegerField()),
                ('held', models.IntegerField()),
                ('threshold', models.PositiveIntegerField()),
                ('raised_at', models.DateTimeField()),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('closed_as', models.CharField(blank=True, choices=[('recovered', 'Recovered'), ('repeated', 'Still low, told again')], default='', max_length=10)),
            ],
            options={
                'ordering': ('-id',),
                'indexes': [models.Index(fields=['stock_row', '-id'], name='stock_alert_by_row')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('closed_at__isnull', True)), fields=('owner', 'stock_row'), name='stock_alert_one_open'), models.UniqueConstraint(fields=('owner', 'id'), name='stock_alert_owner_and_id'), models.CheckConstraint(condition=models.Q(models.Q(('closed_as', ''), ('closed_at__isnull', True)), models.Q(('closed_as__in', ['recovered', 'repeated']), ('closed_at__isnull', False)), _connector='OR'), name='stock_alert_closed_as_something')],
            },
        ),
        migrations.CreateModel(
            name='AlertDelivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockowner')),
                ('alert', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='deliveries', to='inventory.stockalert')),
                ('channel', models.CharField(choices=[('email', 'E-mail'), ('webhook', 'Webhook')], max_length=8)),
                ('state', models.CharField(choices=[('due', 'To be sent'), ('sending', 'Being sent'), ('sent', 'Sent'), ('failed', 'Failed'), ('skipped', 'Nobody to tell')], default='due', max_length=8)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('next_attempt_at', models.DateTimeField(help_text='Of one being sent: when its sender is given up.')),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('last_error', models.CharField(blank=True, default='', max_length=300)),
            ],
            options={
                'verbose_name_plural': 'alert deliveries',
                'ordering': ('alert', 'channel'),
                'indexes': [models.Index(condition=models.Q(('state__in', ['due', 'sending'])), fields=['next_attempt_at'], name='alert_delivery_due')],
                'constraints': [models.UniqueConstraint(fields=('owner', 'alert', 'channel'), name='alert_delivery_one_per_channel'), models.CheckConstraint(condition=models.Q(('channel__in', ['email', 'webhook'])), name='alert_delivery_channel_known'), models.CheckConstraint(condition=models.Q(('state__in', ['due', 'sending', 'sent', 'failed', 'skipped'])), name='alert_delivery_state_known'), models.CheckConstraint(condition=models.Q(models.Q(('sent_at__isnull', False), ('state', 'sent')), models.Q(models.Q(('state', 'sent'), _negated=True), ('sent_at__isnull', True)), _connector='OR'), name='alert_delivery_sent_with_a_time')],
            },
        ),
        migrations.CreateModel(
            name='Pool',
            fields=[
            ],
            options={
                'ordering': ('id',),
                'proxy': True,
            },
            bases=('inventory.stockowner',),
        ),
        migrations.CreateModel(
            name='PoolRoute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('sku', models.CharField(db_collation='C', help_text="The shop's own.", max_length=64)),
                ('variant_key', models.CharField(db_collation='C', max_length=255)),
                ('pool', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockowner')),
                ('stock_row', models.ForeignKey(db_constraint=False, db_index=False, limit_choices_to={'owner__shop__isnull': True}, on_delete=django.db.models.deletion.PROTECT, related_name='routes', to='inventory.stockrow')),
                ('enabled', models.BooleanField(default=True)),
                ('allocation_cap', models.PositiveIntegerField(blank=True, help_text='Units that the shop may hold and have sold at most; empty: all there are.', null=True)),
                ('held', models.IntegerField(default=0)),
                ('sold', models.IntegerField(default=0)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ('shop', 'variant_key'),
                'indexes': [models.Index(fields=['shop', 'sku'], name='route_by_sku'), models.Index(fields=['stock_row'], name='route_by_row'), models.Index(fields=['pool', 'id'], name='route_by_pool')],
                'constraints': [models.CheckConstraint(condition=models.Q(('allocation_cap__isnull', True), ('allocation_cap__gte', django.db.models.expressions.CombinedExpression(models.F('held'), '+', models.F('sold'))), _connector='OR'), name='allocation_within_cap'), models.CheckConstraint(condition=models.Q(('held__gte', 0), ('sold__gte', 0)), name='allocation_not_negative'), models.CheckConstraint(condition=django.db.models.lookups.Exact(django.db.models.functions.text.Left('pool', 5), models.Value('pool:')), name='route_leads_to_a_pool'), models.UniqueConstraint(condition=models.Q(('enabled', True)), fields=('shop', 'variant_key'), name='route_one_per_variant'), models.UniqueConstraint(condition=models.Q(('enabled', True)), fields=('shop', 'stock_row'), name='route_one_per_row'), models.UniqueConstraint(fields=('shop', 'id', 'stock_row'), name='route_shop_id_and_row')],
            },
        ),
        migrations.CreateModel(
            name='Hold',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('status', models.CharField(choices=[('active', 'Active'), ('committed', 'Committed'), ('released', 'Released'), ('expired', 'Expired')], default='active', max_length=10)),
                ('held_for', models.CharField(choices=[('direct', 'Direct'), ('checkout', 'Checkout')], default='direct', max_length=8)),
                ('idempotency_key', models.CharField(db_collation='C', max_length=255)),
                ('active_idempotency_key', models.CharField(blank=True, db_collation='C', max_length=255, null=True)),
                ('lines_digest', models.CharField(max_length=64)),
                ('ttl_seconds', models.PositiveIntegerField()),
                ('expires_at', models.DateTimeField()),
                ('created_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('finish_reason', models.CharField(blank=True, default='', max_length=200)),
                ('finished_by', models.CharField(blank=True, default='', max_length=160)),
                ('request_id', models.CharField(blank=True, default='', max_length=64)),
            ],
            options={
                'ordering': ('-created_at',),
                'indexes': [models.Index(condition=models.Q(('status', 'active')), fields=['held_for', 'shop', 'expires_at'], name='hold_overdue'), models.Index(fields=['shop', '-created_at'], name='hold_by_shop')],
                'constraints': [models.UniqueConstraint(fields=('shop', 'active_idempotency_key'), name='hold_one_per_key'), models.UniqueConstraint(fields=('shop', 'id'), name='hold_shop_and_id'), models.CheckConstraint(condition=models.Q(models.Q(('active_idempotency_key__isnull', False), ('status__in', ['active', 'committed'])), models.Q(('active_idempotency_key__isnull', True), ('status__in', ['released', 'expired'])), _connector='OR'), name='hold_key_while_it_counts'), models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', True), ('status', 'active')), models.Q(models.Q(('status', 'active'), _negated=True), ('finished_at__isnull', False)), _connector='OR'), name='hold_finished_when_not_active'), models.CheckConstraint(condition=models.Q(('ttl_seconds__range', (60, 3600))), name='hold_ttl_bounds'), models.CheckConstraint(condition=models.Q(('held_for__in', ['direct', 'checkout'])), name='hold_held_for_known')],
            },
        ),
        migrations.CreateModel(
            name='HoldItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('shop', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('hold', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='items', to='inventory.hold')),
                ('stock_row', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='hold_items', to='inventory.stockrow')),
                ('route', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='hold_items', to='inventory.poolroute')),
                ('quantity', models.PositiveIntegerField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('hold', 'stock_row'), name='hold_item_one_per_row'), models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='hold_item_positive')],
            },
        ),
        migrations.CreateModel(
            name='HoldPeriod',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('shop', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('hold', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='periods', to='inventory.hold')),
                ('stock_row', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='hold_periods', to='inventory.stockrow')),
                ('starts', models.DateField()),
                ('ends', models.DateField()),
                ('blocked_until', models.DateField()),
                ('quantity', models.PositiveIntegerField()),
            ],
            options={
                'indexes': [models.Index(fields=['stock_row', 'blocked_until'], name='hold_period_by_row')],
                'constraints': [models.UniqueConstraint(fields=('hold', 'stock_row', 'starts', 'ends'), name='hold_period_once'), models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='hold_period_positive'), models.CheckConstraint(condition=models.Q(('ends__gte', models.F('starts'))), name='hold_period_in_order')],
            },
        ),
        migrations.CreateModel(
            name='StockDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('owner', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockowner')),
                ('stock_row', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='days', to='inventory.stockrow')),
                ('day', models.DateField()),
                ('booked', models.IntegerField()),
                ('capacity', models.IntegerField()),
            ],
            options={
                'ordering': ('stock_row', 'day'),
                'indexes': [models.Index(fields=['day'], name='stock_day_over')],
                'constraints': [models.CheckConstraint(condition=models.Q(('booked__gte', 0), ('booked__lte', models.F('capacity'))), name='booked_within_capacity'), models.UniqueConstraint(fields=('owner', 'stock_row', 'day'), name='stock_day_once')],
            },
        ),
        migrations.CreateModel(
            name='InventoryRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('reap', 'Reaper'), ('verify', 'Stock proof')], max_length=8)),
                ('started_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField()),
                ('healthy', models.BooleanField(help_text='Nothing failed and nothing drifted.')),
                ('report', models.JSONField()),
            ],
            options={
                'ordering': ('-id',),
                'indexes': [models.Index(fields=['kind', '-finished_at'], name='inventory_run_latest')],
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['reap', 'verify'])), name='inventory_run_kind_known')],
            },
        ),
        migrations.CreateModel(
            name='StockImport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockowner')),
                ('shop', models.ForeignKey(db_index=False, help_text="None for a pool's.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
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
            ],
            options={
                'verbose_name': 'stock import',
                'ordering': ('-id',),
                'indexes': [models.Index(fields=['shop', '-id'], name='stock_import_by_shop'), models.Index(fields=['owner', '-id'], name='stock_import_by_owner'), models.Index(condition=models.Q(('status__in', ['received', 'applying', 'undoing'])), fields=['worked_at'], name='stock_import_at_work')],
                'constraints': [models.UniqueConstraint(fields=('owner', 'id'), name='stock_import_owner_and_id'), models.UniqueConstraint(condition=models.Q(('mode', 'delta'), ('status__in', ['applying', 'applied', 'undoing'])), fields=('owner', 'digest', 'reference'), name='stock_import_delta_once'), models.CheckConstraint(condition=models.Q(('status__in', ['received', 'ready', 'applying', 'applied', 'undoing', 'undone', 'unreadable', 'discarded'])), name='stock_import_status_known'), models.CheckConstraint(condition=models.Q(models.Q(('shop__isnull', False), ('shop', models.F('owner'))), models.Q(('shop__isnull', True), django.db.models.lookups.Exact(django.db.models.functions.text.Left('owner', 5), models.Value('pool:'))), _connector='OR'), name='stock_import_of_its_owner'), models.CheckConstraint(condition=models.Q(('mode__in', ['set', 'delta'])), name='stock_import_mode_known'), models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['applying', 'applied', 'undoing', 'undone']), _negated=True), models.Q(('confirmed_at__isnull', False), models.Q(('reason', ''), _negated=True)), _connector='OR'), name='stock_import_confirmed_with_reason')],
            },
        ),
        migrations.CreateModel(
            name='StockImportPart',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('owner', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockowner')),
                ('shop', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('batch', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='parts', to='inventory.stockimport')),
                ('number', models.PositiveSmallIntegerField()),
                ('data', models.BinaryField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('owner', 'batch', 'number'), name='stock_import_part_once'), models.CheckConstraint(condition=models.Q(models.Q(('shop__isnull', False), ('shop', models.F('owner'))), models.Q(('shop__isnull', True), django.db.models.lookups.Exact(django.db.models.functions.text.Left('owner', 5), models.Value('pool:'))), _connector='OR'), name='stock_import_part_of_its_owner')],
            },
        ),
        migrations.CreateModel(
            name='StockImportRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('owner', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockowner')),
                ('shop', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('batch', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='rows', to='inventory.stockimport')),
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
                ('stock_row', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inventory.stockrow')),
                ('seen_on_hand', models.IntegerField(blank=True, null=True)),
                ('seen_threshold', models.PositiveIntegerField(blank=True, null=True)),
                ('delta', models.IntegerField(default=0, help_text='Units moved, or to be moved.')),
            ],
            options={
                'verbose_name': 'row of an import',
                'verbose_name_plural': 'rows of imports',
                'ordering': ('-batch', 'position'),
                'indexes': [models.Index(fields=['batch', 'state', 'position'], name='stock_import_row_by_state'), models.Index(fields=['-batch', 'position'], name='stock_import_row_in_order'), models.Index(fields=['variant_key'], name='stock_import_row_variant'), models.Index(fields=['owner', 'stock_row'], name='stock_import_row_stock'), models.Index(condition=models.Q(('state', 'failed')), fields=['shop', '-batch'], name='stock_import_row_failed')],
                'constraints': [models.UniqueConstraint(fields=('owner', 'batch', 'position'), name='stock_import_row_once'), models.UniqueConstraint(condition=models.Q(('state__in', ['pending', 'unchanged', 'applied', 'undone'])), fields=('owner', 'batch', 'variant_key'), name='stock_import_variant_once'), models.CheckConstraint(condition=models.Q(models.Q(('shop__isnull', False), ('shop', models.F('owner'))), models.Q(('shop__isnull', True), django.db.models.lookups.Exact(django.db.models.functions.text.Left('owner', 5), models.Value('pool:'))), _connector='OR'), name='stock_import_row_of_its_owner'), models.CheckConstraint(condition=models.Q(('state__in', ['pending', 'unchanged', 'failed', 'applied', 'undone', 'dismissed'])), name='stock_import_row_state_known'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'failed'), _negated=True), models.Q(('problem', ''), _negated=True), _connector='OR'), name='stock_import_row_failed_with_problem')],
            },
        ),
    ]
