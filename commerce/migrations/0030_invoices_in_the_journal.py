import django.db.models.deletion
from django.db import migrations, models

SAME_SHOP = """
ALTER TABLE commerce_journalentry ADD CONSTRAINT journal_entry_invoice_of_its_shop
    FOREIGN KEY (shop_id, invoice_id) REFERENCES commerce_invoice (shop_id, id) DEFERRABLE INITIALLY DEFERRED
"""


class Migration(migrations.Migration):

    dependencies = [
        ('commerce', '0029_subscription_operations'),
        ('tenants', '0018_subscription_grace'),
    ]

    operations = [
        migrations.AddField(
            model_name='invoice',
            name='balance_transaction_id',
            field=models.CharField(blank=True, db_collation='C', default='', max_length=255),
        ),
        migrations.AddField(
            model_name='invoice',
            name='charge_id',
            field=models.CharField(blank=True, db_collation='C', default='', max_length=255),
        ),
        migrations.AddField(
            model_name='invoice',
            name='charge_read_at',
            field=models.DateTimeField(blank=True, help_text='When its charge was last asked about.', null=True),
        ),
        migrations.AddField(
            model_name='invoice',
            name='customer_email',
            field=models.CharField(blank=True, default='', max_length=254),
        ),
        migrations.AddField(
            model_name='invoice',
            name='needs_action',
            field=models.BooleanField(default=False, help_text='The customer has to confirm the payment.'),
        ),
        migrations.AddField(
            model_name='invoice',
            name='page_url',
            field=models.TextField(blank=True, default='', help_text='Where the customer pays it.'),
        ),
        migrations.AddField(
            model_name='invoice',
            name='payment_intent_id',
            field=models.CharField(blank=True, db_collation='C', default='', max_length=255),
        ),
        migrations.AddField(
            model_name='invoice',
            name='refunded_amount',
            field=models.BigIntegerField(default=0, help_text='What has been booked as given back.'),
        ),
        migrations.AddField(
            model_name='invoice',
            name='tax_amount',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='invoice',
            name='total_amount',
            field=models.BigIntegerField(default=0, help_text="Before what was left on the customer's balance."),
        ),
        migrations.AddField(
            model_name='journalentry',
            name='invoice',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='journal_entries', to='commerce.invoice'),
        ),
        migrations.AlterField(
            model_name='journalentry',
            name='kind',
            field=models.CharField(choices=[('capture', 'Capture'), ('fee', "Stripe's fee"), ('conversion', 'Currency conversion'), ('invoice', 'Invoice paid'), ('refund', 'Refund'), ('refund_reversal', 'Refund came back'), ('deposit_kept', 'Deposit kept'), ('deposit_captured', 'Authorised deposit taken'), ('late_fee', 'Late fee'), ('damage', 'Damage charged'), ('dispute_withdrawn', 'Dispute: withdrawn'), ('dispute_reinstated', 'Dispute: reinstated'), ('adjustment', 'Adjustment')], max_length=24),
        ),
        migrations.AddIndex(
            model_name='invoice',
            index=models.Index(condition=models.Q(('payment_intent_id', ''), _negated=True), fields=['shop', 'payment_intent_id'], name='invoice_by_payment'),
        ),
        migrations.AddIndex(
            model_name='invoice',
            index=models.Index(condition=models.Q(('amount_paid__gt', 0), ('balance_transaction_id', ''), ('status', 'paid'), models.Q(('payment_intent_id', ''), _negated=True)), fields=['charge_read_at'], name='invoice_without_fee'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.UniqueConstraint(fields=('shop', 'id'), name='invoice_shop_and_id'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(('refunded_amount__gte', 0), ('refunded_amount__lte', models.F('amount_paid'))), name='invoice_refund_within_paid'),
        ),
        migrations.AddConstraint(
            model_name='journalentry',
            constraint=models.CheckConstraint(condition=models.Q(('order__isnull', True), ('invoice__isnull', True), _connector='OR'), name='journal_of_order_or_invoice'),
        ),
        migrations.RunSQL(SAME_SHOP, "ALTER TABLE commerce_journalentry DROP CONSTRAINT journal_entry_invoice_of_its_shop"),
    ]
