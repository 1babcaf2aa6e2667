import django.db.models.deletion
import django.db.models.expressions
import uuid_utils.compat
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('commerce', '0011_rental_rates'),
        ('inventory', '0011_pool_rights'),
        ('tenants', '0012_service_token'),
    ]

    operations = [
        migrations.CreateModel(
            name='Refund',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('sending', 'Sending to Stripe'), ('unknown', 'Outcome unknown'), ('pending', 'Pending'), ('requires_action', 'Waits for the customer'), ('succeeded', 'Refunded'), ('failed', 'Failed'), ('canceled', 'Canceled')], default='sending', max_length=16)),
                ('currency', models.CharField(max_length=3)),
                ('amount', models.PositiveBigIntegerField()),
                ('deposit_amount', models.PositiveBigIntegerField(default=0)),
                ('tax_amount', models.PositiveBigIntegerField(default=0)),
                ('stripe_account', models.CharField(db_collation='C', max_length=64)),
                ('stripe_key', models.CharField(blank=True, db_collation='C', default='', max_length=255)),
                ('stripe_params', models.JSONField(default=dict)),
                ('refund_id', models.CharField(blank=True, db_collation='C', max_length=255, null=True)),
                ('sends', models.PositiveIntegerField(default=0)),
                ('refusals', models.PositiveIntegerField(default=0)),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
                ('read_stamp', models.BigIntegerField(default=0, help_text='The newest reading of Stripe that was applied.')),
                ('failure_reason', models.CharField(blank=True, default='', max_length=200)),
                ('pending_reason', models.CharField(blank=True, default='', max_length=64)),
                ('checked_at', models.DateTimeField(blank=True, help_text='When a worker last asked Stripe.', null=True)),
                ('told_status', models.CharField(blank=True, default='', help_text='The trouble that staff were told of.', max_length=16)),
                ('handled_at', models.DateTimeField(blank=True, help_text='When staff dealt with what went wrong.', null=True)),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'ordering': ('-id',),
            },
        ),
        migrations.CreateModel(
            name='Return',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('idempotency_key', models.CharField(db_collation='C', max_length=255)),
                ('digest', models.CharField(help_text='What was asked for with the key.', max_length=64)),
                ('status', models.CharField(choices=[('open', 'Being refunded'), ('accepted', 'Accepted'), ('refused', 'Refused by Stripe')], default='open', max_length=8)),
                ('restock', models.CharField(blank=True, choices=[('', 'Nothing to restock'), ('due', 'To be restocked'), ('done', 'Restocked'), ('failed', 'Could not be restocked')], default='', max_length=6)),
                ('reason', models.CharField(max_length=500)),
                ('acting', models.CharField(max_length=160)),
                ('request_id', models.CharField(blank=True, default='', max_length=64)),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'ordering': ('-id',),
            },
        ),
        migrations.CreateModel(
            name='ReturnLine',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('quantity', models.PositiveIntegerField()),
                ('restock', models.BooleanField(default=False)),
                ('amount', models.PositiveBigIntegerField()),
            ],
            options={
                'ordering': ('id',),
            },
        ),
        migrations.AlterModelOptions(
            name='journalentry',
            options={'ordering': ('-id',), 'permissions': (('adjust_journal', 'Can book adjustments'),), 'verbose_name_plural': 'journal entries'},
        ),
        migrations.AlterModelOptions(
            name='order',
            options={'ordering': ('-created_at',), 'permissions': (('refund_order', 'Can give money back'), ('resolve_order', 'Can accept differing amounts'))},
        ),
        migrations.AddField(
            model_name='order',
            name='deposit_kept_amount',
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='order',
            name='deposit_refunded_amount',
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='orderline',
            name='returned_quantity',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('deposit_amount__gte', django.db.models.expressions.CombinedExpression(models.F('deposit_refunded_amount'), '+', models.F('deposit_kept_amount')))), name='order_deposit_spent_once'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('deposit_refunded_amount__lte', models.F('refunded_amount'))), name='order_deposit_part_of_refunds'),
        ),
        migrations.AddConstraint(
            model_name='orderline',
            constraint=models.UniqueConstraint(fields=('shop', 'id'), name='order_line_shop_and_id'),
        ),
        migrations.AddConstraint(
            model_name='orderline',
            constraint=models.CheckConstraint(condition=models.Q(('returned_quantity__lte', models.F('quantity'))), name='order_line_returned_once'),
        ),
        migrations.AddField(
            model_name='refund',
            name='order',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='commerce.order'),
        ),
        migrations.AddField(
            model_name='refund',
            name='shop',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AddField(
            model_name='return',
            name='order',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='commerce.order'),
        ),
        migrations.AddField(
            model_name='return',
            name='shop',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AddField(
            model_name='refund',
            name='returned',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='commerce.return'),
        ),
        migrations.AddField(
            model_name='returnline',
            name='order_line',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='commerce.orderline'),
        ),
        migrations.AddField(
            model_name='returnline',
            name='returned',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='commerce.return'),
        ),
        migrations.AddField(
            model_name='returnline',
            name='shop',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AddIndex(
            model_name='return',
            index=models.Index(fields=['shop', '-id'], name='return_by_shop'),
        ),
        migrations.AddIndex(
            model_name='return',
            index=models.Index(condition=models.Q(('restock', 'due')), fields=['created_at'], name='return_to_restock'),
        ),
        migrations.AddConstraint(
            model_name='return',
            constraint=models.UniqueConstraint(fields=('shop', 'id'), name='return_shop_and_id'),
        ),
        migrations.AddConstraint(
            model_name='return',
            constraint=models.UniqueConstraint(fields=('shop', 'idempotency_key'), name='return_one_per_key'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(fields=['shop', '-id'], name='refund_by_shop'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(fields=['order'], name='refund_by_order'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(fields=['refund_id'], name='refund_by_object'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(condition=models.Q(('status__in', ['sending', 'unknown', 'pending', 'requires_action'])), fields=['checked_at'], name='refund_unresolved'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(condition=models.Q(('handled_at__isnull', True), models.Q(('status__in', ['succeeded', 'sending']), _negated=True)), fields=['-id'], name='refund_on_desk'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.UniqueConstraint(fields=('stripe_account', 'refund_id'), name='refund_one_per_object'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='refund_positive'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gte', django.db.models.expressions.CombinedExpression(models.F('deposit_amount'), '+', models.F('tax_amount')))), name='refund_parts_within'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('refusals__lte', models.F('sends'))), name='refund_refusals_within_sends'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['sending', 'unknown', 'failed']), ('refund_id__isnull', False), _connector='OR'), name='refund_known_has_object'),
        ),
        migrations.AddConstraint(
            model_name='returnline',
            constraint=models.UniqueConstraint(fields=('shop', 'returned', 'order_line'), name='return_line_once'),
        ),
        migrations.AddConstraint(
            model_name='returnline',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='return_line_positive'),
        ),
    ]
