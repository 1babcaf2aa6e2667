from django.db import migrations

from tenants.policies import rows_of_a_shop


class Migration(migrations.Migration):
    dependencies = [("commerce", "0005_references_within_a_shop"), ("tenants", "0009_database_roles")]

    operations = [
        rows_of_a_shop("commerce_product", web="read"),
        rows_of_a_shop("commerce_producttext", web="read"),
        rows_of_a_shop("commerce_variant", web="read"),
        rows_of_a_shop("commerce_cart"),
        rows_of_a_shop("commerce_cartline"),
        rows_of_a_shop("commerce_order"),
        rows_of_a_shop("commerce_orderline"),
        rows_of_a_shop("commerce_journalentry", web="append"),
        rows_of_a_shop("commerce_journalline", web="append"),
        # An order's number is drawn by its row's default, with the right of whoever writes the row.
        migrations.RunSQL(
            "GRANT USAGE ON SEQUENCE commerce_order_number TO holdfast_web",
            "REVOKE USAGE ON SEQUENCE commerce_order_number FROM holdfast_web",
        ),
    ]
