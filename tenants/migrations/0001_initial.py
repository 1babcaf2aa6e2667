"""The platform's tables: shops and their settings, hosts, accounts at Stripe, tokens, staff, the audit trail."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import secrets
import tenants.models.shop
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    replaces = [
        ('tenants', '0003_membership'),
        ('tenants', '0004_front_door_token'),
        ('tenants', '0006_stripe_credentials'),
        ('tenants', '0007_host_onboarding'),
        ('tenants', '0008_alert_webhook'),
        ('tenants', '0010_emergency_bypass'),
        ('tenants', '0011_checkout_rate_limit'),
        ('tenants', '0013_service_token_pages'),
        ('tenants', '0014_rental_terms'),
        ('tenants', '0015_checkout_pages'),
        ('tenants', '0016_taxes'),
        ('tenants', '0017_deposit_terms'),
        ('tenants', '0018_subscription_grace'),
        ('tenants', '0019_audit_by_words'),
    ]

    operations = [
        migrations.CreateModel(
            name='Shop',
            fields=[
                ('id', models.CharField(db_collation='C', max_length=63, primary_key=True, serialize=False, validators=[django.core.validators.RegexValidator('\\A[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\Z', 'Lower-case letters, digits and hyphens.')])),
                ('name', models.CharField(max_length=120)),
                ('status', models.CharField(choices=[('active', 'Active'), ('closed', 'Closed')], default='active', max_length=12)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'ordering': ('name',),
                'constraints': [models.CheckConstraint(condition=models.Q(('status__in', ['active', 'closed'])), name='shop_status_known'), models.CheckConstraint(condition=models.Q(('id__regex', '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')), name='shop_id_well_formed')],
            },
        ),
        migrations.CreateModel(
            name='ShopSettings',
            fields=[
                ('shop', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='settings', serialize=False, to='tenants.shop')),
                ('kind', models.CharField(choices=[('sale', 'Sale'), ('rental', 'Rental')], default='sale', max_length=8)),
                ('currency', models.CharField(help_text='ISO 4217, upper case.', max_length=3)),
                ('default_locale', models.CharField(default='en', max_length=12)),
                ('locales', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=12), default=list, help_text='Every locale the storefront offers.', size=None)),
                ('time_zone', models.CharField(default='UTC', max_length=64, validators=[tenants.models.shop.validate_time_zone])),
                ('checkout_ui', models.CharField(choices=[('hosted_page', "Stripe's hosted page"), ('embedded_page', 'Embedded page'), ('elements', 'Custom elements')], default='hosted_page', max_length=16)),
                ('billing_address', models.CharField(choices=[('auto', 'Where the payment needs it'), ('required', 'Always')], default='auto', help_text='When a payment form asks for it.', max_length=8)),
                ('asks_phone', models.BooleanField(default=False, verbose_name='ask for a phone number')),
                ('payment_note', models.CharField(blank=True, default='', help_text="Shown beside the payment button. Custom elements have a page of their own and don't show it.", max_length=1200)),
                ('tax_mode', models.CharField(choices=[('none', 'None: prices are charged as they stand'), ('automatic', 'Stripe computes them by address'), ('static', "The shop's own rates")], default='none', max_length=10, verbose_name='taxes')),
                ('tax_behavior', models.CharField(choices=[('inclusive', 'Prices contain the tax'), ('exclusive', 'The tax comes on top')], default='inclusive', help_text="Where Stripe computes taxes. The shop's own rates say it each.", max_length=9, verbose_name='prices and taxes')),
                ('tax_code', models.CharField(blank=True, default='', help_text="Stripe's code (txcd_…) for products without one. Empty: as the Stripe account says.", max_length=13)),
                ('tax_country', models.CharField(blank=True, default='', help_text="Under the shop's own rates: where it sells from. Its rate applies where no address says otherwise.", max_length=2)),
                ('inventory_mode', models.CharField(blank=True, choices=[('reserve_ttl', 'Hold stock while the customer pays'), ('validate_only', 'Check only, take stock at payment')], max_length=16, null=True)),
                ('hold_ttl_seconds', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(60), django.core.validators.MaxValueValidator(3600)])),
                ('requires_central_inventory', models.BooleanField(default=False)),
                ('skip_inventory_validation', models.BooleanField(blank=True, help_text='The emergency bypass: stock is neither checked nor held, and is taken when the customer has paid.', null=True, verbose_name='sell without checking stock')),
                ('shortage_policy', models.CharField(choices=[('review', 'Put the order on the desk'), ('refund', 'Refund at once')], default='review', max_length=8)),
                ('reprice_policy', models.CharField(blank=True, choices=[('enforce_and_proceed', "Proceed with the catalog's price"), ('enforce_and_reject', 'Refuse and show the change'), ('log_only', 'Proceed and count only')], max_length=24, null=True)),
                ('reprice_drift_abs', models.DecimalField(blank=True, decimal_places=3, help_text="Tolerated difference in the currency's major unit.", max_digits=10, null=True, validators=[django.core.validators.MinValueValidator(0)])),
                ('reprice_drift_pct', models.DecimalField(blank=True, decimal_places=5, help_text='Tolerated share: 0.01 is one per cent.', max_digits=6, null=True, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(1)])),
                ('checkout_rate_limit_enabled', models.BooleanField(blank=True, choices=[(None, 'As the platform says'), (True, 'Yes'), (False, 'No')], help_text="Whether one customer's address may begin only so many checkouts in a minute.", null=True, verbose_name='limit checkouts')),
                ('checkout_rate_limit_per_minute', models.PositiveIntegerField(blank=True, help_text="New checkouts per address and minute; repeating one doesn't count. Empty: as the platform says.", null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(10000)], verbose_name='checkouts per minute')),
                ('rental_min_days', models.PositiveSmallIntegerField(blank=True, help_text='Days, those of pick-up and return included. Empty, here and below: as the platform says.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(366)], verbose_name='shortest rental')),
                ('rental_max_days', models.PositiveSmallIntegerField(blank=True, help_text='Days, those of pick-up and return included.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(366)], verbose_name='longest rental')),
                ('rental_lead_days', models.PositiveSmallIntegerField(blank=True, help_text='Days from the order to the earliest pick-up; 0: the same day.', null=True, validators=[django.core.validators.MaxValueValidator(730)], verbose_name='notice before pick-up')),
                ('rental_horizon_days', models.PositiveSmallIntegerField(blank=True, help_text='Days from the order to the latest pick-up.', null=True, validators=[django.core.validators.MaxValueValidator(730)], verbose_name='latest pick-up')),
                ('deposit_mode', models.CharField(choices=[('charged', 'Charged with the rent, and refunded'), ('authorised', 'Authorised on the saved card shortly before the pick-up')], default='charged', help_text='An authorisation holds money on the card without taking it, for less than five days. Of longer rentals the card is kept, and what is owed is charged later.', max_length=10, verbose_name='deposits')),
                ('saves_card', models.BooleanField(default=False, help_text="For late fees and damage beyond the deposit. The payment page asks the customer's consent. Authorised deposits need it anyway.", verbose_name='keep the card')),
                ('subscription_grace_days', models.PositiveSmallIntegerField(default=7, help_text="How long a subscriber whose renewal isn't paid keeps what they have.", validators=[django.core.validators.MaxValueValidator(90)], verbose_name='days of grace')),
                ('alert_recipients', django.contrib.postgres.fields.ArrayField(base_field=models.EmailField(max_length=254), blank=True, default=list, size=None)),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'verbose_name': 'shop settings',
                'verbose_name_plural': 'shop settings',
                'constraints': [models.CheckConstraint(condition=models.Q(('currency__regex', '^[A-Z]{3}$')), name='shop_currency_upper'), models.CheckConstraint(condition=models.Q(('tax_code__regex', '^(txcd_[0-9]{8})?$')), name='shop_tax_code_plain', violation_error_message='A tax code is txcd_ and eight digits.'), models.CheckConstraint(condition=models.Q(('tax_country__regex', '^[A-Z]{2}$'), models.Q(('tax_country', ''), models.Q(('tax_mode', 'static'), _negated=True)), _connector='OR'), name='shop_tax_country_known', violation_error_message="The shop's own rates need the country that it sells from, such as DE."), models.CheckConstraint(condition=models.Q(('hold_ttl_seconds__isnull', True), ('hold_ttl_seconds__range', (60, 3600)), _connector='OR'), name='shop_hold_ttl_bounds'), models.CheckConstraint(condition=models.Q(('checkout_rate_limit_per_minute__isnull', True), ('checkout_rate_limit_per_minute__range', (1, 10000)), _connector='OR'), name='shop_checkout_limit_bounds'), models.CheckConstraint(condition=models.Q(('rental_min_days__lte', models.F('rental_max_days')), ('rental_min_days__isnull', True), ('rental_max_days__isnull', True), _connector='OR'), name='shop_rental_days_in_order', violation_error_message='The shortest rental is longer than the longest.')],
            },
        ),
        migrations.CreateModel(
            name='AlertWebhook',
            fields=[
                ('shop', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='alert_webhook', serialize=False, to='tenants.shop')),
                ('url', models.URLField(max_length=500)),
                ('sealed', models.TextField(editable=False)),
                ('sealed_by', models.CharField(editable=False, max_length=12)),
                ('last_four', models.CharField(max_length=4)),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('sealed', ''), _negated=True), models.Q(('sealed_by', ''), _negated=True)), name='alert_webhook_sealed')],
            },
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('shop', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('at', models.DateTimeField(db_index=True)),
                ('actor_kind', models.CharField(max_length=8)),
                ('actor_name', models.CharField(max_length=150)),
                ('action', models.CharField(max_length=64)),
                ('object_type', models.CharField(max_length=64)),
                ('object_id', models.CharField(max_length=255)),
                ('reason', models.TextField(blank=True, default='')),
                ('data', models.JSONField(default=dict)),
                ('request_id', models.CharField(blank=True, default='', max_length=64)),
            ],
            options={
                'verbose_name_plural': 'audit entries',
                'ordering': ('-at', '-id'),
                'indexes': [models.Index(fields=['object_id', 'object_type'], name='audit_by_object'), models.Index(fields=['request_id'], name='audit_by_request'), models.Index(fields=['shop', '-at'], name='audit_by_shop'), models.Index(fields=['actor_kind', 'actor_name', '-at'], name='audit_by_actor'), models.Index(fields=['action', '-at'], name='audit_by_action'), models.Index(fields=['object_type', '-at'], name='audit_by_type')],
            },
        ),
        migrations.CreateModel(
            name='ShopCredential',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('shop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='credentials', to='tenants.shop')),
                ('kind', models.CharField(choices=[('own_keys', 'Own keys'), ('connected', 'Connected account')], max_length=12)),
                ('livemode', models.BooleanField()),
                ('account', models.CharField(db_collation='C', max_length=64)),
                ('status', models.CharField(choices=[('active', 'In use'), ('retired', 'Former, settles what is in flight'), ('forgotten', 'Forgotten')], default='active', max_length=12)),
                ('sealed', models.TextField(blank=True, default='', editable=False)),
                ('sealed_by', models.CharField(blank=True, default='', editable=False, max_length=12)),
                ('last_four', models.CharField(blank=True, default='', max_length=4)),
                ('publishable_key', models.CharField(blank=True, db_collation='C', default='', max_length=255)),
                ('verified_at', models.DateTimeField(blank=True, null=True)),
                ('verified_by', models.CharField(blank=True, default='', max_length=150)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('retired_at', models.DateTimeField(blank=True, null=True)),
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
                ('shop', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='webhook_secrets', to='tenants.shop')),
                ('livemode', models.BooleanField()),
                ('account', models.CharField(db_collation='C', max_length=64)),
                ('sealed', models.TextField(blank=True, default='', editable=False)),
                ('sealed_by', models.CharField(blank=True, default='', editable=False, max_length=12)),
                ('last_four', models.CharField(max_length=4)),
                ('active_from', models.DateTimeField()),
                ('active_until', models.DateTimeField(blank=True, null=True)),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('added_by', models.CharField(max_length=150)),
            ],
            options={
                'ordering': ('-id',),
                'indexes': [models.Index(condition=models.Q(('sealed', ''), _negated=True), fields=['shop', 'scope'], name='webhook_secret_open')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('scope', 'shop'), ('shop__isnull', False)), models.Q(('scope__in', ['platform', 'connect']), ('shop__isnull', True)), _connector='OR'), name='webhook_secret_shop_matches_scope'), models.CheckConstraint(condition=models.Q(models.Q(models.Q(('sealed', ''), _negated=True), models.Q(('sealed_by', ''), _negated=True)), models.Q(('active_until__isnull', False), ('sealed', ''), ('sealed_by', '')), _connector='OR'), name='webhook_secret_sealed_or_ended')],
            },
        ),
        migrations.CreateModel(
            name='ShopPayments',
            fields=[
            ],
            options={
                'verbose_name': "shop's Stripe account",
                'verbose_name_plural': "shops' Stripe accounts",
                'proxy': True,
            },
            bases=('tenants.shop',),
        ),
        migrations.CreateModel(
            name='Host',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('hostname', models.CharField(db_collation='C', max_length=253, unique=True, validators=[django.core.validators.RegexValidator('\\A(?=.{1,253}\\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\\Z', 'A lower-case host name without scheme, port or path; international names in their xn-- form.')])),
                ('role', models.CharField(choices=[('canonical', 'Canonical shop host'), ('alias', 'Alias'), ('redirect_only', 'Redirect-only (campaign or vanity)'), ('hooks', 'Hooks host'), ('platform', 'Platform host')], max_length=16)),
                ('mode', models.CharField(choices=[('active', 'Active'), ('landing_only', 'Landing page only'), ('expired', 'Expired')], default='active', max_length=16)),
                ('shop', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='hosts', to='tenants.shop')),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('locale', models.CharField(blank=True, default='', help_text="Pages without a locale get this one. Empty: the browser's choice, else the shop's default.", max_length=12)),
                ('verification_token', models.CharField(default=secrets.token_urlsafe, editable=False, max_length=64)),
                ('verified_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('verified_by', models.CharField(blank=True, choices=[('', 'None'), ('dns', 'TXT record'), ('file', 'File on the domain'), ('earlier', 'Served before proofs were asked for')], default='', editable=False, max_length=8)),
                ('checked_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('checks', models.JSONField(default=list, editable=False, help_text='What the last look at the domain found.')),
                ('version', models.PositiveBigIntegerField(default=0, editable=False)),
                ('name_hash', models.GeneratedField(db_persist=True, expression=models.Func('hostname', template="(('x' || left(md5(%(expressions)s), 16))::bit(64)::bigint)"), output_field=models.BigIntegerField())),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'ordering': ('hostname',),
                'indexes': [models.Index(fields=['name_hash'], include=('version',), name='host_by_hash')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('role__in', ['canonical', 'alias', 'redirect_only']), ('shop__isnull', False)), models.Q(('role__in', ['hooks', 'platform']), ('shop__isnull', True)), _connector='OR'), name='host_shop_matches_role'), models.CheckConstraint(condition=models.Q(('mode__in', ['active', 'landing_only', 'expired'])), name='host_mode_known'), models.UniqueConstraint(condition=models.Q(('role', 'canonical')), fields=('shop',), name='host_one_canonical_per_shop')],
            },
        ),
        migrations.CreateModel(
            name='Membership',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='memberships', to=settings.AUTH_USER_MODEL)),
                ('shop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='memberships', to='tenants.shop')),
                ('active', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'ordering': ('shop', 'user'),
                'permissions': (('see_every_shop', 'Is platform staff: sees every shop'),),
                'constraints': [models.UniqueConstraint(fields=('user', 'shop'), name='membership_once')],
            },
        ),
        migrations.CreateModel(
            name='StripeObject',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('livemode', models.BooleanField()),
                ('account', models.CharField(db_collation='C', max_length=64)),
                ('object_id', models.CharField(db_collation='C', max_length=255)),
                ('kind', models.CharField(max_length=64)),
                ('shop', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('source', models.CharField(help_text='What taught us: checkout, settle, event, staff.', max_length=32)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'indexes': [models.Index(fields=['object_id'], name='stripe_object_by_id')],
                'constraints': [models.UniqueConstraint(fields=('livemode', 'account', 'object_id'), name='stripe_object_one_shop')],
            },
        ),
        migrations.CreateModel(
            name='ServiceToken',
            fields=[
                ('id', models.CharField(db_collation='C', editable=False, max_length=16, primary_key=True, serialize=False)),
                ('shop', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='service_tokens', to='tenants.shop')),
                ('label', models.CharField(max_length=60)),
                ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('inventory:read', 'Validate stock'), ('inventory:hold', 'Hold, commit and release stock'), ('orders:read', 'Read orders'), ('payments:write', 'Refund, rent, change subscriptions'), ('reconciliation:write', 'Reconcile orders')], max_length=32), size=None)),
                ('digest', models.CharField(blank=True, db_collation='C', default='', editable=False, max_length=64)),
                ('older_digest', models.CharField(blank=True, db_collation='C', default='', editable=False, max_length=64)),
                ('older_until', models.DateTimeField(editable=False, null=True)),
                ('created_at', models.DateTimeField(editable=False)),
                ('created_by', models.CharField(editable=False, max_length=160)),
                ('secret_at', models.DateTimeField(editable=False)),
                ('secret_by', models.CharField(editable=False, max_length=160)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('last_used_at', models.DateTimeField(editable=False, null=True)),
                ('older_used_at', models.DateTimeField(editable=False, null=True)),
                ('revoked_at', models.DateTimeField(editable=False, null=True)),
                ('revoked_by', models.CharField(blank=True, default='', editable=False, max_length=160)),
            ],
            options={
                'verbose_name': 'service token',
                'ordering': ('-created_at', '-id'),
                'indexes': [models.Index(fields=['-created_at', '-id'], name='service_token_newest'), models.Index(fields=['shop', '-created_at', '-id'], name='service_token_by_shop')],
                'constraints': [models.CheckConstraint(condition=models.Q(('id__regex', '^[0-9a-f]{16}$')), name='service_token_id_form'), models.CheckConstraint(condition=models.Q(('scopes__contained_by', ['inventory:read', 'inventory:hold', 'orders:read', 'payments:write', 'reconciliation:write']), ('scopes__len__gt', 0)), name='service_token_scopes_known'), models.CheckConstraint(condition=models.Q(models.Q(('digest__regex', '^[0-9a-f]{64}$'), ('revoked_at__isnull', True)), models.Q(('digest', ''), ('older_digest', ''), ('revoked_at__isnull', False)), _connector='OR'), name='service_token_digest_until_revoked'), models.CheckConstraint(condition=models.Q(models.Q(('older_digest', ''), ('older_until__isnull', True), ('older_used_at__isnull', True)), models.Q(('older_digest__regex', '^[0-9a-f]{64}$'), ('older_until__isnull', False)), _connector='OR'), name='service_token_older_has_an_end')],
            },
        ),
        migrations.CreateModel(
            name='FrontDoorToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('label', models.CharField(help_text='Which edge carries it, since when: “worker, spring”.', max_length=60)),
                ('digest', models.CharField(db_collation='C', editable=False, max_length=64, unique=True)),
                ('slot', models.PositiveSmallIntegerField(editable=False, null=True, unique=True)),
                ('created_at', models.DateTimeField(editable=False)),
                ('created_by', models.CharField(editable=False, max_length=160)),
                ('last_used_at', models.DateTimeField(editable=False, null=True)),
                ('revoked_at', models.DateTimeField(editable=False, null=True)),
                ('revoked_by', models.CharField(blank=True, default='', editable=False, max_length=160)),
            ],
            options={
                'verbose_name': 'front-door token',
                'ordering': ('-created_at', '-id'),
                'constraints': [models.CheckConstraint(condition=models.Q(('slot__isnull', True), ('slot__in', [1, 2]), _connector='OR'), name='front_door_token_slot_known'), models.CheckConstraint(condition=models.Q(models.Q(('revoked_at__isnull', True), ('slot__isnull', False)), models.Q(('revoked_at__isnull', False), ('slot__isnull', True)), _connector='OR'), name='front_door_token_slot_until_revoked'), models.CheckConstraint(condition=models.Q(('digest__regex', '^[0-9a-f]{64}$')), name='front_door_token_digest_sha256')],
            },
        ),
    ]
