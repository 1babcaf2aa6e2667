from django.db import migrations

from tenants.policies import rows_of_a_shop


class Migration(migrations.Migration):
    dependencies = [("checkout", "0004_references_within_a_shop"), ("tenants", "0009_database_roles")]

    operations = [rows_of_a_shop("checkout_checkoutattempt")]
