"""`manage.py simulate_flash_sale --buyers 500 --stock 50`: a crowd at the running server, and the proof afterwards."""

from __future__ import annotations

import os
import random
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.flash_sale import crowd, proof, stage
from config.flash_sale.report import Report
from config.flash_sale.visitor import Visitor
from tenants.database import as_system

MOST_BUYERS, MOST_UNITS, MOST_SECONDS = 2_000, 100_000, 900


class Command(BaseCommand):
    help = "Simulate a flash sale against the running development server. Exits non-zero on a violated invariant."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--buyers", type=int, default=500, help=f"1 to {MOST_BUYERS} (default 500)")
        parser.add_argument("--stock", type=int, default=50, help=f"units, 1 to {MOST_UNITS} (default 50)")
        parser.add_argument("--shop", help="the shop that sells; default: the first that sells on the hosted page")
        parser.add_argument("--seconds", type=int, default=300, help=f"most, 10 to {MOST_SECONDS} (default 300)")
        parser.add_argument("--seed", type=int, default=1, help="who clicks twice and who pays (default 1)")
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there")

    @as_system()
    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError outside development, when nothing answers, and when an invariant is violated."""
        standin_port = _standin_port()
        buyers = _within("--buyers", options["buyers"], 1, MOST_BUYERS)
        stock = _within("--stock", options["stock"], 1, MOST_UNITS)
        seconds = _within("--seconds", options["seconds"], 10, MOST_SECONDS)
        port = int(os.environ.get("HOLDFAST_PORT", settings.PUBLIC_PORT))
        try:
            with stage.only_one():
                shop, host = stage.find_shop(options["shop"])
                _knock(port, host)
                opened = stage.open_stage(shop, host, stock=stock)
                try:
                    report = self._hold(opened, port, standin_port, buyers, options["seed"], seconds)
                finally:
                    self._progress("Taking the article off sale ...")
                    stage.clear(opened)
        except stage.NoStage as error:
            raise CommandError(str(error)) from error
        self.stdout.write(report.as_text())
        if options["json"]:
            report.write(options["json"])
        if not report.proven:
            raise CommandError("An invariant was violated; the lines that begin with NO say which.")

    def _hold(self, opened: stage.Stage, port: int, standin_port: int, buyers: int, seed: int, seconds: int) -> Report:
        sale = crowd.Sale(
            port=port,
            host=opened.host,
            page=opened.page,
            sku=stage.SKU,
            standin_port=standin_port,
            until=time.monotonic() + seconds,
        )
        began = time.monotonic()
        plans = crowd.habits(buyers, dice=random.Random(seed))  # noqa: S311  a simulation, not a secret
        tally = crowd.run(sale, plans, self._progress, seed=seed)
        took = time.monotonic() - began
        facts = proof.gather(opened, standin_port)
        checks = proof.judge(opened, facts, tally)
        return Report(opened.shop.shop_id, buyers, seed, took, tally, facts, checks)

    def _progress(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _within(option: str, number: int, low: int, high: int) -> int:
    if not low <= number <= high:
        raise CommandError(f"{option} is {low} to {high}.")
    return number


def _standin_port() -> int:
    """Raises CommandError wherever a crowd would meet customers or Stripe itself."""
    if settings.ENVIRONMENT == "production":
        raise CommandError("A simulated crowd is for machines that serve nobody.")
    address = urlsplit(settings.STRIPE_API_BASE)
    if address.hostname != "127.0.0.1" or address.port is None:
        raise CommandError("The crowd pays through the local Stripe stand-in; STRIPE_API_BASE names something else.")
    return int(address.port)


def _knock(port: int, host: str) -> None:
    """Raises CommandError when nobody answers there."""
    try:
        answer = Visitor(port, host, "127.0.0.1").call("GET", "/readyz")
    except OSError as error:
        raise CommandError(f"Nothing answers on port {port}. Is `python3 dev.py up` running?") from error
    if answer.status != 200:
        raise CommandError(f"The server on port {port} is not ready: {answer.code}.")
