import django.db.models.deletion
import uuid_utils.compat
from django.db import migrations, models

from tenants.policies import rows_of_a_shop

SAME_SHOP = """
ALTER TABLE commerce_subscriptionnote ADD CONSTRAINT subscription_note_subscription_of_its_shop
    FOREIGN KEY (shop_id, subscription_id) REFERENCES commerce_subscription (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE commerce_subscriptionnote ADD CONSTRAINT subscription_note_invoice_of_its_shop
    FOREIGN KEY (shop_id, invoice_id) REFERENCES commerce_invoice (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
SAME_SHOP_REVERSE = """
ALTER TABLE commerce_subscriptionnote DROP CONSTRAINT subscription_note_subscription_of_its_shop;
ALTER TABLE commerce_subscriptionnote DROP CONSTRAINT subscription_note_invoice_of_its_shop;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('commerce', '0030_invoices_in_the_journal'),
        ('tenants', '0018_subscription_grace'),
    ]

    operations = [
        migrations.CreateModel(
            name='SubscriptionNote',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('payment_failed', 'A payment failed'), ('action_required', 'A payment waits for the customer'), ('trial_ending', 'A trial ends')], max_length=16)),
                ('occasion', models.CharField(db_collation='C', max_length=300)),
                ('state', models.CharField(choices=[('due', 'To be sent'), ('sent', 'Sent'), ('needless', 'Not sent: it had settled itself'), ('given_up', 'Given up')], default='due', max_length=8)),
                ('due_at', models.DateTimeField()),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('sent_to', models.CharField(blank=True, default='', max_length=254)),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('error', models.CharField(blank=True, default='', max_length=200)),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'verbose_name': 'mail to a subscriber',
                'verbose_name_plural': 'mails to subscribers',
                'ordering': ('-id',),
            },
        ),
        migrations.AddIndex(
            model_name='invoice',
            index=models.Index(condition=models.Q(('attempt_count__gt', 0), ('status', 'open')), fields=['-id'], name='invoice_failing'),
        ),
        migrations.AddField(
            model_name='subscriptionnote',
            name='invoice',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='notes', to='commerce.invoice'),
        ),
        migrations.AddField(
            model_name='subscriptionnote',
            name='shop',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AddField(
            model_name='subscriptionnote',
            name='subscription',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='notes', to='commerce.subscription'),
        ),
        migrations.AddIndex(
            model_name='subscriptionnote',
            index=models.Index(condition=models.Q(('state', 'due')), fields=['due_at'], name='subscription_note_due'),
        ),
        migrations.AddIndex(
            model_name='subscriptionnote',
            index=models.Index(fields=['shop', 'invoice'], name='subscription_note_of_invoice'),
        ),
        migrations.AddIndex(
            model_name='subscriptionnote',
            index=models.Index(fields=['shop', 'subscription'], name='subscription_note_of_one'),
        ),
        migrations.AddIndex(
            model_name='subscriptionnote',
            index=models.Index(fields=['shop', '-id'], name='subscription_note_by_shop'),
        ),
        migrations.AddConstraint(
            model_name='subscriptionnote',
            constraint=models.UniqueConstraint(fields=('shop', 'occasion'), name='subscription_note_once'),
        ),
        migrations.AddConstraint(
            model_name='subscriptionnote',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('invoice__isnull', False), ('subscription__isnull', True)), models.Q(('invoice__isnull', True), ('subscription__isnull', False)), _connector='OR'), name='subscription_note_about_one'),
        ),
        migrations.RunSQL(SAME_SHOP, SAME_SHOP_REVERSE),
        # Whoever reads an invoice notes what is to be told; the worker sends.
        rows_of_a_shop("commerce_subscriptionnote", web="append"),
    ]
