"""`manage.py tie_out`: the journal held against Stripe's own balance transactions, shop by shop."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from commerce.gateway.failures import StripeFailure
from commerce.ledger.statements import period_of_days
from commerce.ledger.tie_out import TieOut, tie_out
from commerce.money import format_minor
from tenants.context import load_shop
from tenants.database import as_system
from tenants.errors import HoldfastError
from tenants.models import Shop

DAYS = 35


class Command(BaseCommand):
    help = "Compares every object that moved a shop's Stripe balance with the journal. Exits non-zero on a difference."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--shop", metavar="ID", help="Only this shop.")
        parser.add_argument("--from", dest="first", type=date.fromisoformat, metavar="DATE", help=f"{DAYS} days ago.")
        parser.add_argument("--to", dest="last", type=date.fromisoformat, metavar="DATE", help="Last day; today.")
        parser.add_argument("--json", type=Path, metavar="FILE", help="Write the report to FILE as JSON.")

    @as_system()
    def handle(self, *args: Any, **options: Any) -> None:
        last = options["last"] or timezone.now().date() + timedelta(days=1)
        first = options["first"] or last - timedelta(days=DAYS)
        shops = Shop.objects.order_by("pk").values_list("pk", "settings__time_zone")
        if options["shop"]:
            shops = shops.filter(pk=options["shop"])
        found, failed = list[TieOut](), list[str]()
        for shop_id, zone in shops:
            try:
                period = period_of_days(first, last, zone or "UTC")
                found += tie_out(shop=load_shop(shop_id), since=period.since or period.until, until=period.until)
            except (HoldfastError, StripeFailure) as error:
                failed.append(f"{shop_id}: {error}")
        if not found and not failed:
            raise CommandError("There is no such shop.")
        self._tell(found, options["json"])
        if failed:
            raise CommandError("; ".join(failed))
        if differing := sum(len(one.differences) + len(one.unowned) for one in found):
            raise CommandError(f"{differing} differences between Stripe and the journal.")

    def _tell(self, found: list[TieOut], target: Path | None) -> None:
        if target is not None:
            target.write_text(json.dumps([one.as_json() for one in found], indent=2) + "\n", encoding="utf-8")
        for one in found:
            if not one.at_stripe:
                self.stdout.write(f"{one.shop_id} {one.account}: nothing moved in that time")
            for currency in sorted(one.at_stripe):
                stripe = format_minor(one.at_stripe[currency], currency, "en")
                journal = format_minor(one.in_journal.get(currency, 0), currency, "en")
                self.stdout.write(
                    f"{one.shop_id} {one.account}: {one.compared} objects, Stripe {stripe}, journal {journal}"
                )
            for name, net in sorted(one.others.items()):
                kind, _, currency = name.rpartition(" ")
                self.stdout.write(f"  of no shop: {kind} {format_minor(net, currency, 'en')}")
            for gap in one.unowned:
                self.stderr.write(
                    f"  {gap.source}: {format_minor(gap.at_stripe, gap.currency, 'en')}, of no shop we know"
                )
            for gap in one.differences:
                stripe = format_minor(gap.at_stripe, gap.currency, "en")
                journal = format_minor(gap.in_journal, gap.currency, "en")
                self.stderr.write(f"  {gap.source}: Stripe {stripe}, journal {journal}")
