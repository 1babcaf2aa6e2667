"""What the commands on rentals' money share: for which shops, told or done, and the report."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from commerce.charges.jobs import JOBS, shops_with_work
from commerce.charges.reports import JobReport
from tenants.context import bind_shop, load_shop
from tenants.errors import HoldfastError


class RentalJobCommand(BaseCommand):
    job: ClassVar[str]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--shop", metavar="ID", help="Only this shop; otherwise every shop that has the job on.")
        parser.add_argument("--dry-run", action="store_true", help="Tell what would be done, and do nothing.")
        parser.add_argument("--json", type=Path, metavar="FILE", help="Write the report to FILE as JSON.")

    def run(self, options: dict[str, Any]) -> None:
        """Raises CommandError for an unknown shop, and when a rental failed."""
        reports: list[JobReport] = []
        for shop_id in [options["shop"]] if options["shop"] else shops_with_work():
            try:
                shop = load_shop(shop_id)
            except HoldfastError as error:
                raise CommandError(str(error)) from error
            with bind_shop(shop):
                reports.append(JOBS[self.job](shop=shop, now=timezone.now(), dry_run=options["dry_run"]))
        if options["json"] is not None:
            text = json.dumps([report.as_json() for report in reports], indent=2)
            options["json"].write_text(f"{text}\n", encoding="utf-8")
        for report in reports:
            self.stdout.write(f"{report.shop_id}: {len(report.rows)} rentals{', dry run' if report.dry else ''}")
            for row in report.rows:
                self.stdout.write(f"  {row.as_text()}")
        if failed := sum(report.failed for report in reports):
            raise CommandError(f"{failed} failed; the log says why.")
