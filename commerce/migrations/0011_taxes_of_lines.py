"""The tax on each line of an order, as Stripe charged it: together never more than the order's, whoever writes.

Deferred to the commit: lines and order change one after the other. What lines lack is the tax on shipping.
"""

from django.db import migrations

WITHIN = """
CREATE FUNCTION commerce_line_taxes_within() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_order uuid := CASE TG_TABLE_NAME WHEN 'commerce_order' THEN NEW.id
                  ELSE (to_jsonb(NEW) ->> 'order_id')::uuid END;
BEGIN
  IF EXISTS (SELECT 1 FROM commerce_order o WHERE o.id = v_order AND o.tax_amount <
             (SELECT sum(tax_amount) FROM commerce_orderline WHERE order_id = v_order)) THEN
    RAISE EXCEPTION 'order % has less tax than its lines', v_order USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER order_line_tax_within_order AFTER INSERT OR UPDATE OF tax_amount ON commerce_orderline
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.tax_amount IS NOT NULL)
  EXECUTE FUNCTION commerce_line_taxes_within();
CREATE CONSTRAINT TRIGGER order_tax_covers_lines AFTER UPDATE OF tax_amount ON commerce_order
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.tax_amount < OLD.tax_amount)
  EXECUTE FUNCTION commerce_line_taxes_within();
"""
WITHIN_REVERSE = """
DROP TRIGGER order_tax_covers_lines ON commerce_order;
DROP TRIGGER order_line_tax_within_order ON commerce_orderline;
DROP FUNCTION commerce_line_taxes_within();
"""


class Migration(migrations.Migration):
    replaces = [("commerce", "0027_tax_of_lines")]
    dependencies = [("commerce", "0010_plans")]

    operations = [
        migrations.RunSQL(WITHIN, WITHIN_REVERSE),
    ]
