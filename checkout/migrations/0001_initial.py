"""Attempts to pay and to subscribe, and orders that were paid without stock."""

import django.db.models.deletion
import uuid_utils.compat
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('commerce', '0001_initial'),
        ('commerce', '0003_tables_of_subscriptions'),
        ('inventory', '0001_initial'),
        ('tenants', '0001_initial'),
    ]

    replaces = [
        ('checkout', '0002_initial'),
        ('checkout', '0003_resolver_reads'),
        ('checkout', '0006_coupon_request'),
        ('checkout', '0007_shortages'),
        ('checkout', '0008_subscribe_attempts'),
    ]

    operations = [
        migrations.CreateModel(
            name='CheckoutAttempt',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('shop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('cart', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='commerce.cart')),
                ('cart_generation', models.PositiveIntegerField(blank=True, null=True)),
                ('client_key', models.CharField(blank=True, db_collation='C', max_length=255, null=True)),
                ('client_digest', models.CharField(blank=True, default='', help_text='What the client sent with its key.', max_length=64)),
                ('intent_digest', models.CharField(max_length=64)),
                ('state', models.CharField(choices=[('sending', 'Sending to Stripe'), ('open', 'Open at Stripe'), ('unknown', 'Outcome unknown'), ('closing', 'Closing'), ('closed', 'Closed')], default='sending', max_length=8)),
                ('outcome', models.CharField(blank=True, choices=[('', 'Not closed'), ('completed', 'Session completed'), ('expired', 'Session expired'), ('refused', 'Stripe refused to open a session'), ('never_made', 'No session was ever made')], default='', max_length=12)),
                ('order', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='attempt', to='commerce.order')),
                ('hold', models.OneToOneField(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='attempt', to='inventory.hold')),
                ('stripe_account', models.CharField(db_collation='C', max_length=64)),
                ('stripe_key', models.CharField(db_collation='C', max_length=255)),
                ('stripe_params', models.JSONField()),
                ('coupon_key', models.CharField(blank=True, db_collation='C', default='', max_length=255)),
                ('coupon_params', models.JSONField(blank=True, null=True)),
                ('session_id', models.CharField(blank=True, db_collation='C', max_length=255, null=True)),
                ('session_expires_at', models.DateTimeField()),
                ('sends', models.PositiveIntegerField(default=0)),
                ('refusals', models.PositiveIntegerField(default=0)),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
                ('url_answered', models.BooleanField(default=False)),
                ('changes', models.JSONField(default=list, help_text='What drifted, as answered to the customer.')),
                ('closing_reason', models.CharField(blank=True, default='', max_length=200)),
                ('checked_at', models.DateTimeField(blank=True, help_text='When a worker last asked Stripe.', null=True)),
                ('polled_at', models.DateTimeField(blank=True, help_text='When a poll last asked Stripe.', null=True)),
                ('request_id', models.CharField(blank=True, default='', max_length=64)),
                ('created_at', models.DateTimeField()),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ('-created_at',),
                'indexes': [models.Index(condition=models.Q(('state__in', ['sending', 'unknown', 'closing'])), fields=['lease_until'], name='attempt_unresolved'), models.Index(condition=models.Q(('state', 'open')), fields=['session_expires_at'], name='attempt_open_by_expiry'), models.Index(fields=['shop', 'cart', 'cart_generation'], name='attempt_by_cart'), models.Index(fields=['shop', 'client_key'], name='attempt_by_key'), models.Index(fields=['shop', '-created_at'], name='attempt_by_shop')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'closed'), _negated=True), fields=('shop', 'cart'), name='attempt_one_open_per_cart'), models.UniqueConstraint(condition=models.Q(('state', 'closed'), _negated=True), fields=('shop', 'client_key'), name='attempt_one_open_per_key'), models.UniqueConstraint(fields=('stripe_account', 'session_id'), name='attempt_one_per_session'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'open'), _negated=True), ('session_id__isnull', False), _connector='OR'), name='attempt_open_has_session'), models.CheckConstraint(condition=models.Q(models.Q(('closed_at__isnull', False), ('state', 'closed'), models.Q(('outcome', ''), _negated=True)), models.Q(models.Q(('state', 'closed'), _negated=True), ('closed_at__isnull', True), ('outcome', '')), _connector='OR'), name='attempt_closed_has_outcome'), models.CheckConstraint(condition=models.Q(('refusals__lte', models.F('sends'))), name='attempt_refusals_within_sends'), models.CheckConstraint(condition=models.Q(('state__in', ['sending', 'open', 'unknown', 'closing', 'closed'])), name='attempt_state_known')],
            },
        ),
        migrations.CreateModel(
            name='SubscribeAttempt',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('version', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='commerce.planversion')),
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
            ],
            options={
                'ordering': ('-created_at',),
                'indexes': [models.Index(condition=models.Q(('state__in', ['sending', 'unknown', 'closing'])), fields=['lease_until'], name='subscribe_unresolved'), models.Index(condition=models.Q(('state', 'open')), fields=['session_expires_at'], name='subscribe_open_by_expiry'), models.Index(fields=['shop', 'plan_code', 'email'], name='subscribe_by_customer'), models.Index(fields=['shop', 'client_key'], name='subscribe_by_key'), models.Index(fields=['shop', '-created_at'], name='subscribe_by_shop'), models.Index(fields=['email'], name='subscribe_by_email'), models.Index(fields=['session_id'], name='subscribe_by_session'), models.Index(fields=['shop', 'version'], name='subscribe_by_version')],
                'constraints': [models.UniqueConstraint(condition=models.Q(models.Q(('state', 'closed'), _negated=True), ('client_key__isnull', True)), fields=('shop', 'plan_code', 'email'), name='subscribe_one_open_per_customer'), models.UniqueConstraint(condition=models.Q(('state', 'closed'), _negated=True), fields=('shop', 'client_key'), name='subscribe_one_open_per_key'), models.UniqueConstraint(fields=('stripe_account', 'session_id'), name='subscribe_one_per_session'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'open'), _negated=True), ('session_id__isnull', False), _connector='OR'), name='subscribe_open_has_session'), models.CheckConstraint(condition=models.Q(models.Q(('closed_at__isnull', False), ('state', 'closed'), models.Q(('outcome', ''), _negated=True)), models.Q(models.Q(('state', 'closed'), _negated=True), ('closed_at__isnull', True), ('outcome', '')), _connector='OR'), name='subscribe_closed_has_outcome'), models.CheckConstraint(condition=models.Q(('refusals__lte', models.F('sends'))), name='subscribe_refusals_within_sends'), models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='subscribe_quantity_positive')],
            },
        ),
        migrations.CreateModel(
            name='Shortage',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('order', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='shortage', to='commerce.order')),
                ('state', models.CharField(choices=[('open', 'Open'), ('retaken', 'Stock taken after all'), ('substituted', 'Something else is sent'), ('refunded', 'Refunded')], default='open', max_length=12)),
                ('reason', models.CharField(max_length=200)),
                ('policy', models.CharField(help_text="The shop's, when it happened: review or refund.", max_length=8)),
                ('opened_at', models.DateTimeField()),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('closed_by', models.CharField(blank=True, default='', max_length=150)),
                ('refund_tried_at', models.DateTimeField(blank=True, null=True)),
                ('staff_told_at', models.DateTimeField(blank=True, null=True)),
                ('note', models.CharField(blank=True, choices=[('', 'Nothing'), ('delayed', 'That it takes longer'), ('confirmed', 'That it is on its way'), ('substituted', 'What is sent instead'), ('refunded', 'That the money comes back')], default='', max_length=12)),
                ('note_due_at', models.DateTimeField()),
                ('note_attempts', models.PositiveIntegerField(default=0)),
                ('note_sent_at', models.DateTimeField(blank=True, null=True)),
                ('note_error', models.CharField(blank=True, default='', max_length=200)),
            ],
            options={
                'verbose_name': 'paid without stock',
                'verbose_name_plural': 'paid without stock',
                'ordering': ('-id',),
                'indexes': [models.Index(fields=['shop', '-opened_at'], name='shortage_by_shop'), models.Index(condition=models.Q(('state', 'open')), fields=['opened_at'], name='shortage_open'), models.Index(condition=models.Q(('note', ''), _negated=True), fields=['note_due_at'], name='shortage_note_due')],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['open', 'retaken', 'substituted', 'refunded'])), name='shortage_state_known'), models.CheckConstraint(condition=models.Q(models.Q(('closed_at__isnull', True), ('state', 'open')), models.Q(models.Q(('state', 'open'), _negated=True), ('closed_at__isnull', False)), _connector='OR'), name='shortage_closed_has_time')],
            },
        ),
    ]
