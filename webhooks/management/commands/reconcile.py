"""`manage.py reconcile`: one run of what beat does every night, for cron or by hand."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from tenants.database import as_system
from webhooks.reconcile import run_once


class Command(BaseCommand):
    help = "Compares what each Stripe account took and gave back with the orders; lists differences, repairs nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=2, help="Look back so many days, 1 to 60 (default 2).")

    @as_system()
    def handle(self, *args: Any, days: int, **options: Any) -> None:
        if not 1 <= days <= 60:
            raise CommandError("--days is 1 to 60.")
        report = run_once(now=timezone.now(), days=days)
        self.stdout.write(f"{report.accounts} accounts compared, {report.new} new differences, {report.open} open.")
        if report.failed:
            raise CommandError(f"Not compared: {', '.join(report.failed)}.")
