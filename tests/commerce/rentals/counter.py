"""A shop's counter for tests: rentals booked and paid, and what servers do to them over HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Any

from django.test import Client

from checkout.settle import settle_session
from commerce.models import Order, Rental, RentalLine, RentalUnits
from inventory.models import StockDay, StockRow
from inventory.stock import set_buffer_days
from tenants.audit import Actor
from tenants.context import load_shop
from tests.fixtures.periods import days_from
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import RentalTrade
from tests.fixtures.workers import issue


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), tzinfo=UTC)


@dataclass
class Counter:
    """`do` sends `PATCH /api/rental` with a new key unless told; `first` is the day on which rentals begin."""

    trade: RentalTrade
    standin: StandIn
    first: date
    token: str = ""
    keys: Any = field(default_factory=count)

    def __post_init__(self) -> None:
        self.token = issue(self.trade.shop.pk, "payments:write")

    def book(self, days: int = 3, quantity: int = 1, *, offset: int = 0) -> Order:
        """Booked now, paid, and confirmed."""
        line = self.trade.line(days_from(self.first + timedelta(days=offset), days), quantity)
        answer = self.trade.buyer_of(line).checkout({"email": "a@band.example"}).json()
        self.standin.pay(answer["sessionId"])
        settle_session(shop=load_shop(self.trade.shop.pk), session_id=answer["sessionId"])
        return Order.objects.get(pk=answer["orderId"])

    def clean(self, days: int) -> None:
        set_buffer_days(
            shop_id=self.trade.shop.pk, stock_row_id=self.trade.stock.pk, days=days, note="x", acting=Actor("test", "x")
        )

    def send(self, body: Any, method: str = "PATCH", *, token: str | None = None, host: str = "localhost") -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Host": host, "Authorization": f"Bearer {self.token if token is None else token}"}
        client = Client(raise_request_exception=False)
        return client.generic(method, "/api/rental", raw, content_type="application/json", headers=headers)

    def do(self, order: Order, action: str, quantity: int | None = None, **more: Any) -> Any:
        body = {"rentalId": str(order.pk), "action": action, "idempotencyKey": f"k-{next(self.keys)}", **more}
        if quantity is not None:
            item = {"lineId": str(order.lines.get().pk), "quantity": quantity}
            body["items"] = [
                item | {name: body.pop(name) for name in ("condition", "variantAttributes") if name in body}
            ]
        return self.send(body)

    def booked(self, key: str = "") -> dict[int, int]:
        """Units by day, counted from `first`."""
        rows = StockDay.objects.filter(stock_row__variant_key=key or self.trade.variant.variant_key, booked__gt=0)
        return {(day - self.first).days: booked for day, booked in rows.values_list("day", "booked")}

    def stock(self) -> tuple[int, int]:
        row = StockRow.objects.get(pk=self.trade.stock.pk)
        return row.on_hand, row.out


def whereabouts(order: Order) -> dict[str, Any]:
    """A rental's own rows, for whole-value assertions."""
    rental, line = Rental.objects.get(order=order), RentalLine.objects.get(rental__order=order)
    return {
        "status": rental.status,
        "counts": (line.handed_out, line.returned, line.damaged, line.lost, line.called_off),
        "late": line.late_unit_days,
        "units": sorted(RentalUnits.objects.filter(line=line).values_list("variant_key", "quantity", "out")),
        "next": (rental.next_out_on, rental.next_due_on),
    }


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, json.loads(answer.content)["code"]
