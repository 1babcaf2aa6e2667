"""The audit trail is append-only whoever writes to it, and can be read by what staff search for."""

from django.db import migrations, models

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

    dependencies = [
        ('tenants', '0001_initial'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='auditentry',
            name='audit_by_object',
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['object_id', 'object_type'], name='audit_by_object'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['request_id'], name='audit_by_request'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['shop', '-at'], name='audit_by_shop'),
        ),
        migrations.AddIndex(
            model_name='stripeobject',
            index=models.Index(fields=['object_id'], name='stripe_object_by_id'),
        ),
        migrations.RunSQL(APPEND_ONLY, APPEND_ONLY_REVERSE),
    ]
