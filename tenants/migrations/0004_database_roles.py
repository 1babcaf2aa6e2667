"""The two roles that the application works as, and what the platform's own may do. What the web role may touch is
said table by table, by `rows_of_a_shop`; the system role has every table, those of later migrations too.
"""

from django.db import migrations

# Roles belong to the server, not to the database: another database's migration may be making them right now.
ROLES = """
DO $$
DECLARE
    v_role text;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['holdfast_web', 'holdfast_system'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = v_role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL;
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'The role % is missing and % may not create it.', v_role, current_user
                        USING HINT = 'docs/configuration.md, "Database roles", has the statements for an administrator.';
            END;
        END IF;
        IF NOT pg_has_role(current_user, v_role, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO %I', v_role, current_user);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), v_role);
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO holdfast_system;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO holdfast_system;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO holdfast_system;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO holdfast_system;
"""

NO_ROLES = """
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM holdfast_system;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM holdfast_system;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM holdfast_system;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM holdfast_system;
REVOKE USAGE ON SCHEMA public FROM holdfast_web, holdfast_system;
"""


class Migration(migrations.Migration):
    replaces = [("tenants", "0009_database_roles")]
    dependencies = [("tenants", "0003_host_versions")]

    operations = [
        migrations.RunSQL(ROLES, NO_ROLES),
    ]
