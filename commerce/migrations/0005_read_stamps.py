"""What Stripe says is stamped before it is asked: of two readings of one object the one with the higher stamp began
later, and a row takes a reading only when its stamp exceeds the row's (subscriptions, invoices, disputes, refunds,
charges).
"""

from django.db import migrations

STAMPS = """
CREATE SEQUENCE commerce_read_stamp;
GRANT USAGE ON SEQUENCE commerce_read_stamp TO holdfast_web;
"""


class Migration(migrations.Migration):
    replaces = [("commerce", "0010_disputes_and_subscriptions")]
    dependencies = [("commerce", "0004_tables_of_money"), ("tenants", "0005_row_level_security")]

    operations = [
        migrations.RunSQL(STAMPS, "DROP SEQUENCE commerce_read_stamp"),
    ]
