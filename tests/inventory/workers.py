"""Processes that do everything at once: `python -m tests.inventory.workers COUNT KILLED TURNS SHOP…`.

Django is loaded once; then COUNT processes are forked, each with its own connection and its own random numbers, and do
TURNS verbs each on the few rows of these shops. KILLED of them are killed by SIGKILL wherever they are. Writes what
each survivor was answered, as one JSON object a line.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from datetime import timedelta


def work(number, turns, shops):
    from django.utils import timezone

    from inventory import holds, reaper, stock
    from inventory.models import StockRow
    from tenants.audit import Actor
    from tenants.errors import HoldfastError

    dice = random.Random(number)
    acting = Actor("system", f"worker-{number}")
    rows = {shop: list(StockRow.objects.filter(owner_id=shop).order_by("pk")) for shop in shops}
    mine, ends = [], Counter()

    def place(shop, now):
        picked = dice.sample(rows[shop], dice.randint(1, len(rows[shop])))
        lines = [holds.Line(row.sku, row.variant_key, dice.randint(1, 2)) for row in picked]
        # Keys are shared by all: replays, conflicts and revivals happen between processes.
        key, early = f"key-{dice.randint(0, 60)}", now - timedelta(seconds=dice.choice([0, 0, 59, 3600]))
        placed = holds.place_hold(shop_id=shop, key=key, lines=lines, ttl_seconds=60, acting=acting, now=early)
        mine.append((shop, placed.hold_id))
        return "replayed" if placed.idempotent_hit else "held"

    def finish(verb):
        shop, hold_id = dice.choice(mine)
        state = verb(shop_id=shop, hold_id=hold_id, reason="", acting=acting)
        return f"{state.status} {state.changed}"

    def adjust(shop):
        row, delta = dice.choice(rows[shop]), dice.choice([-3, -1, 1, 3])
        stock.adjust_stock(shop_id=shop, stock_row_id=row.pk, delta=delta, reason="adjustment", note="", acting=acting)
        return "adjusted"

    def recount(shop):
        row = dice.choice(rows[shop])
        counted = max(0, StockRow.objects.for_shop(shop).get(pk=row.pk).on_hand + dice.choice([-1, 0, 1]))
        stock.recount_stock(shop_id=shop, stock_row_id=row.pk, counted=counted, note="", acting=acting)
        return "recounted"

    for _ in range(turns):
        shop, now = dice.choice(shops), timezone.now()
        try:
            match dice.randint(0, 9) if mine else 0:
                case 0 | 1 | 2 | 3:
                    ends[place(shop, now)] += 1
                case 4:
                    ends[finish(holds.release_hold)] += 1
                case 5:
                    ends[finish(holds.commit_hold)] += 1
                case 6:
                    ends["reaped"] += reaper.run_once(now=now, limit=3, pause_seconds=0).expired
                case 7:
                    ends[adjust(shop)] += 1
                case 8:
                    ends[recount(shop)] += 1
                case 9:
                    keys = [row.variant_key for row in rows[shop]]
                    ends["freed"] += holds.free_overdue(shop_id=shop, variant_keys=keys, now=now)
        except HoldfastError as error:
            ends[error.code] += 1
    return ends


def main(count, killed, turns, *shops):
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = os.environ["HOLDFAST_TEST_DB"]
    settings.INVENTORY_RELEASE_GUARD = "tests.inventory.guards.RecordingGuard"
    settings.LOGGING_CONFIG = None
    django.setup()

    children = []
    for number in range(count):
        child = os.fork()
        if child:
            children.append(child)
            continue
        try:
            line = json.dumps(work(number, turns, shops))
        except BaseException:
            traceback.print_exc()
            line = json.dumps({"failed": 1})
        os.write(1, f"{line}\n".encode())
        os._exit(0)
    dice = random.Random(count)
    for victim in children[:killed]:
        time.sleep(dice.uniform(0.02, 0.3))
        os.kill(victim, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), *sys.argv[4:])
