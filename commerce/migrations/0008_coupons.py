"""Limits of coupons, and what was promised, are kept here: whoever writes, triggers count."""

from django.db import migrations

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

# A redemption counts from its reservation until it is given back. The counter's row is locked by counting, so that
# the look at one customer's others sees whatever was committed before.
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
    replaces = [("commerce", "0014_coupons")]
    dependencies = [("commerce", "0007_refunds")]

    operations = [
        migrations.RunSQL(WHOLE, WHOLE_REVERSE),
        migrations.RunSQL(COUNTING, COUNTING_REVERSE),
        migrations.RunSQL(PROMISED, PROMISED_REVERSE),
    ]
