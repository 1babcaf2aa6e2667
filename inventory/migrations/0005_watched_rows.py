"""The index of the watch for low stock, alone: it is built while sales go on."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("inventory", "0004_low_stock_alerts")]

    operations = [
        AddIndexConcurrently(
            "stockrow",
            models.Index(
                name="stock_row_watched", fields=["owner", "id"], condition=models.Q(low_stock_threshold__gt=0)
            ),
        ),
    ]
