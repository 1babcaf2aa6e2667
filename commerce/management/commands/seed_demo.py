"""`manage.py seed_demo`: the two demonstration shops (S1)."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from commerce.demo.seeding import SeedReport, seed
from tenants.database import as_system


class Command(BaseCommand):
    help = "Adds the demonstration shops with products, stock, hosts, staff and tokens; changes nothing that is there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--json", type=Path, metavar="FILE", help="write shops, staff and tokens there, secrets included"
        )

    @as_system()
    def handle(self, *args: Any, **options: Any) -> None:
        if settings.ENVIRONMENT not in {"development", "test"}:
            raise CommandError("seed_demo knows its passwords: it runs in development and tests only.")
        report = seed()
        if options["json"] is not None:
            target: Path = options["json"]
            target.write_text(json.dumps(_as_json(report), indent=2) + "\n", encoding="utf-8")
        self.stdout.write(
            f"Demonstration shops: {', '.join(report.shop_ids)}. Rows added: {report.created}. "
            f"Staff: {', '.join(account.user for account in report.staff)}."
        )


def _as_json(report: SeedReport) -> dict[str, Any]:
    staff = []
    for account in report.staff:
        entry = {"user": account.user, "password": account.password, "role": account.role}
        if account.shop_id:
            entry["shop"] = account.shop_id
        staff.append(entry)
    tokens = [{"shop": token.shop_id, "scopes": list(token.scopes), "token": token.token} for token in report.tokens]
    return {"shops": list(report.shop_ids), "staff": staff, "serviceTokens": tokens}
