"""Disputes name the currency of what they moved on the account's balance, which need not be the payment's."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("commerce", "0019_taxes")]

    operations: ClassVar = [
        migrations.AddField(
            "dispute", "balance_currency", models.CharField(blank=True, db_default="", default="", max_length=3)
        ),
        migrations.AlterField(
            "dispute",
            "fee_amount",
            models.BigIntegerField(default=0, help_text="Stripe's fees for it, in the balance's currency."),
        ),
        migrations.AlterField(
            "dispute",
            "withdrawn_amount",
            models.BigIntegerField(
                default=0,
                help_text="What the account's balance is down by at the moment, without fees, in its own currency.",
            ),
        ),
    ]
