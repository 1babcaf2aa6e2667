"""What must be true when the crowd has gone, read from the database and Stripe's stand-in, never from the crowd."""

from __future__ import annotations

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Sum

from commerce.models import Order
from config.flash_sale.crowd import Tally
from config.flash_sale.stage import Stage
from config.flash_sale.visitor import LOOPBACK
from inventory.models import HoldItem, StockMovement
from inventory.verify import verify_stock

SETTLED_WITHIN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Check:
    """One sentence that must be true, and the figures behind it."""

    name: str
    holds: bool
    figures: str


@dataclass(frozen=True, slots=True)
class Facts:
    """`sold`: units by the movements of this sale; `held_items`: by active holds; `sessions`: Stripe's, by order id."""

    stock: int
    on_hand: int
    held: int
    sold: int
    held_items: int
    orders: Counter[str]
    attempts: int
    sessions: dict[str, list[dict[str, Any]]]

    @property
    def paid_sessions(self) -> int:
        return sum(session["payment_status"] == "paid" for found in self.sessions.values() for session in found)


def gather(stage: Stage, standin_port: int) -> Facts:
    """Waits until what was paid is settled (events may still be on their way), then reads everything once."""
    over = time.monotonic() + SETTLED_WITHIN_SECONDS
    while True:
        facts = _read(stage, standin_port)
        if facts.orders[Order.Status.CONFIRMED] >= facts.paid_sessions or time.monotonic() > over:
            return facts
        time.sleep(0.5)


def judge(stage: Stage, facts: Facts, tally: Tally) -> list[Check]:
    """The invariants of a sale, each with the figures that it was judged by."""
    available = facts.on_hand - facts.held
    confirmed = facts.orders[Order.Status.CONFIRMED]
    counts = Counter(len(found) for found in facts.sessions.values())
    twins = sum(len(answered) > 1 for answered in tally.sessions)
    proof = verify_stock(owner_id=stage.shop.shop_id)
    return [
        Check(
            "sold + held + available is the stock",
            facts.sold + facts.held + available == facts.stock,
            f"{facts.sold} + {facts.held} + {available} of {facts.stock}",
        ),
        Check(
            "nothing is oversold",
            0 <= facts.held <= facts.on_hand and facts.sold <= facts.stock,
            f"{facts.sold} sold and {facts.held} held of {facts.stock}",
        ),
        Check(
            "what is held, active holds explain",
            facts.held == facts.held_items,
            f"{facts.held} held, {facts.held_items} in holds",
        ),
        Check(
            "every paid session is one order, every order was paid",
            confirmed == facts.paid_sessions == facts.sold,
            f"{facts.paid_sessions} paid sessions, {confirmed} confirmed orders, {facts.sold} units sold",
        ),
        Check(
            "one session per intent",
            set(counts) <= {1} and twins == 0,
            f"{sum(counts.values())} orders with a session, {sum(n for c, n in counts.items() if c > 1)} with more than"
            f" one; {twins} double clicks answered two sessions",
        ),
        Check(
            "the shop's stock equals its history",
            proof.clean,
            f"{proof.rows} rows, {sum(proof.drifted.values())} drifted",
        ),
    ]


def _read(stage: Stage, standin_port: int) -> Facts:
    shop_id = stage.shop.shop_id
    row = stage.row()
    sales = StockMovement.objects.for_shop(shop_id).filter(
        stock_row_id=row.pk, reason=StockMovement.Reason.SALE, pk__gt=stage.after_movement
    )
    items = HoldItem.objects.for_shop(shop_id).filter(stock_row_id=row.pk, hold__status="active")
    attempts = list(stage.attempts())
    orders = {str(attempt.order_id) for attempt in attempts}
    sessions: dict[str, list[dict[str, Any]]] = {}
    for session in _sessions(standin_port, int(stage.began.timestamp())):
        order_id = (session.get("metadata") or {}).get("order_id")
        if order_id in orders:
            sessions.setdefault(order_id, []).append(session)
    return Facts(
        stock=stage.stock,
        on_hand=row.on_hand,
        held=row.held,
        sold=-(sales.aggregate(units=Sum("delta"))["units"] or 0),
        held_items=items.aggregate(units=Sum("quantity"))["units"] or 0,
        orders=Counter(attempt.order.status for attempt in attempts),
        attempts=len(attempts),
        sessions=sessions,
    )


def _sessions(standin_port: int, since: int) -> Iterator[dict[str, Any]]:
    """Every checkout session that Stripe's stand-in has made since then, whether or not we know of it."""
    after = ""
    while True:
        query = {"limit": "100", "created[gte]": str(since)} | ({"starting_after": after} if after else {})
        connection = http.client.HTTPConnection(LOOPBACK, standin_port, timeout=30)
        try:
            headers = {"Authorization": f"Bearer {settings.STRIPE_SECRET_KEY}"}
            connection.request("GET", f"/v1/checkout/sessions?{urlencode(query)}", headers=headers)
            page = json.load(connection.getresponse())
        finally:
            connection.close()
        yield from page["data"]
        if not page["has_more"]:
            return
        after = page["data"][-1]["id"]
