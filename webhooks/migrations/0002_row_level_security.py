from django.db import migrations

from tenants.policies import rows_of_a_shop


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0001_initial"), ("tenants", "0009_database_roles")]

    # The event store is the platform's: an event has no shop until it was resolved.
    operations = [rows_of_a_shop("webhooks_stripeevent", web="none")]
