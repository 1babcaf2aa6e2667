"""Coupons and their redemptions. Limits, and what was promised, are kept here: whoever writes, triggers count."""

import django.contrib.postgres.fields
import django.db.models.deletion
import uuid_utils.compat
from django.db import migrations, models

from tenants.database import WEB_ROLE
from tenants.policies import rows_of_a_shop

SAME_SHOP = """
ALTER TABLE commerce_couponredemption ADD CONSTRAINT coupon_redemption_coupon_of_its_shop
    FOREIGN KEY (shop_id, coupon_id) REFERENCES commerce_coupon (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE commerce_couponredemption ADD CONSTRAINT coupon_redemption_order_of_its_shop
    FOREIGN KEY (shop_id, order_id) REFERENCES commerce_order (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
SAME_SHOP_REVERSE = """
ALTER TABLE commerce_couponredemption DROP CONSTRAINT coupon_redemption_order_of_its_shop;
ALTER TABLE commerce_couponredemption DROP CONSTRAINT coupon_redemption_coupon_of_its_shop;
"""

# Maps of currency to minor units: what isn't a positive integer is found by a path, which no Q can say.
WHOLE = """
ALTER TABLE commerce_coupon ADD CONSTRAINT coupon_amounts_whole CHECK (
    jsonb_typeof(amounts) = 'object' AND
    NOT jsonb_path_exists(amounts, '$.* ? (@.type() != "number" || @ < 1 || @ % 1 != 0)'));
ALTER TABLE commerce_coupon ADD CONSTRAINT coupon_minimums_whole CHECK (
    jsonb_typeof(minimums) = 'object' AND
    NOT jsonb_path_exists(minimums, '$.* ? (@.type() != "number" || @ < 1 || @ % 1 != 0)'));
"""
WHOLE_REVERSE = """
ALTER TABLE commerce_coupon DROP CONSTRAINT coupon_minimums_whole;
ALTER TABLE commerce_coupon DROP CONSTRAINT coupon_amounts_whole;
"""

# A redemption counts from its reservation until it is given back. The counter's row is locked by counting, so that the
# look at one customer's others sees whatever was committed before.
COUNTING = """
CREATE FUNCTION coupon_redemption_counts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_was integer := 0;
    v_is integer := 0;
    v_row commerce_couponredemption;
    v_limit integer;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        v_row := OLD;
        v_was := (OLD.state IN ('reserved', 'redeemed') AND NOT OLD.beyond_limit)::integer;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        v_row := NEW;
        v_is := (NEW.state IN ('reserved', 'redeemed') AND NOT NEW.beyond_limit)::integer;
    END IF;
    IF v_is = v_was THEN
        RETURN NULL;
    END IF;
    UPDATE commerce_coupon SET used = used + v_is - v_was
     WHERE shop_id = v_row.shop_id AND id = v_row.coupon_id
    RETURNING limit_per_email INTO v_limit;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'This coupon is not there' USING ERRCODE = 'restrict_violation';
    END IF;
    IF v_is > v_was AND v_limit < (
        SELECT count(*) FROM commerce_couponredemption r
         WHERE r.shop_id = v_row.shop_id AND r.coupon_id = v_row.coupon_id AND r.email = v_row.email
           AND r.state IN ('reserved', 'redeemed') AND NOT r.beyond_limit
    ) THEN
        RAISE EXCEPTION 'This customer has used the coupon as often as anybody may'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'coupon_used_within_customers_limit';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER coupon_redemption_counts AFTER INSERT OR UPDATE OR DELETE ON commerce_couponredemption
    FOR EACH ROW EXECUTE FUNCTION coupon_redemption_counts();
"""
COUNTING_REVERSE = """
DROP TRIGGER coupon_redemption_counts ON commerce_couponredemption;
DROP FUNCTION coupon_redemption_counts();
"""

# The counter belongs to the trigger above, which writes it one level down; what was promised stays once it was used.
PROMISED = """
CREATE FUNCTION coupon_promise_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.used <> OLD.used AND pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'A coupon is counted by its redemptions' USING ERRCODE = 'restrict_violation';
    END IF;
    IF (NEW.id, NEW.shop_id, NEW.code) IS DISTINCT FROM (OLD.id, OLD.shop_id, OLD.code)
       OR (NEW.kind, NEW.basis_points, NEW.amounts, NEW.only_for)
          IS DISTINCT FROM (OLD.kind, OLD.basis_points, OLD.amounts, OLD.only_for)
          AND EXISTS (SELECT 1 FROM commerce_couponredemption r WHERE r.shop_id = OLD.shop_id AND r.coupon_id = OLD.id)
    THEN
        RAISE EXCEPTION 'What a coupon promised stays' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER coupon_promise_stays BEFORE UPDATE ON commerce_coupon
    FOR EACH ROW EXECUTE FUNCTION coupon_promise_stays();
