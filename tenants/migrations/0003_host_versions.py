"""Host rows carry a version that nobody can forget to raise: caches take a row only for a newer one than theirs.

One sequence for all rows: a name that moved from one row to another still only ever gets higher versions. The number
is drawn while the row is locked, so versions of one row rise in the order of their commits.
"""

from django.db import migrations

VERSIONS = """
CREATE SEQUENCE tenants_host_version;

CREATE FUNCTION tenants_host_versioned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := nextval('tenants_host_version');
    RETURN NEW;
END $$;
CREATE TRIGGER tenants_host_versioned BEFORE INSERT OR UPDATE ON tenants_host
    FOR EACH ROW EXECUTE FUNCTION tenants_host_versioned();

-- What a host stands for contains its shop, the shop's settings and the shop's canonical host.
CREATE FUNCTION tenants_shop_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tenants_host SET version = 0 WHERE shop_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER tenants_shop_changed AFTER UPDATE ON tenants_shop
    FOR EACH ROW EXECUTE FUNCTION tenants_shop_changed();

CREATE FUNCTION tenants_shopsettings_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tenants_host SET version = 0 WHERE shop_id = coalesce(NEW.shop_id, OLD.shop_id);
    RETURN NULL;
END $$;
CREATE TRIGGER tenants_shopsettings_changed AFTER INSERT OR UPDATE OR DELETE ON tenants_shopsettings
    FOR EACH ROW EXECUTE FUNCTION tenants_shopsettings_changed();

CREATE FUNCTION tenants_canonical_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF 'canonical' IN (NEW.role, OLD.role) THEN
        UPDATE tenants_host SET version = 0
         WHERE shop_id IN (NEW.shop_id, OLD.shop_id) AND id <> coalesce(NEW.id, OLD.id);
    END IF;
    RETURN NULL;
END $$;
-- Not for updates that these triggers make themselves.
CREATE TRIGGER tenants_canonical_changed AFTER INSERT OR UPDATE OR DELETE ON tenants_host
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION tenants_canonical_changed();
"""
VERSIONS_REVERSE = """
DROP TRIGGER tenants_canonical_changed ON tenants_host;
DROP FUNCTION tenants_canonical_changed();
DROP TRIGGER tenants_shopsettings_changed ON tenants_shopsettings;
DROP FUNCTION tenants_shopsettings_changed();
DROP TRIGGER tenants_shop_changed ON tenants_shop;
DROP FUNCTION tenants_shop_changed();
DROP TRIGGER tenants_host_versioned ON tenants_host;
DROP FUNCTION tenants_host_versioned();
DROP SEQUENCE tenants_host_version;
"""


class Migration(migrations.Migration):
    replaces = [("tenants", "0005_host_versions")]
    dependencies = [("tenants", "0002_audit_stays")]

    operations = [
        migrations.RunSQL(VERSIONS, VERSIONS_REVERSE),
    ]
