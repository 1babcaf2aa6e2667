"""Subscribers pay by a version for as long as they stay: another price is another version, whoever writes."""

from django.db import migrations

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
    replaces = [("commerce", "0023_plans")]
    dependencies = [("commerce", "0009_rentals")]

    operations = [
        migrations.RunSQL(FOR_EVER, FOR_EVER_REVERSE),
    ]
