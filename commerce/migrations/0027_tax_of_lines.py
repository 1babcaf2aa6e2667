"""The tax on each line of an order, as Stripe charged it: together never more than the order's, whoever writes."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.models import F, Q

# Deferred to the commit: lines and order change one after the other. What lines lack is the tax on shipping.
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
    dependencies: ClassVar = [("commerce", "0026_rental_clearing")]

    operations: ClassVar = [
        migrations.AddField(
            "orderline",
            "tax_amount",
            models.PositiveBigIntegerField(blank=True, help_text="As Stripe charged it on all units.", null=True),
        ),
        migrations.AddConstraint(
            "orderline",
            models.CheckConstraint(
                name="order_line_tax_within_it",
                condition=Q(tax_amount__isnull=True) | Q(tax_amount__lte=F("line_amount") - F("discount_amount")),
            ),
        ),
        migrations.RunSQL(WITHIN, WITHIN_REVERSE),
    ]
