"""`manage.py reap_holds`: one run of the reaper, for cron or by hand."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from inventory.reaper import BACKLOG_LIMIT, run_once
from tenants.database import as_system


class Command(BaseCommand):
    help = "Gives back every overdue hold, once. Exits non-zero when a hold could not be given back."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--limit", type=int, default=100, help="Holds per batch, 1 to 10000 (default 100).")
        parser.add_argument(
            "--full-speed",
            action="store_true",
            help=f"For a backlog while nobody buys: batches of {BACKLOG_LIMIT} without a rest, whatever --limit says.",
        )
        parser.add_argument("--json", action="store_true", help="Write the report as JSON.")

    @as_system()
    def handle(self, *args: Any, limit: int, full_speed: bool, **options: Any) -> None:
        if not 1 <= limit <= 10_000:
            raise CommandError("--limit is 1 to 10000.")
        limit, pause = (BACKLOG_LIMIT, 0.0) if full_speed else (limit, None)
        report = run_once(now=timezone.now(), limit=limit, pause_seconds=pause)
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json()))
        else:
            self.stdout.write(f"{report.expired} of {report.found} overdue holds given back, {report.seconds:.2f} s.")
            for shop_id, count in report.per_shop.items():
                self.stdout.write(f"  {shop_id}: {count}")
            if checkout := report.checkout:
                self.stdout.write(
                    f"Checkouts: {checkout.found} found, {checkout.expired} given back, "
                    f"{checkout.committed} committed, {checkout.kept} kept, {checkout.failed} failed."
                )
        for failure in report.failed:
            self.stderr.write(f"Hold {failure.hold_id} of {failure.shop_id}: {failure.error}")
        if not report.healthy:
            raise CommandError("Some overdue holds could not be given back; they are tried again by the next run.")
