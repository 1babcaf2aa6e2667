"""What the database guards of rentals, whoever writes: one shop, forwards only, a history that stays as it was written.

Orders that were confirmed before there were rentals get theirs.
"""

from django.db import migrations

from tenants.policies import rows_of_a_shop

SAME_SHOP = """
ALTER TABLE commerce_rental ADD CONSTRAINT rental_order_of_its_shop
    FOREIGN KEY (shop_id, order_id) REFERENCES commerce_order (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE commerce_rentalline ADD CONSTRAINT rental_line_of_its_shop
    FOREIGN KEY (shop_id, rental_id) REFERENCES commerce_rental (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE commerce_rentalline ADD CONSTRAINT rental_line_order_line_of_its_shop
    FOREIGN KEY (shop_id, order_line_id) REFERENCES commerce_orderline (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE commerce_rentalunits ADD CONSTRAINT rental_units_of_its_shop
    FOREIGN KEY (shop_id, line_id) REFERENCES commerce_rentalline (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE commerce_rentalunits ADD CONSTRAINT rental_units_hold_of_its_shop
    FOREIGN KEY (shop_id, hold_id) REFERENCES inventory_hold (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE commerce_rentalevent ADD CONSTRAINT rental_event_of_its_shop
    FOREIGN KEY (shop_id, rental_id) REFERENCES commerce_rental (shop_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
SAME_SHOP_REVERSE = """
ALTER TABLE commerce_rentalevent DROP CONSTRAINT rental_event_of_its_shop;
ALTER TABLE commerce_rentalunits DROP CONSTRAINT rental_units_hold_of_its_shop;
ALTER TABLE commerce_rentalunits DROP CONSTRAINT rental_units_of_its_shop;
ALTER TABLE commerce_rentalline DROP CONSTRAINT rental_line_order_line_of_its_shop;
ALTER TABLE commerce_rentalline DROP CONSTRAINT rental_line_of_its_shop;
ALTER TABLE commerce_rental DROP CONSTRAINT rental_order_of_its_shop;
"""

FORWARDS = """
CREATE FUNCTION commerce_rental_forwards() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_way text[] := ARRAY['reserved', 'handed_out', 'returned', 'inspected', 'closed'];
BEGIN
  IF OLD.status = 'canceled' OR (NEW.status = 'canceled' AND OLD.status <> 'reserved')
     OR array_position(v_way, NEW.status::text) < array_position(v_way, OLD.status::text) THEN
    RAISE EXCEPTION 'rental % is % and does not become %', OLD.id, OLD.status, NEW.status
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER rental_forwards BEFORE UPDATE OF status ON commerce_rental FOR EACH ROW
  WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION commerce_rental_forwards();
"""
FORWARDS_REVERSE = """
DROP TRIGGER rental_forwards ON commerce_rental;
DROP FUNCTION commerce_rental_forwards();
"""

APPEND_ONLY = """
CREATE FUNCTION commerce_rental_event_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the history of rentals is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER rental_event_append_only BEFORE UPDATE OR DELETE ON commerce_rentalevent
  FOR EACH ROW EXECUTE FUNCTION commerce_rental_event_append_only();
CREATE TRIGGER rental_event_no_truncate BEFORE TRUNCATE ON commerce_rentalevent
  FOR EACH STATEMENT EXECUTE FUNCTION commerce_rental_event_append_only();
"""
APPEND_ONLY_REVERSE = """
DROP TRIGGER rental_event_append_only ON commerce_rentalevent;
DROP TRIGGER rental_event_no_truncate ON commerce_rentalevent;
DROP FUNCTION commerce_rental_event_append_only();
"""

# Confirmed orders whose lines all have their days booked, without the units that were given back since.
EARLIER = """
CREATE TEMPORARY TABLE earlier_lines ON COMMIT DROP AS
    SELECT l.shop_id, l.order_id, l.id, l.sku, l.variant_key, l.rental_start, l.rental_end, l.quantity, h.id AS hold_id,
           coalesce((SELECT sum(r.quantity) FROM commerce_returnline r JOIN commerce_return m ON m.id = r.returned_id
                     WHERE r.order_line_id = l.id AND r.restock AND m.restock = 'done'), 0) AS called_off
    FROM commerce_orderline l
    JOIN commerce_order o ON o.id = l.order_id
    LEFT JOIN LATERAL (
        SELECT h.id FROM inventory_hold h
        WHERE h.shop_id = o.shop_id AND h.status = 'committed'
          AND (h.id = o.hold_id OR h.active_idempotency_key = 'paid:' || o.id)
          AND EXISTS (SELECT 1 FROM inventory_holdperiod p WHERE p.hold_id = h.id)
        LIMIT 1) h ON true
    WHERE o.status = 'confirmed' AND l.rental_start IS NOT NULL;
DELETE FROM earlier_lines WHERE order_id IN (SELECT order_id FROM earlier_lines WHERE hold_id IS NULL);

INSERT INTO commerce_rental (id, shop_id, order_id, status, source, starts_on, ends_on, next_out_on, owed_amount,
                             endangered, frees_days, created_at)
    SELECT o.id, o.shop_id, o.id, CASE WHEN e.quantity = e.called_off THEN 'canceled' ELSE 'reserved' END,
           'checkout', e.starts, e.ends, e.next_out, 0, 0, false, o.confirmed_at
    FROM (SELECT order_id, min(rental_start) AS starts, max(rental_end) AS ends, sum(quantity) AS quantity,
                 sum(called_off) AS called_off,
                 min(rental_start) FILTER (WHERE quantity > called_off) AS next_out
          FROM earlier_lines GROUP BY order_id) e
    JOIN commerce_order o ON o.id = e.order_id;
INSERT INTO commerce_rentalline (id, order_line_id, shop_id, rental_id, due_on, quantity, called_off, handed_out,
                                 returned, damaged, lost, late_unit_days)
    SELECT gen_random_uuid(), e.id, e.shop_id, r.id, e.rental_end, e.quantity, e.called_off, 0, 0, 0, 0, 0
    FROM earlier_lines e JOIN commerce_rental r ON r.order_id = e.order_id;
INSERT INTO commerce_rentalunits (id, shop_id, line_id, hold_id, sku, variant_key, starts_on, ends_on, quantity, out)
    SELECT gen_random_uuid(), e.shop_id, r.id, e.hold_id, e.sku, e.variant_key, e.rental_start, e.rental_end,
           e.quantity - e.called_off, 0
    FROM earlier_lines e JOIN commerce_rentalline r ON r.order_line_id = e.id WHERE e.quantity > e.called_off;
DROP TABLE earlier_lines;
"""


class Migration(migrations.Migration):
    dependencies = [("commerce", "0021_rental_life"), ("inventory", "0018_period_functions")]

    operations = [
        migrations.RunSQL(SAME_SHOP, SAME_SHOP_REVERSE),
        migrations.RunSQL(FORWARDS, FORWARDS_REVERSE),
        migrations.RunSQL(EARLIER, migrations.RunSQL.noop),
        # The keys are deferred to the commit, and tables with waiting checks can't be altered.
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", migrations.RunSQL.noop),
        migrations.RunSQL(APPEND_ONLY, APPEND_ONLY_REVERSE),
        rows_of_a_shop("commerce_rental"),
        rows_of_a_shop("commerce_rentalline"),
        rows_of_a_shop("commerce_rentalunits"),
        rows_of_a_shop("commerce_rentalevent", web="append"),
    ]
