"""Events and findings are the platform's: they are stored before anybody knows whose they are. A shop's requests have
no right to them.
"""

from django.db import migrations

from tenants.policies import rows_of_a_shop


class Migration(migrations.Migration):
    replaces = [("webhooks", "0002_row_level_security")]
    dependencies = [("webhooks", "0001_initial"), ("tenants", "0005_row_level_security")]

    operations = [
        rows_of_a_shop("webhooks_stripeevent", web="none"),
        rows_of_a_shop("webhooks_finding", web="none"),
    ]
