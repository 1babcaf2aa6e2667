"""No more goes back than was paid, whoever writes.

An order's `refunded_amount` is held within its total by a constraint of its own row; here it is held to be the sum of
its living refunds. Deferred to the commit: rows and order change one after the other.
"""

from django.db import migrations

COUNTED = """
CREATE FUNCTION commerce_refunds_counted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_order uuid := CASE TG_TABLE_NAME WHEN 'commerce_order' THEN NEW.id
                  ELSE (to_jsonb(NEW) ->> 'order_id')::uuid END;
  v_sum numeric;
  v_deposits numeric;
BEGIN
  SELECT coalesce(sum(amount), 0), coalesce(sum(deposit_amount), 0) INTO v_sum, v_deposits
  FROM commerce_refund WHERE order_id = v_order AND status NOT IN ('failed', 'canceled');
  IF EXISTS (SELECT 1 FROM commerce_order WHERE id = v_order
             AND (refunded_amount, deposit_refunded_amount) IS DISTINCT FROM (v_sum, v_deposits)) THEN
    RAISE EXCEPTION 'order % does not count its refunds: % of them %', v_order, v_sum, v_deposits
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER refund_counted AFTER INSERT OR UPDATE ON commerce_refund
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION commerce_refunds_counted();
CREATE CONSTRAINT TRIGGER order_counts_refunds AFTER UPDATE ON commerce_order
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN ((OLD.refunded_amount, OLD.deposit_refunded_amount) IS DISTINCT FROM
        (NEW.refunded_amount, NEW.deposit_refunded_amount))
  EXECUTE FUNCTION commerce_refunds_counted();
"""
COUNTED_REVERSE = """
DROP TRIGGER order_counts_refunds ON commerce_order;
DROP TRIGGER refund_counted ON commerce_refund;
DROP FUNCTION commerce_refunds_counted();
"""


class Migration(migrations.Migration):
    replaces = [("commerce", "0013_return_rules")]
    dependencies = [("commerce", "0006_journal")]

    operations = [
        migrations.RunSQL(COUNTED, COUNTED_REVERSE),
    ]
