"""A shop's requests see its own attempts and shortages alone."""

from django.db import migrations

from tenants.policies import rows_of_a_shop


class Migration(migrations.Migration):
    replaces = [("checkout", "0005_row_level_security")]
    dependencies = [("checkout", "0002_references_within_a_shop"), ("tenants", "0005_row_level_security")]

    operations = [
        rows_of_a_shop("checkout_checkoutattempt"),
        rows_of_a_shop("checkout_subscribeattempt"),
        rows_of_a_shop("checkout_shortage"),
    ]