CREATE FUNCTION coupon_redemption_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.shop_id, NEW.coupon_id, NEW.order_id, NEW.email, NEW.discount_amount)
       IS DISTINCT FROM (OLD.id, OLD.shop_id, OLD.coupon_id, OLD.order_id, OLD.email, OLD.discount_amount) THEN
        RAISE EXCEPTION 'Whose a redemption is, and of what, stays' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER coupon_redemption_stays BEFORE UPDATE ON commerce_couponredemption
    FOR EACH ROW EXECUTE FUNCTION coupon_redemption_stays();
"""
PROMISED_REVERSE = """
DROP TRIGGER coupon_redemption_stays ON commerce_couponredemption;
DROP FUNCTION coupon_redemption_stays();
DROP TRIGGER coupon_promise_stays ON commerce_coupon;
DROP FUNCTION coupon_promise_stays();
"""

class Migration(migrations.Migration):

    dependencies = [
        ('commerce', '0013_return_rules'),
        ('tenants', '0012_service_token'),
    ]

    operations = [
        migrations.CreateModel(
            name='Coupon',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('code', models.CharField(db_collation='C', help_text='Upper case: customers may type it as they like.', max_length=40)),
                ('kind', models.CharField(choices=[('percent', 'Share'), ('amount', 'Amount')], max_length=8)),
                ('basis_points', models.PositiveIntegerField(blank=True, help_text='Hundredths of a per cent.', null=True)),
                ('amounts', models.JSONField(blank=True, default=dict, help_text='Minor units off, by currency.')),
                ('minimums', models.JSONField(blank=True, default=dict, help_text='Merchandise in minor units, by currency.')),
                ('only_for', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=255), blank=True, default=list, help_text='SKUs or variant keys; empty: everything.', size=None)),
                ('starts_at', models.DateTimeField(blank=True, null=True)),
                ('ends_at', models.DateTimeField(blank=True, null=True)),
                ('limit_total', models.PositiveIntegerField(blank=True, null=True)),
                ('limit_per_email', models.PositiveIntegerField(blank=True, null=True)),
                ('used', models.PositiveIntegerField(default=0, editable=False)),
                ('active', models.BooleanField(default=True)),
                ('note', models.CharField(blank=True, default='', help_text='For staff: what it is for.', max_length=200)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ('-id',),
            },
        ),
        migrations.CreateModel(
            name='CouponRedemption',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('state', models.CharField(choices=[('reserved', 'Reserved'), ('redeemed', 'Redeemed'), ('freed', 'Given back')], default='reserved', max_length=8)),
                ('beyond_limit', models.BooleanField(default=False)),
                ('email', models.CharField(blank=True, default='', help_text='In lower case; empty: not known.', max_length=254)),
                ('currency', models.CharField(max_length=3)),
                ('subtotal_amount', models.PositiveBigIntegerField()),
                ('discount_amount', models.PositiveBigIntegerField()),
                ('reserved_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, help_text='When it was redeemed or given back.', null=True)),
            ],
            options={
                'ordering': ('-id',),
            },
        ),
        migrations.AddField(
            model_name='order',
            name='coupon_code',
            field=models.CharField(blank=True, db_collation='C', default='', max_length=40),
        ),
        migrations.AddField(
            model_name='orderline',
            name='discount_amount',
            field=models.PositiveBigIntegerField(default=0, help_text="The line's part of the order's discount."),
        ),
        migrations.AddConstraint(
            model_name='orderline',
            constraint=models.CheckConstraint(condition=models.Q(('discount_amount__lte', models.F('line_amount'))), name='order_line_discount_within_it'),
        ),
        migrations.AddField(
            model_name='coupon',
            name='shop',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AddField(
            model_name='couponredemption',
            name='coupon',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='redemptions', to='commerce.coupon'),
        ),
        migrations.AddField(
            model_name='couponredemption',
            name='order',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='redemptions', to='commerce.order'),
        ),
        migrations.AddField(
            model_name='couponredemption',
            name='shop',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.shop'),
        ),
        migrations.AddConstraint(
            model_name='coupon',
            constraint=models.UniqueConstraint(fields=('shop', 'id'), name='coupon_shop_and_id'),
        ),
        migrations.AddConstraint(
            model_name='coupon',
            constraint=models.UniqueConstraint(fields=('shop', 'code'), name='coupon_one_per_code'),
        ),
        migrations.AddConstraint(
            model_name='coupon',
            constraint=models.CheckConstraint(condition=models.Q(('code__regex', '^[A-Z0-9][A-Z0-9_-]{1,39}$')), name='coupon_code_plain'),
        ),
        migrations.AddConstraint(
            model_name='coupon',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('amounts', {}), ('basis_points__isnull', False), ('basis_points__range', (1, 10000)), ('kind', 'percent')), models.Q(('basis_points__isnull', True), ('kind', 'amount'), models.Q(('amounts', {}), _negated=True)), _connector='OR'), name='coupon_share_or_amount'),
        ),
        migrations.AddConstraint(
            model_name='coupon',
            constraint=models.CheckConstraint(condition=models.Q(('starts_at__isnull', True), ('ends_at__isnull', True), ('starts_at__lt', models.F('ends_at')), _connector='OR'), name='coupon_window_in_order'),
        ),
        migrations.AddConstraint(
            model_name='coupon',
            constraint=models.CheckConstraint(condition=models.Q(('limit_total__isnull', True), ('used__lte', models.F('limit_total')), _connector='OR'), name='coupon_used_within_limit'),
        ),
        migrations.AddConstraint(
            model_name='coupon',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('limit_total__isnull', True), ('limit_total__gt', 0), _connector='OR'), models.Q(('limit_per_email__isnull', True), ('limit_per_email__gt', 0), _connector='OR')), name='coupon_limits_positive'),
        ),
        migrations.AddIndex(
            model_name='couponredemption',
            index=models.Index(fields=['shop', 'coupon', '-id'], name='coupon_redemption_by_coupon'),
        ),
        migrations.AddIndex(
            model_name='couponredemption',
            index=models.Index(condition=models.Q(('beyond_limit', False), ('state__in', ['reserved', 'redeemed'])), fields=['shop', 'coupon', 'email'], name='coupon_redemption_by_email'),
        ),
        migrations.AddConstraint(
            model_name='couponredemption',
            constraint=models.UniqueConstraint(fields=('shop', 'order'), name='coupon_redemption_one_per_order'),
        ),
        migrations.AddConstraint(
            model_name='couponredemption',
            constraint=models.CheckConstraint(condition=models.Q(('discount_amount__gt', 0), ('discount_amount__lte', models.F('subtotal_amount'))), name='coupon_discount_within_merchandise'),
        ),
        migrations.AddConstraint(
            model_name='couponredemption',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['reserved', 'redeemed', 'freed'])), name='coupon_redemption_state_known'),
        ),
        migrations.AddConstraint(
            model_name='couponredemption',
            constraint=models.CheckConstraint(condition=models.Q(('beyond_limit', False), ('state', 'redeemed'), _connector='OR'), name='coupon_beyond_limit_is_redeemed'),
        ),
        migrations.RunSQL(SAME_SHOP, SAME_SHOP_REVERSE),
        migrations.RunSQL(WHOLE, WHOLE_REVERSE),
        migrations.RunSQL(COUNTING, COUNTING_REVERSE),
        migrations.RunSQL(PROMISED, PROMISED_REVERSE),
        # A shop's own requests count coupons and nothing else of them; staff write them.
        rows_of_a_shop("commerce_coupon", web="read"),
        migrations.RunSQL(
            f"GRANT UPDATE (used) ON commerce_coupon TO {WEB_ROLE}",
            f"REVOKE UPDATE (used) ON commerce_coupon FROM {WEB_ROLE}",
        ),
        rows_of_a_shop("commerce_couponredemption", web="append"),
        migrations.RunSQL(
            f"GRANT UPDATE (state, beyond_limit, ended_at) ON commerce_couponredemption TO {WEB_ROLE}",
            f"REVOKE UPDATE (state, beyond_limit, ended_at) ON commerce_couponredemption FROM {WEB_ROLE}",
        ),
    ]
