"""`manage.py import_stock`: a file looked at and, when told so, applied; here and now, without a worker."""

from __future__ import annotations

import json
import os
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from inventory.bulk.batches import confirm_import, counts, has_stock, receive_import_within, undo_import
from inventory.bulk.formats import MAX_BYTES
from inventory.bulk.rows import Mode
from inventory.bulk.working import work_on
from inventory.models import StockImport, StockImportRow
from tenants.audit import Actor
from tenants.database import as_system
from tenants.errors import HoldfastError

LISTED: Final = 20
Status = StockImport.Status
State = StockImportRow.State


class Command(BaseCommand):
    help = (
        "Reads a stock file (CSV, .xlsx, JSON) of one shop or pool and shows what it would change; --apply does it. "
        "Exits non-zero when a row could not be applied; such rows are kept and can be corrected in the admin."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, help="The file; not with --undo.")
        parser.add_argument("--shop", required=True, help="The shop's id, or a pool's (pool:…). There is no default.")
        parser.add_argument(
            "--mode", choices=[str(mode) for mode in Mode], default="set", help="set: counted units; delta: to add."
        )
        parser.add_argument(
            "--reference", default="", help="Delivery note; a delta file is applied once per reference."
        )
        parser.add_argument("--allow-unknown", action="store_true", help="Take variants that the catalog lacks.")
        parser.add_argument("--apply", action="store_true", help="Apply what can be applied. Needs --reason.")
        parser.add_argument("--undo", type=int, metavar="IMPORT", help="Take back an applied import. Needs --reason.")
        parser.add_argument("--reason", default="", help="Why; kept in the audit trail and with every movement.")
        parser.add_argument("--json", action="store_true", help="Write the report as JSON.")

    @as_system()
    def handle(self, *args: Any, **options: Any) -> None:
        shop_id, reason = options["shop"], options["reason"].strip()
        if not has_stock(shop_id):
            raise CommandError(f"There is no shop or pool {shop_id!r}.")
        if (options["apply"] or options["undo"] is not None) and len(reason) < 3:
            raise CommandError("Say why with --reason.")
        if (options["file"] is None) == (options["undo"] is None):
            raise CommandError("Name a file, or an import to --undo.")
        acting = Actor("system", f"import_stock:{os.environ.get('USER', 'unknown')}")
        try:
            if options["undo"] is not None:
                batch = self._undo(shop_id, options["undo"], reason, acting)
            else:
                batch = self._import(shop_id, options, reason, acting)
        except HoldfastError as error:
            raise CommandError(error.detail) from error
        self._report(batch, as_json=options["json"])

    def _import(self, shop_id: str, options: dict[str, Any], reason: str, acting: Actor) -> StockImport:
        path: Path = options["file"]
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise CommandError(f"{path} can't be read: {error.strerror}.") from error
        with transaction.atomic():
            batch = receive_import_within(
                shop_id=shop_id,
                file_name=path.name,
                data=data,
                mode=Mode(options["mode"]),
                unknown_skus=options["allow_unknown"],
                reference=options["reference"],
                acting=acting,
            )
        batch = self._work(batch)
        if batch.status == Status.READY and options["apply"]:
            confirmed = confirm_import(shop_id=shop_id, import_id=batch.pk, reason=reason, acting=acting)
            batch = self._work(confirmed)
        return batch

    def _undo(self, shop_id: str, import_id: int, reason: str, acting: Actor) -> StockImport:
        undo_import(shop_id=shop_id, import_id=import_id, reason=reason, acting=acting)
        return self._work(StockImport.objects.for_shop(shop_id).get(pk=import_id))

    def _work(self, batch: StockImport) -> StockImport:
        """Works until nothing is left, beside a worker that may have been asked too."""
        while batch.at_work:
            work_on(shop_id=batch.owner_id, import_id=batch.pk)
            batch.refresh_from_db()
            if batch.at_work:
                time.sleep(0.2)  # that worker is at it at this moment
        return batch

    def _report(self, batch: StockImport, *, as_json: bool) -> None:
        rows = StockImportRow.objects.for_shop(batch.owner_id).filter(batch_id=batch.pk)
        found = counts(batch)
        problems = rows.exclude(problem="").exclude(state=State.DISMISSED).order_by("position")
        listed = [
            {"line": row.line, "variantKey": row.variant_key, "problem": row.problem} for row in problems[:LISTED]
        ]
        if as_json:
            told = {"import": batch.pk, "status": batch.status, "counts": found, "problem": batch.problem}
            self.stdout.write(json.dumps({**told, "problems": listed}))
        else:
            self.stdout.write(f"Import {batch.pk}: {batch.get_status_display()}. {batch.problem}".rstrip())
            for name, number in sorted(found.items()):
                self.stdout.write(f"  {name}: {number:,}")
            if batch.status == Status.READY:
                for row in rows.filter(state=State.PENDING).order_by("position")[:LISTED]:
                    after = (row.seen_on_hand or 0) + row.delta
                    self.stdout.write(f"  line {row.line}: {row.variant_key} {row.seen_on_hand} -> {after}")
                self.stdout.write("Nothing has been moved. Confirm it in the admin, or call again with --apply.")
            for problem in listed:
                self.stderr.write(f"  line {problem['line']}: {problem['variantKey']} {problem['problem']}")
        if batch.status == Status.UNREADABLE or problems.exists():
            raise CommandError("Some rows could not be dealt with; they are kept with their reasons.")
