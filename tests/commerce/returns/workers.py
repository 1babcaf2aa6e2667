"""Processes that refund one order at once: `python -m tests.commerce.returns.workers COUNT SHOP ORDER AMOUNT`.

Django is loaded once; then COUNT processes are forked, each with connections of its own. They wait for one another,
then each refunds AMOUNT minor units under a key of its own, twice. Each writes what it was answered, as a JSON line.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from uuid import UUID


def work(number: int, shop_id: str, order_id: str, amount: int) -> list[str]:
    from commerce.returns.claiming import ReturnCommand
    from commerce.returns.refunding import return_order
    from tenants.audit import Actor
    from tenants.context import bind_shop, load_shop
    from tenants.errors import HoldfastError

    command = ReturnCommand(order_id=UUID(order_id), reason="A race", key=f"worker-{number}", amount=amount)
    answers = []
    for _ in range(2):
        shop = load_shop(shop_id)
        try:
            with bind_shop(shop):
                outcome = return_order(shop=shop, command=command, acting=Actor("system", f"worker-{number}"))
            answers.append(",".join(made.status for made in outcome.refunds))
        except HoldfastError as error:
            answers.append(error.code)
    return answers


def main(count: int, shop_id: str, order_id: str, amount: int) -> None:
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = os.environ["HOLDFAST_TEST_DB"]
    settings.LOGGING_CONFIG = None
    django.setup()

    ready, steady = os.pipe(), os.pipe()
    children = []
    for number in range(count):
        child = os.fork()
        if child:
            children.append(child)
            continue
        try:
            os.write(ready[1], b".")
            os.close(steady[1])
            os.read(steady[0], 1)  # ends for all at once, when the parent lets go
            line = json.dumps(work(number, shop_id, order_id, amount))
        except BaseException:
            traceback.print_exc()
            line = json.dumps(["died"])
        os.write(1, f"{line}\n".encode())
        os._exit(0)
    os.close(steady[0])
    for _ in range(count):
        os.read(ready[0], 1)
    os.close(steady[1])
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
