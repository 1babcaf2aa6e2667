"""`manage.py export_stock`: the stock of a shop or a pool as a file that can be imported again."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from inventory.bulk.batches import has_stock
from inventory.bulk.exporting import Selection, Which, export_stock, template
from inventory.bulk.formats import Format
from inventory.bulk.rows import Mode
from tenants.database import as_system

ROWS: Final[dict[str, Which]] = {"all": "", "out": "out", "low": "low", "held": "held"}


class Command(BaseCommand):
    help = (
        "Writes the stock of a shop or a pool, or a template for imports, as CSV, .xlsx or JSON; "
        "a million rows in constant memory."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--shop", required=True, help="The shop's id, or a pool's (pool:…). There is no default.")
        parser.add_argument("--format", choices=[str(kind) for kind in Format], default="csv")
        parser.add_argument("--rows", choices=list(ROWS), default="all")
        parser.add_argument("--begins", default="", help="Variant keys that begin with this.")
        parser.add_argument("--template", choices=[str(mode) for mode in Mode], help="A template of this kind instead.")
        parser.add_argument("--output", type=Path, help="The file to write; standard output without.")

    @as_system()
    def handle(self, *args: Any, **options: Any) -> None:
        shop_id, kind, output = options["shop"], Format(options["format"]), options["output"]
        if not has_stock(shop_id):
            raise CommandError(f"There is no shop or pool {shop_id!r}.")
        if options["template"]:
            if kind is Format.JSON:
                raise CommandError("Templates are CSV or xlsx.")
            pieces = template(Mode(options["template"]), kind)
        else:
            selection = Selection(shop_id, ROWS[options["rows"]], options["begins"])
            pieces = export_stock(selection, kind=kind, now=timezone.now())
        if output is None:
            sys.stdout.buffer.writelines(pieces)
            return
        try:
            _write(output, pieces)
        except OSError as error:
            raise CommandError(f"{output} can't be written: {error.strerror}.") from error


def _write(output: Path, pieces: Iterator[bytes]) -> None:
    with output.open("wb") as file:
        file.writelines(pieces)
