"""A member of staff at the inventory's pages: what they see, and actions as a browser carries them out."""

from __future__ import annotations

import re
from datetime import timedelta

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inventory.release_guard import HoldStory
from tests.inventory.steps import place

STOCK, HOLDS = "/admin/inventory/stockrow/", "/admin/inventory/hold/"
MOVEMENTS, RUNS = "/admin/inventory/stockmovement/", "/admin/inventory/inventoryrun/"


def visit(user):
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    return client


def text_of(answer):
    assert answer.status_code == 200, (answer.status_code, answer.content[:500])
    return answer.content.decode()


def ask(client, path, name, row):
    return text_of(client.get(f"{path}{row.pk}/act-{name}/"))


def act(client, path, name, row, **fields):
    """Opens the page that asks, answers it, and reads what became of it."""
    page = ask(client, path, name, row)
    token = re.search(r'name="token" value="([^"]+)"', page)[1]
    answer = client.post(f"{path}act/{name}/", {"token": token, **fields}, follow=True)
    return text_of(answer)


def queries(client, url):
    with CaptureQueriesContext(
        connection,
    ) as seen:
        text_of(client.get(url))
    return len(seen)


def held_by_a_checkout(guard, row, quantity=1, *, key="checkout", now=None, then="Its session is made unpayable."):
    """A hold with a shop as what stands behind it: inventory's own tests know no orders."""
    hold = place(row, quantity, key=key, held_for="checkout", now=now or timezone.now())
    guard.stories[hold.hold_id] = HoldStory(
        rows=(row.owner.shop,),
        session=f"cs_test_{key}",
        session_url=None,
        then=then,
        latest=timezone.now() + timedelta(minutes=55),
    )
    return hold
