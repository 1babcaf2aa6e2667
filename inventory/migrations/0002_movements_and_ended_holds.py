"""What has happened to stock stays as it was written: movements are append-only, and a hold that has ended keeps its
end. Both are what stock is proved by, so they hold for the owner of the tables too.
"""

from django.db import migrations

APPEND_ONLY = """
CREATE FUNCTION inventory_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER inventory_stockmovement_append_only BEFORE UPDATE OR DELETE ON inventory_stockmovement
    FOR EACH ROW EXECUTE FUNCTION inventory_refuse_change();
CREATE TRIGGER inventory_stockmovement_no_truncate BEFORE TRUNCATE ON inventory_stockmovement
    FOR EACH STATEMENT EXECUTE FUNCTION inventory_refuse_change();
"""
APPEND_ONLY_REVERSE = """
DROP TRIGGER inventory_stockmovement_no_truncate ON inventory_stockmovement;
DROP TRIGGER inventory_stockmovement_append_only ON inventory_stockmovement;
DROP FUNCTION inventory_refuse_change();
"""

# active -> committed | released | expired. What has ended keeps its end: state, key, times and reason.
ONE_DIRECTION = """
CREATE FUNCTION inventory_hold_has_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'hold % is %: it can not change any more', OLD.id, OLD.status USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER inventory_hold_ends_once BEFORE UPDATE ON inventory_hold FOR EACH ROW
    WHEN (OLD.status <> 'active'
          AND (NEW.id, NEW.shop_id, NEW.status, NEW.held_for, NEW.idempotency_key, NEW.active_idempotency_key,
               NEW.lines_digest, NEW.expires_at, NEW.finished_at, NEW.finish_reason, NEW.finished_by)
              IS DISTINCT FROM
              (OLD.id, OLD.shop_id, OLD.status, OLD.held_for, OLD.idempotency_key, OLD.active_idempotency_key,
               OLD.lines_digest, OLD.expires_at, OLD.finished_at, OLD.finish_reason, OLD.finished_by))
    EXECUTE FUNCTION inventory_hold_has_ended();
"""
ONE_DIRECTION_REVERSE = """
DROP TRIGGER inventory_hold_ends_once ON inventory_hold;
DROP FUNCTION inventory_hold_has_ended();
"""


class Migration(migrations.Migration):
    replaces = [("inventory", "0002_integrity")]
    dependencies = [("inventory", "0001_initial")]

    operations = [
        migrations.RunSQL(APPEND_ONLY, APPEND_ONLY_REVERSE),
        migrations.RunSQL(ONE_DIRECTION, ONE_DIRECTION_REVERSE),
    ]
