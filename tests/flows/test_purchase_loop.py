"""The purchase loop through every process, over HTTP: bought, abandoned, delayed, contended."""

from __future__ import annotations

import json
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.stack import SHOP, Stack, Visitor, wait_for

pytestmark = pytest.mark.slow

SPORT = {"size": "S", "color": "black"}
KEY = "HEADBAND-SPORT#color:black|size:S"


def stock(stack: Stack, key: str = KEY) -> tuple[int, int]:
    """(on hand, held) of one variant."""
    rows = stack.sql("SELECT on_hand, held FROM inventory_stockrow WHERE owner_id = %s AND variant_key = %s", SHOP, key)
    return rows[0][0], rows[0][1]


def confirmed(buyer: Visitor, session_id: str) -> dict[str, Any]:
    return wait_for(lambda: (s := buyer.status(session_id))["status"] == "confirmed" and s, "the order is confirmed")


def proven(stack: Stack, tmp_path: Path) -> bool:
    """verify_stock's own verdict."""
    report = tmp_path / "stock.json"
    result = stack.manage("verify_stock", "--json", str(report))
    assert result.returncode == 0, result.stdout + result.stderr
    return bool(json.loads(report.read_text())["clean"])


def test_a_purchase_from_cart_to_confirmed(stack: Stack, tmp_path: Path) -> None:
    on_hand, held = stock(stack)
    buyer = stack.visitor()
    assert buyer.add("HEADBAND-SPORT", 2, **SPORT).status == 200
    started = buyer.checkout(email="ada@example.test")
    assert started.status == 201
    session = started.json()["sessionId"]
    assert stock(stack) == (on_hand, held + 2)
    stack.standin.pay(session)
    done = confirmed(buyer, session)
    assert (done["finalised"], bool(done["number"])) == (True, True)
    assert stock(stack) == (on_hand - 2, held)
    assert buyer.call("GET", "/api/cart").json()["lines"] == []
    events = stack.sql(
        "SELECT DISTINCT status, shop_id FROM webhooks_stripeevent"
        " WHERE object_id = %s AND type = 'checkout.session.completed'", session,
    )  # fmt: skip
    assert events == [("processed", SHOP)]
    assert proven(stack, tmp_path)


def test_an_abandoned_checkout_goes_back_to_stock_by_itself(stack: Stack) -> None:
    """Nobody calls anything: beat's reaper finds the overdue hold and makes its session unpayable first."""
    on_hand, held = stock(stack)
    buyer = stack.visitor()
    buyer.add("HEADBAND-SPORT", 1, **SPORT)
    started = buyer.checkout().json()
    stack.sql(
        "UPDATE inventory_hold SET expires_at = now() - interval '1 second' WHERE id = %s",
        started["inventoryReservationId"],
    )
    wait_for(lambda: stock(stack) == (on_hand, held), "the units are back", seconds=90)
    assert stack.standin.session(started["sessionId"])["status"] == "expired"
    assert buyer.status(started["sessionId"])["status"] == "canceled"
    assert buyer.call("GET", "/api/cart").json()["lines"][0]["quantity"] == 1


@pytest.mark.parametrize(("outcome", "status"), [("succeeded", "confirmed"), ("failed", "canceled")])
def test_a_delayed_payment(stack: Stack, outcome: str, status: str) -> None:
    buyer = stack.visitor()
    buyer.add("HEADBAND-SPORT", 1, **SPORT)
    session = buyer.checkout().json()["sessionId"]
    stack.standin.pay(session, method="bank_debit")
    wait_for(lambda: buyer.status(session)["status"] == "processing", "the payment is on its way")
    stack.standin.call(f"sessions/{session}/settle_async", {"outcome": outcome})
    wait_for(lambda: buyer.status(session)["status"] == status, f"the order is {status}")


@pytest.mark.parametrize(
    "mode", [{"mode": "duplicate"}, {"mode": "duplicate", "twin": True}, {"mode": "before_response"}]
)
def test_deliveries_out_of_the_ordinary(stack: Stack, mode: dict[str, Any]) -> None:
    on_hand, held = stock(stack)
    stack.standin.call("deliveries", mode)
    buyer = stack.visitor()
    buyer.add("HEADBAND-SPORT", 1, **SPORT)
    session = buyer.checkout().json()["sessionId"]
    stack.standin.pay(session)
    confirmed(buyer, session)
    wait_for(lambda: stock(stack) == (on_hand - 1, held), "sold once")
    assert stack.sql("SELECT count(*) FROM commerce_journalentry WHERE reference = %s", session) == [(1,)]


RECOUNT = """
from inventory.models import StockRow
from inventory.stock import recount_stock
from tenants.audit import Actor
row = StockRow.objects.get(owner_id="{shop}", variant_key="{key}")
recount_stock(shop_id="{shop}", stock_row_id=row.pk, counted={counted}, note="counted", acting=Actor("staff", "test"))
"""


def persistent(stack: Stack, started: threading.Barrier) -> tuple[int, str, str]:
    """A buyer who asks until the shop isn't busy: status, code and session of the last answer."""
    items = [{"sku": "HEADBAND-SPORT", "quantity": 1, "variantAttributes": {"size": "L", "color": "coral"}}]
    key = {"Idempotency-Key": uuid.uuid4().hex}
    visitor = stack.visitor()
    started.wait(timeout=30)
    for _ in range(40):
        answer = visitor.call("POST", "/api/checkout-session", {"items": items}, key)
        body = answer.json()
        if body.get("code") != "inventory_busy":
            break
    return answer.status, body.get("code", ""), body.get("sessionId", "")


def test_fifty_buyers_and_ten_units(stack: Stack, tmp_path: Path) -> None:
    key = "HEADBAND-SPORT#color:coral|size:L"
    _, held = stock(stack, key)
    # Ten are left: recounted by the verb behind the admin's action.
    result = stack.manage("shell", "-c", RECOUNT.format(shop=SHOP, key=key, counted=held + 10))
    assert result.returncode == 0, result.stderr
    started = threading.Barrier(50)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: persistent(stack, started), range(50)))
    outcomes = Counter((status, code) for status, code, _ in answers)
    assert outcomes == {(201, ""): 10, (409, "inventory_insufficient"): 40}
    assert stock(stack, key) == (held + 10, held + 10)
    assert len({session for status, _, session in answers if status == 201}) == 10
    assert proven(stack, tmp_path)
