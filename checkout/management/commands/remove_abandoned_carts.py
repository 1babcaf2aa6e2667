"""`manage.py remove_abandoned_carts`: one run of what beat does every night, for cron or by hand."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from checkout.abandoned_carts import run_once
from tenants.database import as_system


class Command(BaseCommand):
    help = "Empties carts that nobody has changed for CART_ABANDONED_DAYS, and removes those emptied by an earlier run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--limit", type=int, default=500, help="Carts per transaction, 1 to 10000 (default 500).")
        parser.add_argument("--json", action="store_true", help="Write the report as JSON.")

    @as_system()
    def handle(self, *args: Any, limit: int, **options: Any) -> None:
        if not 1 <= limit <= 10_000:
            raise CommandError("--limit is 1 to 10000.")
        report = run_once(now=timezone.now(), limit=limit)
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json()))
        else:
            for shop_id in sorted(report.emptied.keys() | report.removed.keys()):
                emptied, removed = report.emptied.get(shop_id, 0), report.removed.get(shop_id, 0)
                self.stdout.write(f"{shop_id}: {emptied} carts emptied, {removed} removed.")
            self.stdout.write(f"Done in {report.seconds:.2f} s.")
        if report.failed or not report.drained:
            raise CommandError("Some abandoned carts are left; the next run goes on with them.")
