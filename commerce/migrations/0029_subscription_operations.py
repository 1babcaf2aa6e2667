import django.db.models.deletion
import uuid_utils.compat
from django.db import migrations, models

from tenants.database import WEB_ROLE
from tenants.policies import rows_of_a_shop

SAME_SHOP = """
ALTER TABLE commerce_subscriptionoperation ADD CONSTRAINT subscription_operation_of_its_shop
    FOREIGN KEY (shop_id, subscription_id) REFERENCES commerce_subscription (shop_id, id) DEFERRABLE INITIALLY DEFERRED
"""
SAME_SHOP_REVERSE = "ALTER TABLE commerce_subscriptionoperation DROP CONSTRAINT subscription_operation_of_its_shop"


class Migration(migrations.Migration):

    dependencies = [
        ('commerce', '0028_subscribers'),
        ('tenants', '0018_subscription_grace'),
    ]

    operations = [
        migrations.CreateModel(
            name='SubscriptionOperation',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('change', 'Change of plan or quantity'), ('cancel_at_end', 'Cancel with the paid period'), ('cancel_now', 'Cancel at once'), ('resume', 'Take a cancellation back')], max_length=16)),
                ('state', models.CharField(choices=[('sending', 'Being sent'), ('unknown', 'Outcome unknown'), ('done', 'Done'), ('refused', 'Refused')], default='sending', max_length=8)),
                ('idempotency_key', models.CharField(db_collation='C', max_length=255)),
                ('digest', models.CharField(help_text='What a repeat under the same key must ask for.', max_length=64)),
                ('stripe_key', models.CharField(db_collation='C', max_length=255)),
                ('stripe_params', models.JSONField()),
                ('told', models.JSONField(default=dict, help_text='Plan, quantity and what the change costs, as it was answered.')),
                ('sends', models.PositiveIntegerField(default=1)),
                ('refusals', models.PositiveIntegerField(default=0)),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
                ('error', models.CharField(blank=True, default='', max_length=200)),
                ('acting', models.CharField(max_length=160)),
                ('reason', models.CharField(blank=True, default='', max_length=500)),
                ('checked_at', models.DateTimeField(blank=True, help_text='When a worker last asked Stripe.', null=True)),
                ('request_id', models.CharField(blank=True, default='', max_length=64)),
                ('created_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ('-id',),
            },
        ),
        migrations.AlterModelOptions(
            name='subscription',
            options={'ordering': ('-id',), 'permissions': (('operate_subscription', 'Can change, cancel and resume subscriptions'),)},
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.UniqueConstraint(fields=('shop', 'id'), name='subscription_shop_and_id'),
        ),
        migrations.AddField(
            model_name='subscriptionoperation',
            name='shop',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AddField(
            model_name='subscriptionoperation',
            name='subscription',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='operations', to='commerce.subscription'),
        ),
        migrations.AddIndex(
            model_name='subscriptionoperation',
            index=models.Index(fields=['shop', 'subscription', '-id'], name='subscription_operation_of_one'),
        ),
        migrations.AddIndex(
            model_name='subscriptionoperation',
            index=models.Index(condition=models.Q(('state__in', ['sending', 'unknown'])), fields=['created_at'], name='subscription_operation_open'),
        ),
        migrations.AddIndex(
            model_name='subscriptionoperation',
            index=models.Index(fields=['shop', '-id'], name='subscription_operation_by_shop'),
        ),
        migrations.AddConstraint(
            model_name='subscriptionoperation',
            constraint=models.UniqueConstraint(fields=('shop', 'idempotency_key'), name='subscription_operation_once'),
        ),
        migrations.AddConstraint(
            model_name='subscriptionoperation',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['sending', 'unknown'])), fields=('shop', 'subscription'), name='subscription_operation_one_at_a_time'),
        ),
        migrations.AddConstraint(
            model_name='subscriptionoperation',
            constraint=models.CheckConstraint(condition=models.Q(('refusals__lte', models.F('sends'))), name='subscription_operation_refusals_within_sends'),
        ),
        migrations.AddConstraint(
            model_name='subscriptionoperation',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', True), ('state__in', ['sending', 'unknown'])), models.Q(('finished_at__isnull', False), ('state__in', ['done', 'refused'])), _connector='OR'), name='subscription_operation_ends_once'),
        ),
        migrations.RunSQL(SAME_SHOP, SAME_SHOP_REVERSE),
        # A history: nothing is taken out of it.
        rows_of_a_shop("commerce_subscriptionoperation", web="append"),
        migrations.RunSQL(
            f"GRANT UPDATE ON commerce_subscriptionoperation TO {WEB_ROLE}",
            f"REVOKE UPDATE ON commerce_subscriptionoperation FROM {WEB_ROLE}",
        ),
    ]
