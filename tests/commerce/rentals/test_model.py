"""Rentals against a model: any steps in any order on any day, alone and by a crowd: nothing is out that isn't owned."""

from __future__ import annotations

import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import time_machine
from django.db import connection
from django.db.models import Sum

from checkout.contracts import WantedLine
from checkout.counter import EXTERNAL, CounterRental, begin_rental
from checkout.rate_limit import Turnstile
from commerce.models import JournalLine, Order, Rental, RentalEvent, RentalLine, RentalUnits
from commerce.rentals.cases import RentalCommand, UnitsNamed
from commerce.rentals.life import handle_rental
from commerce.rentals.looking_after import look_after
from inventory.errors import InventoryBusy
from inventory.models import StockDay, StockRow
from inventory.stock import set_buffer_days
from inventory.verify import verify_stock
from tenants.audit import Actor
from tenants.context import ShopContext, load_shop
from tenants.database import as_shop
from tenants.errors import HoldfastError
from tests.commerce.rentals.counter import noon
from tests.fixtures.periods import monday
from tests.fixtures.trade import open_trade

KEY = "BAND#size:M"
CLERK = Actor("staff", "clerk")
STEPS = ("hand_out", "hand_out", "return", "return", "lose", "exchange", "inspect", "damage", "close")
ORDER = ["reserved", "handed_out", "returned", "inspected", "closed"]
# A long run: HOLDFAST_RENTAL_WALKS=500 python dev.py test tests/commerce/rentals/test_model.py
WALKS = int(os.environ.get("HOLDFAST_RENTAL_WALKS", "3"))


def open_shop(units: int) -> tuple[ShopContext, StockRow]:
    trade = open_trade("band", on_hand=units)
    trade.shop.settings.kind = "rental"
    trade.shop.settings.save()
    trade.variant.deposit_amount = 9000
    trade.variant.save()
    set_buffer_days(shop_id="band", stock_row_id=trade.stock.pk, days=1, note="x", acting=CLERK)
    return load_shop("band", host=""), trade.stock


def begin(shop: ShopContext, first: date, days: int, quantity: int) -> UUID:
    last = first + timedelta(days=days - 1)
    wanted = CounterRental(
        items=(WantedLine("BAND", KEY, quantity, {}, first, last, None, ""),),
        email="a@band.example", name="A", phone="", payment=EXTERNAL, key=uuid4().hex,
    )  # fmt: skip
    return begin_rental(shop=shop, wanted=wanted, acting=CLERK, turnstile=Turnstile(shop, "x")).order.pk


def step(shop: ShopContext, rental_id: UUID, action: str, quantity: int | None, amount: int | None = None) -> Rental:
    line = RentalLine.objects.get(rental_id=rental_id).order_line_id
    units = None if quantity is None else [UnitsNamed(line, quantity)]
    command = RentalCommand(rental_id=rental_id, action=action, key=uuid4().hex, units=units, amount=amount)
    return handle_rental(shop=shop, command=command, acting=CLERK)


@dataclass
class Expected:
    """What the model knows of one rental."""

    first: date
    due: date
    quantity: int
    out: int = 0
    back: int = 0
    lost: int = 0
    late: int = 0
    status: str = "reserved"

    def does(self, action: str, quantity: int, today: date) -> bool:
        """Whether the rules that need no stock allow the step; counts it when they do."""
        here = self.quantity - self.out - self.back - self.lost
        over = today > self.due
        if action == "hand_out" and quantity <= here and self.first <= today <= self.due and self.status in ORDER[:2]:
            self.out += quantity
        elif action in {"return", "lose"} and quantity <= self.out:
            self.out -= quantity
            if action == "return":
                self.back += quantity
                self.late += quantity * max(0, (today - self.due).days)
            else:
                self.lost += quantity
        elif action == "exchange" and quantity <= (self.out or here) and not over and self.status in ORDER[:2]:
            pass
        elif action == "inspect" and self.status in ORDER[1:3] and not self.out and (not here or over):
            self.status, self.quantity = "inspected", self.quantity - here
        elif action == "close" and (self.status == "inspected" or (self.status == "reserved" and over)):
            self.status, self.quantity = "closed", self.quantity - here
        elif action != "damage":
            return False
        here = self.quantity - self.out - self.back - self.lost
        if self.status in ORDER[:3] and (self.out or self.back or self.lost):
            self.status = "handed_out" if self.out or here else "returned"
        return True


