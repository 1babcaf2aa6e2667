from django.db import migrations

from tenants.policies import rows_of_a_shop


class Migration(migrations.Migration):
    dependencies = [("inventory", "0006_stock_imports"), ("tenants", "0009_database_roles")]

    operations = [
        rows_of_a_shop("inventory_stockowner", column="id", web="append"),
        rows_of_a_shop("inventory_stockrow", column="owner_id"),
        rows_of_a_shop("inventory_stockmovement", column="owner_id", web="append"),
        rows_of_a_shop("inventory_hold"),
        rows_of_a_shop("inventory_holditem"),
        rows_of_a_shop("inventory_stockimport"),
        rows_of_a_shop("inventory_stockimportpart"),
        rows_of_a_shop("inventory_stockimportrow"),
        rows_of_a_shop("inventory_stockalert", column="owner_id"),
        rows_of_a_shop("inventory_alertdelivery", column="owner_id"),
    ]
