"""A rental moves forwards only, and its history stays as it was written, whoever writes."""

from django.db import migrations

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


class Migration(migrations.Migration):
    replaces = [("commerce", "0022_rental_rules")]
    dependencies = [("commerce", "0008_coupons")]

    operations = [
        migrations.RunSQL(FORWARDS, FORWARDS_REVERSE),
        migrations.RunSQL(APPEND_ONLY, APPEND_ONLY_REVERSE),
    ]
