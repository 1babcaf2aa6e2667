"""Stripe accounts become rows of their own: own keys, connected accounts, and the secrets of webhook endpoints."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0005_host_versions'),
    ]

    operations = [
        migrations.CreateModel(
            name='ShopPayments',
            fields=[
            ],
            options={
                'verbose_name': "shop's Stripe account",
                'verbose_name_plural': "shops' Stripe accounts",
                'proxy': True,
                'indexes': [],
                'constraints': [],
            },
            bases=('tenants.shop',),
        ),
        migrations.CreateModel(
            name='ShopCredential',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('own_keys', 'Own keys'), ('connected', 'Connected account')], max_length=12)),
                ('livemode', models.BooleanField()),
                ('account', models.CharField(db_collation='C', max_length=64)),
                ('status', models.CharField(choices=[('active', 'In use'), ('retired', 'Former, settles what is in flight'), ('forgotten', 'Forgotten')], default='active', max_length=12)),
                ('sealed', models.TextField(blank=True, default='', editable=False)),
                ('sealed_by', models.CharField(blank=True, default='', editable=False, max_length=12)),
                ('last_four', models.CharField(blank=True, default='', max_length=4)),
                ('verified_at', models.DateTimeField(blank=True, null=True)),
                ('verified_by', models.CharField(blank=True, default='', max_length=150)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('retired_at', models.DateTimeField(blank=True, null=True)),
                ('shop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='credentials', to='tenants.shop')),
            ],
            options={
                'verbose_name': 'Stripe account',
                'ordering': ('-id',),
                'constraints': [models.UniqueConstraint(condition=models.Q(('status', 'forgotten'), _negated=True), fields=('livemode', 'account'), name='credential_account_one_shop'), models.UniqueConstraint(condition=models.Q(('status', 'active')), fields=('shop',), name='credential_one_active_per_shop'), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'own_keys'), models.Q(('status', 'forgotten'), _negated=True), models.Q(('sealed', ''), _negated=True), models.Q(('sealed_by', ''), _negated=True)), models.Q(models.Q(('kind', 'connected'), ('status', 'forgotten'), _connector='OR'), ('sealed', ''), ('sealed_by', '')), _connector='OR'), name='credential_sealed_if_own_keys'), models.CheckConstraint(condition=models.Q(('kind__in', ['own_keys', 'connected'])), name='credential_kind_known'), models.CheckConstraint(condition=models.Q(('status__in', ['active', 'retired', 'forgotten'])), name='credential_status_known'), models.CheckConstraint(condition=models.Q(('account__startswith', 'acct_')), name='credential_account_well_formed')],
            },
        ),
        migrations.CreateModel(
            name='WebhookSecret',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scope', models.CharField(choices=[('shop', "A shop's own account"), ('platform', "The platform's account"), ('connect', 'Connected accounts')], max_length=8)),
                ('livemode', models.BooleanField()),
                ('account', models.CharField(db_collation='C', max_length=64)),
                ('sealed', models.TextField(blank=True, default='', editable=False)),
                ('sealed_by', models.CharField(blank=True, default='', editable=False, max_length=12)),
                ('last_four', models.CharField(max_length=4)),
                ('active_from', models.DateTimeField()),
                ('active_until', models.DateTimeField(blank=True, null=True)),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('added_by', models.CharField(max_length=150)),
                ('shop', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='webhook_secrets', to='tenants.shop')),
            ],
            options={
                'ordering': ('-id',),
                'indexes': [models.Index(condition=models.Q(('sealed', ''), _negated=True), fields=['shop', 'scope'], name='webhook_secret_open')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('scope', 'shop'), ('shop__isnull', False)), models.Q(('scope__in', ['platform', 'connect']), ('shop__isnull', True)), _connector='OR'), name='webhook_secret_shop_matches_scope'), models.CheckConstraint(condition=models.Q(models.Q(models.Q(('sealed', ''), _negated=True), models.Q(('sealed_by', ''), _negated=True)), models.Q(('active_until__isnull', False), ('sealed', ''), ('sealed_by', '')), _connector='OR'), name='webhook_secret_sealed_or_ended')],
            },
        ),
    ]
