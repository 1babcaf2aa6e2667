import django.db.models.deletion
import uuid_utils.compat
from django.db import migrations, models

from tenants.policies import rows_of_a_shop

SAME_SHOP = """
ALTER TABLE checkout_subscribeattempt ADD CONSTRAINT subscribe_plan_of_its_shop
    FOREIGN KEY (shop_id, version_id) REFERENCES commerce_planversion (shop_id, id) DEFERRABLE INITIALLY DEFERRED
"""


class Migration(migrations.Migration):

    dependencies = [
        ('checkout', '0007_shortages'),
        ('commerce', '0028_subscribers'),
        ('tenants', '0016_taxes'),
    ]

    operations = [
        migrations.CreateModel(
            name='SubscribeAttempt',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('plan_code', models.CharField(db_collation='C', help_text='The slot, together with the customer.', max_length=40)),
                ('email', models.CharField(help_text='In lower case.', max_length=254)),
                ('quantity', models.PositiveIntegerField()),
                ('client_key', models.CharField(blank=True, db_collation='C', max_length=255, null=True)),
                ('digest', models.CharField(help_text='What was asked for: a repeat asks for the same.', max_length=64)),
                ('state', models.CharField(choices=[('sending', 'Sending to Stripe'), ('open', 'Open at Stripe'), ('unknown', 'Outcome unknown'), ('closing', 'Closing'), ('closed', 'Closed')], default='sending', max_length=8)),
                ('outcome', models.CharField(blank=True, choices=[('', 'Not closed'), ('completed', 'Session completed'), ('expired', 'Session expired'), ('refused', 'Stripe refused to open a session'), ('never_made', 'No session was ever made')], default='', max_length=12)),
                ('stripe_account', models.CharField(db_collation='C', max_length=64)),
                ('stripe_key', models.CharField(db_collation='C', max_length=255)),
                ('stripe_params', models.JSONField()),
                ('session_id', models.CharField(blank=True, db_collation='C', max_length=255, null=True)),
                ('session_expires_at', models.DateTimeField()),
                ('subscription_id', models.CharField(blank=True, db_collation='C', default='', max_length=255)),
                ('sends', models.PositiveIntegerField(default=0)),
                ('refusals', models.PositiveIntegerField(default=0)),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
                ('url_answered', models.BooleanField(default=False)),
                ('closing_reason', models.CharField(blank=True, default='', max_length=200)),
                ('checked_at', models.DateTimeField(blank=True, help_text='When a worker last asked Stripe.', null=True)),
                ('polled_at', models.DateTimeField(blank=True, help_text='When a poll last asked Stripe.', null=True)),
                ('request_id', models.CharField(blank=True, default='', max_length=64)),
                ('created_at', models.DateTimeField()),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('version', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='commerce.planversion')),
            ],
            options={
                'ordering': ('-created_at',),
                'indexes': [models.Index(condition=models.Q(('state__in', ['sending', 'unknown', 'closing'])), fields=['lease_until'], name='subscribe_unresolved'), models.Index(condition=models.Q(('state', 'open')), fields=['session_expires_at'], name='subscribe_open_by_expiry'), models.Index(fields=['shop', 'plan_code', 'email'], name='subscribe_by_customer'), models.Index(fields=['shop', 'client_key'], name='subscribe_by_key'), models.Index(fields=['shop', '-created_at'], name='subscribe_by_shop'), models.Index(fields=['email'], name='subscribe_by_email'), models.Index(fields=['session_id'], name='subscribe_by_session'), models.Index(fields=['shop', 'version'], name='subscribe_by_version')],
                'constraints': [models.UniqueConstraint(condition=models.Q(models.Q(('state', 'closed'), _negated=True), ('client_key__isnull', True)), fields=('shop', 'plan_code', 'email'), name='subscribe_one_open_per_customer'), models.UniqueConstraint(condition=models.Q(('state', 'closed'), _negated=True), fields=('shop', 'client_key'), name='subscribe_one_open_per_key'), models.UniqueConstraint(fields=('stripe_account', 'session_id'), name='subscribe_one_per_session'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'open'), _negated=True), ('session_id__isnull', False), _connector='OR'), name='subscribe_open_has_session'), models.CheckConstraint(condition=models.Q(models.Q(('closed_at__isnull', False), ('state', 'closed'), models.Q(('outcome', ''), _negated=True)), models.Q(models.Q(('state', 'closed'), _negated=True), ('closed_at__isnull', True), ('outcome', '')), _connector='OR'), name='subscribe_closed_has_outcome'), models.CheckConstraint(condition=models.Q(('refusals__lte', models.F('sends'))), name='subscribe_refusals_within_sends'), models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='subscribe_quantity_positive')],
            },
        ),
        migrations.RunSQL(SAME_SHOP, "ALTER TABLE checkout_subscribeattempt DROP CONSTRAINT subscribe_plan_of_its_shop"),
        rows_of_a_shop("checkout_subscribeattempt"),
    ]
