"""Both clients against the product itself: what they promise about answers is what it answers (I5, I12)."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from inventory.models import StockRow
from tests.factories.inventory import StockRowFactory
from tests.factories.tenants import HostFactory
from tests.fixtures.workers import issue
from tests.inventory.client.callers import Call
from tests.inventory.steps import counters

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def row() -> StockRow:
    host = HostFactory()
    row: StockRow = StockRowFactory(owner__shop=host.shop, sku="BAND", variant_key="BAND#color:teal", on_hand=5)
    return row


@pytest.fixture
def ask(call: Call, row: StockRow, live_server: LiveServer) -> Call:
    """A call with a token of the row's shop, at the platform's host."""
    token = issue(row.owner_id)

    def ask(verb: str, *args: Any, **options: Any) -> dict[str, Any]:
        return call(live_server.url, verb, *args, **{"token": token, **options})

    return ask


def band(quantity: int) -> list[dict[str, Any]]:
    return [{"sku": "BAND", "quantity": quantity, "variantAttributes": {"color": "teal"}}]


def test_the_whole_life_of_a_hold(ask: Call, row: StockRow):
    assert ask("health") == {"value": None, "retried": []}
    checked = {"sku": "BAND", "variantKey": "BAND#color:teal", "requested": 2, "available": 5}
    assert ask("validate", band(2), shopId=row.owner_id)["value"] == {"ok": True, "items": [checked]}
    held = ask("hold", band(2), {"ttlSeconds": 90, "idempotencyKey": "k"})["value"]
    again = ask("hold", band(2), {"ttlSeconds": 90, "idempotencyKey": "k"})["value"]
    assert (held["status"], held["idempotentHit"], again["idempotentHit"]) == ("active", False, True)
    assert again["holdId"] == held["holdId"]
    assert ask("extend", held["holdId"], {"ttlSeconds": 600})["value"]["expiresAt"] > held["expiresAt"]
    assert ask("get", held["holdId"])["value"]["items"] == held["items"]
    assert ask("commit", held["holdId"])["value"]["status"] == "committed"
    assert ask("commit", held["holdId"])["value"]["status"] == "committed"
    refused = ask("release", held["holdId"])
    assert (refused["error"], refused["code"]) == ("AuthorityConflict", "hold_not_active")
    assert counters(row) == [(3, 0, 3)]


def test_what_is_short_and_what_is_released(ask: Call, row: StockRow):
    short = {"sku": "BAND", "variantKey": "BAND#color:teal", "requested": 6, "available": 5}
    assert ask("validate", band(6))["value"] == {"ok": False, "insufficient": [short]}
    refused = ask("hold", band(6))
    assert (refused["error"], refused["insufficient"]) == ("AuthorityShort", [short])
    held = ask("hold", band(5))["value"]
    assert counters(row) == [(5, 5, 0)]
    assert ask("release", held["holdId"], {"reason": "changed mind"})["value"]["status"] == "released"
    assert counters(row) == [(5, 0, 5)]


def test_refusals_are_of_their_kind(ask: Call, row: StockRow):
    ask("hold", band(1), {"idempotencyKey": "k"})
    kinds = {
        "key": ask("hold", band(2), {"idempotencyKey": "k"}),
        "ttl": ask("hold", band(1), {"ttlSeconds": 5}),
        "unknown": ask("get", "0198c0de-0000-7000-8000-000000000001"),
        "token": ask("hold", band(1), token="tok_unknown"),
        "scope": ask("hold", band(1), token=issue(row.owner_id, "inventory:read")),
    }
    assert {name: (outcome["error"], outcome["code"]) for name, outcome in kinds.items()} == {
        "key": ("AuthorityConflict", "idempotency_conflict"),
        "ttl": ("AuthorityInvalid", "invalid_request"),
        "unknown": ("AuthorityInvalid", "not_found"),
        "token": ("AuthorityDenied", "unauthenticated"),
        "scope": ("AuthorityDenied", "forbidden"),
    }
    assert counters(row) == [(5, 1, 4)]


def test_a_token_of_the_platform_names_its_shop(call: Call, row: StockRow, live_server: LiveServer):
    token = issue(None)
    held = call(live_server.url, "hold", band(1), token=token, shopId=row.owner_id)["value"]
    assert call(live_server.url, "release", held["holdId"], token=token, shopId=row.owner_id)["value"]["items"]
    assert "error" in call(live_server.url, "hold", band(1), token=token)
    assert counters(row) == [(5, 0, 5)]
