"""The journal is append-only and balanced, whoever writes to it."""

from django.db import migrations

APPEND_ONLY = """
CREATE FUNCTION commerce_journal_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the journal is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER journal_entry_append_only BEFORE UPDATE OR DELETE ON commerce_journalentry
  FOR EACH ROW EXECUTE FUNCTION commerce_journal_append_only();
CREATE TRIGGER journal_entry_no_truncate BEFORE TRUNCATE ON commerce_journalentry
  FOR EACH STATEMENT EXECUTE FUNCTION commerce_journal_append_only();
CREATE TRIGGER journal_line_append_only BEFORE UPDATE OR DELETE ON commerce_journalline
  FOR EACH ROW EXECUTE FUNCTION commerce_journal_append_only();
CREATE TRIGGER journal_line_no_truncate BEFORE TRUNCATE ON commerce_journalline
  FOR EACH STATEMENT EXECUTE FUNCTION commerce_journal_append_only();
"""
APPEND_ONLY_REVERSE = """
DROP TRIGGER journal_entry_append_only ON commerce_journalentry;
DROP TRIGGER journal_entry_no_truncate ON commerce_journalentry;
DROP TRIGGER journal_line_append_only ON commerce_journalline;
DROP TRIGGER journal_line_no_truncate ON commerce_journalline;
DROP FUNCTION commerce_journal_append_only();
"""

# Deferred, so that an entry and its lines are judged together at commit. IS DISTINCT FROM: an entry without lines
# sums to NULL and is refused too.
BALANCED = """
CREATE FUNCTION commerce_journal_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  entry bigint := CASE TG_TABLE_NAME WHEN 'commerce_journalentry' THEN NEW.id
                  ELSE (to_jsonb(NEW) ->> 'entry_id')::bigint END;
  total numeric;
BEGIN
  SELECT sum(amount) INTO total FROM commerce_journalline WHERE entry_id = entry;
  IF total IS DISTINCT FROM 0 THEN
    RAISE EXCEPTION 'journal entry % does not balance: %', entry, total USING ERRCODE = 'check_violation';
  END IF;
  IF EXISTS (SELECT 1 FROM commerce_journalline l JOIN commerce_journalentry e ON e.id = l.entry_id
             WHERE e.id = entry AND l.shop_id <> e.shop_id) THEN
    RAISE EXCEPTION 'journal entry % names two shops', entry USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER journal_entry_balanced AFTER INSERT ON commerce_journalentry
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION commerce_journal_balanced();
CREATE CONSTRAINT TRIGGER journal_line_balanced AFTER INSERT ON commerce_journalline
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION commerce_journal_balanced();
"""
BALANCED_REVERSE = """
DROP TRIGGER journal_entry_balanced ON commerce_journalentry;
DROP TRIGGER journal_line_balanced ON commerce_journalline;
DROP FUNCTION commerce_journal_balanced();
"""


class Migration(migrations.Migration):
    replaces = [("commerce", "0002_journal_rules")]
    dependencies = [("commerce", "0005_read_stamps")]

    operations = [
        migrations.RunSQL(APPEND_ONLY, APPEND_ONLY_REVERSE),
        migrations.RunSQL(BALANCED, BALANCED_REVERSE),
    ]
