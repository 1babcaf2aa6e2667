"""Where money went: the journal, returns and refunds, disputes, orders that were taken over from elsewhere."""

import django.db.models.deletion
import django.db.models.expressions
import uuid_utils.compat
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('commerce', '0003_tables_of_subscriptions'),
        ('tenants', '0001_initial'),
    ]

    replaces = [
        ('commerce', '0012_returns'),
        ('commerce', '0018_reconciliation'),
        ('commerce', '0020_dispute_balance_currency'),
        ('commerce', '0032_lists_by_state'),
    ]

    operations = [
        migrations.CreateModel(
            name='JournalEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('kind', models.CharField(choices=[('capture', 'Capture'), ('external', 'Paid elsewhere'), ('fee', "Stripe's fee"), ('conversion', 'Currency conversion'), ('invoice', 'Invoice paid'), ('refund', 'Refund'), ('refund_reversal', 'Refund came back'), ('deposit_kept', 'Deposit kept'), ('deposit_captured', 'Authorised deposit taken'), ('late_fee', 'Late fee'), ('damage', 'Damage charged'), ('dispute_withdrawn', 'Dispute: withdrawn'), ('dispute_reinstated', 'Dispute: reinstated'), ('adjustment', 'Adjustment')], max_length=24)),
                ('reference', models.CharField(db_collation='C', max_length=255)),
                ('order', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='journal_entries', to='commerce.order')),
                ('invoice', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='journal_entries', to='commerce.invoice')),
                ('currency', models.CharField(max_length=3)),
                ('source', models.CharField(blank=True, db_collation='C', default='', max_length=255)),
                ('memo', models.CharField(blank=True, default='', max_length=200)),
                ('request_id', models.CharField(blank=True, default='', max_length=64)),
                ('posted_at', models.DateTimeField()),
            ],
            options={
                'verbose_name_plural': 'journal entries',
                'ordering': ('-id',),
                'permissions': (('adjust_journal', 'Can book adjustments'),),
                'indexes': [models.Index(fields=['shop', '-posted_at'], name='journal_by_time'), models.Index(condition=models.Q(('source', ''), _negated=True), fields=['shop', 'source'], name='journal_by_source')],
                'constraints': [models.UniqueConstraint(fields=('shop', 'kind', 'reference'), name='journal_posts_once'), models.CheckConstraint(condition=models.Q(('order__isnull', True), ('invoice__isnull', True), _connector='OR'), name='journal_of_order_or_invoice'), models.UniqueConstraint(fields=('shop', 'id'), name='journal_entry_shop_and_id')],
            },
        ),
        migrations.CreateModel(
            name='JournalLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('shop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('entry', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='commerce.journalentry')),
                ('account', models.CharField(db_collation='C', max_length=48)),
                ('amount', models.BigIntegerField()),
            ],
            options={
                'indexes': [models.Index(fields=['shop', 'account'], name='journal_line_by_account')],
                'constraints': [models.CheckConstraint(condition=models.Q(('amount', 0), _negated=True), name='journal_line_not_zero')],
            },
        ),
        migrations.CreateModel(
            name='Return',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('order', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='commerce.order')),
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
                'indexes': [models.Index(fields=['shop', '-id'], name='return_by_shop'), models.Index(condition=models.Q(('restock', 'due')), fields=['created_at'], name='return_to_restock'), models.Index(condition=models.Q(('status', 'accepted'), _negated=True), fields=['status', '-id'], name='return_by_status'), models.Index(condition=models.Q(('restock__in', ['due', 'failed'])), fields=['restock', '-id'], name='return_by_restock')],
                'constraints': [models.UniqueConstraint(fields=('shop', 'id'), name='return_shop_and_id'), models.UniqueConstraint(fields=('shop', 'idempotency_key'), name='return_one_per_key')],
            },
        ),
        migrations.CreateModel(
            name='ReturnLine',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('returned', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='commerce.return')),
                ('order_line', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='commerce.orderline')),
                ('quantity', models.PositiveIntegerField()),
                ('restock', models.BooleanField(default=False)),
                ('amount', models.PositiveBigIntegerField()),
            ],
            options={
                'ordering': ('id',),
                'constraints': [models.UniqueConstraint(fields=('shop', 'returned', 'order_line'), name='return_line_once'), models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='return_line_positive')],
            },
        ),
        migrations.CreateModel(
            name='Refund',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('order', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='commerce.order')),
                ('returned', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='commerce.return')),
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
                'indexes': [models.Index(fields=['shop', '-id'], name='refund_by_shop'), models.Index(fields=['order'], name='refund_by_order'), models.Index(fields=['refund_id'], name='refund_by_object'), models.Index(condition=models.Q(('status', 'succeeded'), _negated=True), fields=['status', '-id'], name='refund_by_status'), models.Index(condition=models.Q(('status__in', ['sending', 'unknown', 'pending', 'requires_action'])), fields=['checked_at'], name='refund_unresolved'), models.Index(condition=models.Q(('handled_at__isnull', True), models.Q(('status__in', ['succeeded', 'sending']), _negated=True)), fields=['-id'], name='refund_on_desk')],
                'constraints': [models.UniqueConstraint(fields=('stripe_account', 'refund_id'), name='refund_one_per_object'), models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='refund_positive'), models.CheckConstraint(condition=models.Q(('amount__gte', django.db.models.expressions.CombinedExpression(models.F('deposit_amount'), '+', models.F('tax_amount')))), name='refund_parts_within'), models.CheckConstraint(condition=models.Q(('refusals__lte', models.F('sends'))), name='refund_refusals_within_sends'), models.CheckConstraint(condition=models.Q(('status__in', ['sending', 'unknown', 'failed']), ('refund_id__isnull', False), _connector='OR'), name='refund_known_has_object')],
            },
        ),
        migrations.CreateModel(
            name='Dispute',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('stripe_account', models.CharField(db_collation='C', max_length=64)),
                ('dispute_id', models.CharField(db_collation='C', max_length=255)),
                ('order', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='disputes', to='commerce.order')),
                ('charge_id', models.CharField(blank=True, db_collation='C', default='', max_length=255)),
                ('payment_intent_id', models.CharField(blank=True, db_collation='C', default='', max_length=255)),
                ('status', models.CharField(choices=[('warning_needs_response', 'Inquiry, needs a response'), ('warning_under_review', 'Inquiry, under review'), ('warning_closed', 'Inquiry closed'), ('needs_response', 'Needs a response'), ('under_review', 'Under review'), ('appeal_needs_response', 'Appeal, needs a response'), ('appeal_under_review', 'Appeal, under review'), ('prevented', 'Prevented'), ('won', 'Won'), ('lost', 'Lost')], max_length=32)),
                ('reason', models.CharField(blank=True, default='', max_length=64)),
                ('currency', models.CharField(max_length=3)),
                ('amount', models.PositiveBigIntegerField()),
                ('balance_currency', models.CharField(blank=True, db_default='', default='', max_length=3)),
                ('withdrawn_amount', models.BigIntegerField(default=0, help_text="What the account's balance is down by at the moment, without fees, in its own currency.")),
                ('fee_amount', models.BigIntegerField(default=0, help_text="Stripe's fees for it, in the balance's currency.")),
                ('refundable', models.BooleanField(default=False, help_text='Whether Stripe would still take a refund.')),
                ('evidence_due_by', models.DateTimeField(blank=True, null=True)),
                ('read_stamp', models.BigIntegerField(help_text='Stamp of the read that this row is from.')),
                ('read_at', models.DateTimeField()),
                ('created_at', models.DateTimeField(help_text='When it was opened, by Stripe.')),
            ],
            options={
                'ordering': ('-id',),
                'indexes': [models.Index(fields=['shop', '-created_at'], name='dispute_by_shop'), models.Index(fields=['dispute_id'], name='dispute_by_id'), models.Index(fields=['payment_intent_id'], name='dispute_by_intent'), models.Index(condition=models.Q(('status__in', ['warning_closed', 'prevented', 'won', 'lost']), _negated=True), fields=['evidence_due_by'], name='dispute_open')],
                'constraints': [models.UniqueConstraint(fields=('shop', 'stripe_account', 'dispute_id'), name='dispute_once'), models.CheckConstraint(condition=models.Q(('currency__regex', '^[A-Z]{3}$')), name='dispute_currency_upper')],
            },
        ),
        migrations.CreateModel(
            name='ReconciliationRecord',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('source', models.CharField(db_collation='C', max_length=32)),
                ('external_id', models.CharField(blank=True, db_collation='C', help_text='Empty: it named none.', max_length=255)),
                ('payload', models.JSONField()),
                ('payload_digest', models.CharField(db_collation='C', max_length=64)),
                ('corrected', models.JSONField(blank=True, null=True)),
                ('state', models.CharField(choices=[('applied', 'Taken over'), ('unchanged', 'Was here already'), ('rejected', 'Refused'), ('dismissed', 'Put aside')], max_length=9)),
                ('normalised', models.BooleanField(default=False, help_text='It came in an older form, which was translated.')),
                ('reasons', models.JSONField(blank=True, default=dict, help_text='Why it was refused, by member.')),
                ('order', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='commerce.order')),
                ('received_by', models.CharField(max_length=160)),
                ('request_id', models.CharField(blank=True, default='', max_length=64)),
                ('received_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField()),
            ],
            options={
                'ordering': ('-id',),
                'permissions': (('reconcile', 'Can correct and put aside refused records'),),
                'indexes': [models.Index(fields=['shop', '-id'], name='reconciliation_by_shop'), models.Index(condition=models.Q(('state', 'rejected')), fields=['-id'], name='reconciliation_refused'), models.Index(condition=models.Q(('normalised', True)), fields=['-id'], name='reconciliation_normalised'), models.Index(condition=models.Q(('order__isnull', False)), fields=['order'], name='reconciliation_by_order')],
                'constraints': [models.UniqueConstraint(fields=('shop', 'source', 'external_id', 'payload_digest'), name='reconciliation_once_per_payload'), models.UniqueConstraint(condition=models.Q(('state', 'applied')), fields=('shop', 'source', 'external_id'), name='reconciliation_applied_once'), models.CheckConstraint(condition=models.Q(models.Q(('order__isnull', True), ('state', 'rejected'), models.Q(('reasons', {}), _negated=True)), models.Q(('order__isnull', True), ('state', 'dismissed')), models.Q(('order__isnull', False), ('state__in', ['applied', 'unchanged'])), _connector='OR'), name='reconciliation_says_why')],
            },
        ),
    ]
