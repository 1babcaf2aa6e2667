"""A batch of the reaper in one round trip: between two trips its locks would be held for nothing."""

from django.db import migrations

# Ends up to p_limit overdue direct holds of one shop, the oldest first; those that somebody has locked are left alone.
HOLDS_REAP = """
CREATE FUNCTION inventory_holds_reap(
    p_shop text, p_now timestamptz, p_limit integer, p_leave_out uuid[], p_reason text, p_actor text,
    p_lock_timeout_ms integer
) RETURNS integer LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_holds uuid[];
    v_ended integer;
BEGIN
    v_holds := ARRAY (
        SELECT h.id FROM inventory_hold h
            WHERE h.status = 'active' AND h.held_for = 'direct' AND h.shop_id = p_shop AND h.expires_at <= p_now
              AND h.id <> ALL (p_leave_out)
            ORDER BY h.expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
    SELECT count(*) INTO v_ended
        FROM inventory_holds_finish(v_holds, 'expired', p_reason, p_actor, p_now, '', p_lock_timeout_ms);
    RETURN v_ended;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("inventory", "0004_open_shops_only")]

    operations = [
        migrations.RunSQL(
            HOLDS_REAP, "DROP FUNCTION inventory_holds_reap(text, timestamptz, integer, uuid[], text, text, integer);"
        )
    ]
