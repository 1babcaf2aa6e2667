"""`manage.py rotate_credentials`: seals every secret with the newest of CREDENTIAL_KEYS."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenants.database import as_system
from tenants.resealing import reseal_all
from tenants.sealing import SealError


class Command(BaseCommand):
    help = (
        "Encrypts all Stripe keys and webhook secrets with the first of CREDENTIAL_KEYS. Put a new key in front, run "
        "this, then drop the old one. An interrupted run goes on where it ended."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Open everything, write nothing.")
        parser.add_argument("--batch", type=int, default=100, help="Rows per transaction, 1 to 1000 (default 100).")

    @as_system()
    def handle(self, *args: Any, dry_run: bool, batch: int, **options: Any) -> None:
        if not 1 <= batch <= 1000:
            raise CommandError("--batch is 1 to 1000.")
        try:
            report = reseal_all(dry_run=dry_run, batch=batch, progress=self._progress)
        except SealError as error:
            raise CommandError(str(error)) from None
        for line in report.failed:
            self.stderr.write(line)
        done = "could be sealed anew" if dry_run else "sealed anew"
        self.stdout.write(f"{report.done} of {report.due} secrets {done}.")
        if report.failed:
            raise CommandError(f"{len(report.failed)} could not be opened; add the key that sealed them, or set anew.")
        if not dry_run:
            self.stdout.write("Keys behind the first are no longer needed here.")

    def _progress(self, done: int, due: int) -> None:
        self.stdout.write(f"{done} of {due}")
