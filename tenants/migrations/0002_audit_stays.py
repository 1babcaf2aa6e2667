"""The audit trail is append-only whoever writes to it: not even the login that owns the table changes or empties it."""

from django.db import migrations

APPEND_ONLY = """
CREATE FUNCTION tenants_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER tenants_auditentry_append_only BEFORE UPDATE OR DELETE ON tenants_auditentry
    FOR EACH ROW EXECUTE FUNCTION tenants_audit_append_only();
CREATE TRIGGER tenants_auditentry_no_truncate BEFORE TRUNCATE ON tenants_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION tenants_audit_append_only();
"""
APPEND_ONLY_REVERSE = """
DROP TRIGGER tenants_auditentry_no_truncate ON tenants_auditentry;
DROP TRIGGER tenants_auditentry_append_only ON tenants_auditentry;
DROP FUNCTION tenants_audit_append_only();
"""


class Migration(migrations.Migration):
    replaces = [("tenants", "0002_audit_rules")]
    dependencies = [("tenants", "0001_initial")]

    operations = [
        migrations.RunSQL(APPEND_ONLY, APPEND_ONLY_REVERSE),
    ]
