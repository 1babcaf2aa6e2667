"""A fourth kind of difference: the journal's, object by object."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("webhooks", "0005_findings")]

    operations: ClassVar = [
        migrations.AlterField(
            "finding",
            "kind",
            models.CharField(
                choices=[
                    ("money_without_order", "Money without order"),
                    ("order_without_money", "Order without money"),
                    ("refund_unknown", "Refund that isn't booked"),
                    ("journal_differs", "Journal differs from Stripe's balance"),
                ],
                max_length=24,
            ),
        ),
        migrations.AlterField(
            "finding",
            "object_id",
            models.CharField(
                db_collation="C", help_text="Stripe's session, charge, refund or dispute.", max_length=255
            ),
        ),
    ]