@pytest.mark.parametrize("seed", range(WALKS))
def test_any_steps_on_any_day(db: None, seed: int) -> None:
    dice = random.Random(seed)
    shop, row = open_shop(units=3)
    today, rentals = monday(), dict[UUID, Expected]()
    for _ in range(45):
        today += timedelta(days=dice.choice([0, 0, 0, 1, 1, 2]))
        with time_machine.travel(noon(today), tick=True):
            act = dice.choice(["book", "book", "look", *STEPS])
            if act == "book":
                first = today + timedelta(days=dice.randrange(4))
                days, quantity = dice.randrange(1, 4), dice.choice([1, 2])
                try:
                    rental_id = begin(shop, first, days, quantity)
                except HoldfastError as refused:
                    assert refused.code == "rental_unavailable"
                else:
                    rentals[rental_id] = Expected(first, first + timedelta(days=days - 1), quantity)
            elif act == "look":
                assert look_after().failed == 0
            elif rentals:
                take(shop, dice, act, dice.choice(list(rentals)), rentals, today)
            check(row, rentals, today)


def take(
    shop: ShopContext, dice: random.Random, act: str, rental_id: UUID, rentals: dict[UUID, Expected], today: date
) -> None:
    """One step, by the verb and by the model. What the stock alone refuses leaves the model as it was."""
    quantity = dice.choice([1, 2])
    before = Expected(**vars_of(rentals[rental_id]))
    allowed = rentals[rental_id].does(act, quantity, today)
    try:
        step(shop, rental_id, act, None if act in {"inspect", "close"} else quantity)
    except HoldfastError as refused:
        by_stock = act in {"hand_out", "lose", "exchange", "damage"}
        assert not allowed or by_stock, (act, refused.detail)
        assert refused.code in {"wrong_state", "rental_unavailable", "invalid_request"}
        rentals[rental_id] = before
    else:
        assert allowed, (act, before)


def vars_of(expected: Expected) -> dict[str, Any]:
    return {name: getattr(expected, name) for name in Expected.__dataclass_fields__}


def check(row: StockRow, rentals: dict[UUID, Expected], today: date) -> None:
    """Rows are what the model says; nothing is out that isn't owned; every wanted day is booked; books are even."""
    row.refresh_from_db()
    assert 0 <= row.out <= row.on_hand
    assert row.out == (RentalUnits.objects.aggregate(out=Sum("out"))["out"] or 0)
    assert row.on_hand == 3 - sum(expected.lost for expected in rentals.values())
    for line in RentalLine.objects.select_related("rental"):
        model = rentals[line.rental_id]
        assert (line.rental.status, line.out, line.returned, line.lost, line.late_unit_days) == (
            model.status, model.out, model.back, model.lost, model.late,
        )  # fmt: skip
    wanted = Counter[date]()
    for units in RentalUnits.objects.all():
        for ahead in range((units.ends_on - units.starts_on).days + 2):  # one more for cleaning
            wanted[units.starts_on + timedelta(days=ahead)] += units.quantity
    booked = dict(StockDay.objects.values_list("day", "booked"))
    assert all(booked.get(day, 0) >= units for day, units in wanted.items() if day >= today)
    assert verify_stock().clean
    assert sum(JournalLine.objects.values_list("amount", flat=True)) == 0
    with as_shop("band"), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def test_a_crowd_at_the_counter_never_hands_out_more_than_there_is(transactional_db: None) -> None:
    """Bookings, hand-outs, returns and losses at once, on connections of their own; late ones in everybody's way."""
    shop, row = open_shop(units=3)
    first = monday()
    late = begin(shop, first - timedelta(days=7), 2, 2)
    with time_machine.travel(noon(first - timedelta(days=7)), tick=True):
        step(shop, late, "hand_out", 2)
    clock = time_machine.travel(noon(first), tick=True)
    clock.start()
    try:
        look_after()
        seen: list[int] = []

        def clerk(seed: int) -> None:
            dice, mine = random.Random(seed), list[UUID]()
            try:
                for _ in range(6):
                    try:
                        act = dice.choice(["book", "hand_out", "hand_out", "return", "lose", "exchange", "late"])
                        if act == "book" or not mine:
                            mine.append(begin(shop, first, dice.randrange(1, 4), 1))
                        else:
                            action = "return" if act == "late" else act
                            step(shop, late if act == "late" else dice.choice(mine), action, 1)
                    except (HoldfastError, InventoryBusy):
                        pass
                    seen.append(StockRow.objects.get(pk=row.pk).out)
            finally:
                connection.close()

        with ThreadPoolExecutor(6) as crowd:
            list(crowd.map(clerk, range(6)))
        row.refresh_from_db()
        assert max(seen) <= 3 and 0 <= row.out <= row.on_hand
        assert row.out == (RentalUnits.objects.aggregate(out=Sum("out"))["out"] or 0)
        assert verify_stock().clean
        done = RentalEvent.objects.filter(action="lose").count()
        assert row.on_hand == 3 - done
        assert Order.objects.count() == Rental.objects.count()
    finally:
        clock.stop()
