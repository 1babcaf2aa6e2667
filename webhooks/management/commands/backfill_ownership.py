"""`manage.py backfill_ownership`: teaches the map of Stripe objects what the shops' stored rows name."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenants.database import as_system
from tenants.models import Shop
from webhooks.backfill import BATCH, Progress, backfill


class Command(BaseCommand):
    help = "Fills the map of Stripe objects from orders, checkouts, disputes, subscriptions and invoices. Repeatable."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--shop", help="One shop; every shop without it.")
        parser.add_argument("--batch", type=int, default=BATCH, help=f"Rows per transaction, 1 to 10000 ({BATCH}).")

    @as_system()
    def handle(self, *args: Any, shop: str | None, batch: int, **options: Any) -> None:
        if not 1 <= batch <= 10_000:
            raise CommandError("--batch is 1 to 10000.")
        if shop is not None and not Shop.objects.filter(pk=shop).exists():
            raise CommandError(f"There is no shop {shop!r}.")
        added = backfill(shop_id=shop, batch=batch, tell=self._tell)
        self.stdout.write(f"Done: {added} objects were new to the map.")

    def _tell(self, so_far: Progress) -> None:
        share = 100 * so_far.rows // max(so_far.of, 1)
        self.stdout.write(f"{so_far.table}: {so_far.rows} of {so_far.of} ({share} %), {so_far.added} new.")
