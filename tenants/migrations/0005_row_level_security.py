"""Of the platform's tables a shop's requests read what concerns themselves and add to audit trail and ownership map;
tokens, secrets and memberships they don't see at all. Hosts, tokens and credentials are looked up before a shop is
known, by the system role. Front-door tokens are the platform's alone and have no shop: the web role has no right to
them.
"""

from django.db import migrations

from tenants.policies import rows_of_a_shop


class Migration(migrations.Migration):
    replaces = [("tenants", "0012_service_token")]
    dependencies = [("tenants", "0004_database_roles")]

    operations = [
        rows_of_a_shop("tenants_shop", column="id", web="read"),
        rows_of_a_shop("tenants_shopsettings", web="read"),
        rows_of_a_shop("tenants_host", web="read"),
        rows_of_a_shop("tenants_shopcredential", web="read"),
        rows_of_a_shop("tenants_webhooksecret", web="none"),
        rows_of_a_shop("tenants_alertwebhook", web="none"),
        rows_of_a_shop("tenants_membership", web="none"),
        rows_of_a_shop("tenants_servicetoken", web="none"),
        rows_of_a_shop("tenants_auditentry", web="append"),
        rows_of_a_shop("tenants_stripeobject", web="append"),
    ]
