"""Buyers in processes of their own: `python -m tests.inventory.buyers COUNT SHOP SKU`.

Django is loaded once; then one process per buyer is forked, each with its own connection. They start together, and each
tries to hold one unit. Writes how every one ended, one word a line.
"""

from __future__ import annotations

import os
import sys
import time
import traceback


def buy(number, shop_id, sku):
    from inventory.errors import InsufficientStock, InventoryBusy
    from inventory.holds import Line, place_hold
    from tenants.audit import CUSTOMER

    while True:
        try:
            place_hold(
                shop_id=shop_id, key=f"buyer-{number}", lines=[Line(sku, sku, 1)], ttl_seconds=1200, acting=CUSTOMER
            )
        except InsufficientStock:
            return "insufficient"
        except InventoryBusy as busy:
            time.sleep(busy.retry_after_ms / 1000)
        else:
            return "held"


def main(count, shop_id, sku):
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = os.environ["HOLDFAST_TEST_DB"]
    settings.INVENTORY_RELEASE_GUARD = "tests.inventory.guards.RecordingGuard"
    django.setup()
    from django.db import connection

    start_reading, start_writing = os.pipe()
    ready_reading, ready_writing = os.pipe()
    children = []
    for number in range(count):
        child = os.fork()
        if child:
            children.append(child)
            continue
        os.close(start_writing)
        word = "failed"
        try:
            connection.ensure_connection()
            os.write(ready_writing, b".")
            os.read(start_reading, 1)  # ends for all of them at once, when the parent closes its side
            word = buy(number, shop_id, sku)
        except BaseException:
            traceback.print_exc()
        os.write(1, f"{word}\n".encode())
        os._exit(0)
    os.close(ready_writing)
    for _ in range(count):
        os.read(ready_reading, 1)
    os.close(start_writing)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
