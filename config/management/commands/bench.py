"""`manage.py bench NAME [--json FILE] [--only CASE …]`: measures one part of the product on this machine, in ratios of
one run.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.bench import front_door, holds, http, reaper
from config.bench.report import Row, table, write_json
from tenants.database import as_system

BENCHES: dict[str, Callable[[], list[Row]]] = {
    "front_door": front_door.run,
    "holds": holds.run,
    "http": http.run,
    "reaper": reaper.run,
}


class Command(BaseCommand):
    help = "Measure a part of the product: " + ", ".join(BENCHES)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", choices=sorted(BENCHES))
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
        parser.add_argument(
            "--only", nargs="+", choices=sorted(http.CASES), metavar="CASE", help=f"of `http`: {', '.join(http.CASES)}"
        )

    @as_system()
    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError in production: a benchmark writes rows of its own and takes what the machine has."""
        if settings.ENVIRONMENT == "production":
            raise CommandError("Benchmarks are for machines that serve nobody.")
        name, only = options["name"], options["only"]
        if only and name != "http":
            raise CommandError("--only is for `http`: the others' cases are compared with each other.")
        rows = http.run(only=only) if only else BENCHES[name]()
        self.stdout.write(table(rows))
        if options["json"]:
            write_json(options["json"], name, rows)
