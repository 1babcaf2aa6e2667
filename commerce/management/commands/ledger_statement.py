"""`manage.py ledger_statement`: one shop's accounts over a period, or its trial balance, as a table or as CSV."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from commerce.ledger.statements import as_csv, period_of_days, statement, totals
from commerce.money import format_minor
from tenants.database import as_system
from tenants.errors import InvalidRequest
from tenants.models import Shop


class Command(BaseCommand):
    help = "Writes every account of a shop: opening, debit, credit, closing. Without --from it is the trial balance."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--shop", required=True, metavar="ID")
        parser.add_argument(
            "--from", dest="first", type=date.fromisoformat, metavar="DATE", help="First day, 2026-11-01."
        )
        parser.add_argument(
            "--to", dest="last", type=date.fromisoformat, metavar="DATE", help="Last day; today unless told."
        )
        parser.add_argument("--csv", type=Path, metavar="FILE", help="Write it to FILE as CSV, in major units.")

    @as_system()
    def handle(self, *args: Any, **options: Any) -> None:
        shop = Shop.objects.select_related("settings").filter(pk=options["shop"]).first()
        if shop is None:
            raise CommandError(f"There is no shop {options['shop']}.")
        zone = shop.settings.time_zone
        try:
            period = period_of_days(options["first"], options["last"] or timezone.now().date(), zone)
        except InvalidRequest as error:
            raise CommandError(error.detail) from error
        lines = statement(shop_id=shop.pk, period=period)
        if options["csv"] is not None:
            options["csv"].write_text(as_csv(lines), encoding="utf-8")
            self.stdout.write(f"{len(lines)} accounts written.")
            return
        for line in [*lines, *totals(lines)]:
            shown = [
                format_minor(amount, line.currency, "en")
                for amount in (line.opening, line.debit, line.credit, line.closing)
            ]
            self.stdout.write(f"{line.title or 'Total':<24}" + "".join(f"{amount:>18}" for amount in shown))
        if any(line.closing for line in totals(lines)):
            raise CommandError("The accounts don't come to nothing: the journal doesn't balance.")
