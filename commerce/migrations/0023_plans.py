import django.db.models.deletion
import uuid_utils.compat
from django.db import migrations, models

from tenants.database import WEB_ROLE
from tenants.policies import rows_of_a_shop

SAME_SHOP = """
ALTER TABLE commerce_planversion ADD CONSTRAINT plan_version_of_its_shop
    FOREIGN KEY (shop_id, plan_id) REFERENCES commerce_plan (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE commerce_stripeplanprice ADD CONSTRAINT stripe_plan_price_of_its_shop
    FOREIGN KEY (shop_id, version_id) REFERENCES commerce_planversion (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
SAME_SHOP_REVERSE = """
ALTER TABLE commerce_planversion DROP CONSTRAINT plan_version_of_its_shop;
ALTER TABLE commerce_stripeplanprice DROP CONSTRAINT stripe_plan_price_of_its_shop;
"""

# Subscribers pay by a version for as long as they stay: another price is another version, whoever writes.
FOR_EVER = """
CREATE FUNCTION commerce_plan_version_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'terms of a plan never change: make a new version' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER plan_version_stays BEFORE UPDATE OR DELETE ON commerce_planversion
  FOR EACH ROW EXECUTE FUNCTION commerce_plan_version_stays();
"""
FOR_EVER_REVERSE = """
DROP TRIGGER plan_version_stays ON commerce_planversion;
DROP FUNCTION commerce_plan_version_stays();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('commerce', '0022_rental_rules'),
        ('tenants', '0016_taxes'),
    ]

    operations = [
        migrations.CreateModel(
            name='Plan',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('code', models.CharField(db_collation='C', help_text='What storefronts call it by. It never changes.', max_length=40)),
                ('names', models.JSONField(help_text='By locale.')),
                ('descriptions', models.JSONField(blank=True, default=dict, help_text='By locale.')),
                ('active', models.BooleanField(default=False)),
                ('position', models.PositiveIntegerField(default=0, help_text='Order on the page.')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
            ],
            options={
                'ordering': ('shop_id', 'position', 'id'),
            },
        ),
        migrations.CreateModel(
            name='PlanVersion',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('number', models.PositiveIntegerField()),
                ('currency', models.CharField(max_length=3)),
                ('amount', models.PositiveBigIntegerField()),
                ('interval', models.CharField(choices=[('day', 'Day'), ('week', 'Week'), ('month', 'Month'), ('year', 'Year')], max_length=5)),
                ('interval_count', models.PositiveIntegerField(default=1)),
                ('trial_days', models.PositiveIntegerField(default=0)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('plan', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='versions', to='commerce.plan')),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
            ],
            options={
                'ordering': ('-number',),
            },
        ),
        migrations.CreateModel(
            name='StripePlanPrice',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('stripe_account', models.CharField(db_collation='C', max_length=64)),
                ('livemode', models.BooleanField()),
                ('stripe_key', models.CharField(db_collation='C', help_text='Of the last send.', max_length=255)),
                ('price_id', models.CharField(blank=True, db_collation='C', max_length=255, null=True)),
                ('shop', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop')),
                ('version', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='at_stripe', to='commerce.planversion')),
            ],
        ),
        migrations.AddIndex(
            model_name='plan',
            index=models.Index(fields=['code'], name='plan_by_code'),
        ),
        migrations.AddConstraint(
            model_name='plan',
            constraint=models.UniqueConstraint(fields=('shop', 'id'), name='plan_shop_and_id'),
        ),
        migrations.AddConstraint(
            model_name='plan',
            constraint=models.UniqueConstraint(fields=('shop', 'code'), name='plan_one_per_code', violation_error_message='The shop has a plan of this code.'),
        ),
        migrations.AddConstraint(
            model_name='plan',
            constraint=models.CheckConstraint(condition=models.Q(('code__regex', '^[a-z0-9][a-z0-9-]{1,39}$')), name='plan_code_plain'),
        ),
        migrations.AddConstraint(
            model_name='plan',
            constraint=models.CheckConstraint(condition=models.Q(('names', {}), _negated=True), name='plan_has_name'),
        ),
        migrations.AddConstraint(
            model_name='planversion',
            constraint=models.UniqueConstraint(fields=('shop', 'id'), name='plan_version_shop_and_id'),
        ),
        migrations.AddConstraint(
            model_name='planversion',
            constraint=models.UniqueConstraint(fields=('shop', 'plan', 'number'), name='plan_version_once'),
        ),
        migrations.AddConstraint(
            model_name='planversion',
            constraint=models.CheckConstraint(condition=models.Q(('currency__regex', '^[A-Z]{3}$')), name='plan_currency_upper'),
        ),
        migrations.AddConstraint(
            model_name='planversion',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0), ('interval_count__gt', 0), ('trial_days__lte', 730), models.Q(models.Q(('interval', 'day'), ('interval_count__lte', 1095)), models.Q(('interval', 'week'), ('interval_count__lte', 156)), models.Q(('interval', 'month'), ('interval_count__lte', 36)), models.Q(('interval', 'year'), ('interval_count__lte', 3)), _connector='OR')), name='plan_terms_possible', violation_error_message='At most three years between two payments, and two years of trial.'),
        ),
        migrations.AddConstraint(
            model_name='stripeplanprice',
            constraint=models.UniqueConstraint(fields=('shop', 'version', 'stripe_account', 'livemode'), name='stripe_plan_price_once'),
        ),
        migrations.AddConstraint(
            model_name='stripeplanprice',
            constraint=models.UniqueConstraint(fields=('shop', 'stripe_account', 'price_id'), name='stripe_plan_price_one_version'),
        ),
        migrations.RunSQL(SAME_SHOP, SAME_SHOP_REVERSE),
        migrations.RunSQL(FOR_EVER, FOR_EVER_REVERSE),
        # Staff write plans; a subscription names one at Stripe when it is first needed there.
        rows_of_a_shop("commerce_plan", web="read"),
        rows_of_a_shop("commerce_planversion", web="read"),
        rows_of_a_shop("commerce_stripeplanprice", web="append"),
        migrations.RunSQL(
            f"GRANT UPDATE (stripe_key, price_id) ON commerce_stripeplanprice TO {WEB_ROLE}",
            f"REVOKE UPDATE (stripe_key, price_id) ON commerce_stripeplanprice FROM {WEB_ROLE}",
        ),
    ]
