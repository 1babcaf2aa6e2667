"""`manage.py catch_up_events`: one run of what beat does every five minutes, for cron or by hand."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from tenants.database import as_system
from webhooks.catch_up import run_once


class Command(BaseCommand):
    help = "Lists each Stripe account's events since the last look and stores those that never arrived."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--hours", type=int, help="Look back so many hours, 1 to 720 (Stripe keeps 30 days).")

    @as_system()
    def handle(self, *args: Any, hours: int | None, **options: Any) -> None:
        if hours is not None and not 1 <= hours <= 720:
            raise CommandError("--hours is 1 to 720.")
        now = timezone.now()
        report = run_once(now=now, since=now - timedelta(hours=hours) if hours else None)
        self.stdout.write(
            f"{report.accounts} accounts read, {report.listed} events listed, {report.missed} had been missed."
        )
        if report.failed or report.unfinished:
            raise CommandError(f"Not read to the end: {', '.join((*report.failed, *report.unfinished))}.")
