"""Bookings in any order, and by many at once, against a plain count of days (I3)."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory.errors import (
    InventoryBusy,
    RentalUnavailable,
    StockBooked,
)
from inventory.holds import Line, commit_hold
from inventory.models import Hold, StockRow
from inventory.reaper import run_once
from inventory.stock import recount_stock
from inventory.verify import verify_stock
from tests.factories.inventory import StockRowFactory
from tests.inventory.booking import MONDAY, book, booked, end, wish
from tests.inventory.steps import STAFF


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), units=st.integers(1, 3), buffer=st.integers(0, 2))
def test_any_sequence_agrees_with_a_plain_count(db: None, seed: int, units: int, buffer: int) -> None:
    """Verbs in any order beside a dictionary that counts days."""
    dice, row = random.Random(seed), StockRowFactory(on_hand=units)
    StockRow.objects.filter(pk=row.pk).update(buffer_days=buffer)
    active: list[tuple[Any, list[int], int]] = []
    away: Counter[int] = Counter()
    for _ in range(25):
        act = dice.choice(["book", "book", "book", "release", "commit", "expire", "recount"])
        if act == "book":
            first, length, quantity = dice.randrange(10), dice.randrange(1, 5), dice.randrange(1, 3)
            days = list(range(first, first + length + buffer))
            fits = all(away[at] + quantity <= units for at in days)
            try:
                placed = book(row, first, first + length - 1, quantity)
                assert fits
                active.append((placed, days, quantity))
                away.update(dict.fromkeys(days, quantity))
            except RentalUnavailable:
                assert not fits
        elif act == "recount":
            counted = dice.randrange(4)
            try:
                recount_stock(shop_id=row.owner_id, stock_row_id=row.pk, counted=counted, note="x", acting=STAFF)
                assert counted >= max(away.values(), default=0)
                units = counted
            except StockBooked:
                assert counted < max(away.values())
        elif active:
            placed, days, quantity = active.pop(dice.randrange(len(active)))
            if act == "commit":
                end(row, placed, commit_hold)
                continue
            if act == "release":
                end(row, placed)
            else:
                Hold.objects.filter(pk=placed.hold_id).update(expires_at=timezone.now() - timedelta(seconds=1))
                run_once(now=timezone.now(), limit=10)
            away.subtract(dict.fromkeys(days, quantity))
    assert booked(row) == {at: count for at, count in away.items() if count}
    assert verify_stock(owner_id=row.owner_id).clean


def test_a_crowd_never_books_more_than_there_is(transactional_db: None) -> None:
    """Overlapping periods of two articles, placed and given back by threads on connections of their own."""
    rows = [StockRowFactory(on_hand=2)]
    rows.append(StockRowFactory(owner=rows[0].owner, on_hand=3))
    kept: list[tuple[Any, list[Line]]] = []

    def customer(seed: int) -> None:
        dice = random.Random(seed)
        try:
            for _ in range(12):
                chosen = dice.sample(rows, dice.randrange(1, 3))
                lines = [
                    wish(row, first, first + dice.randrange(5), dice.randrange(1, 3))
                    for row in chosen
                    for first in [dice.randrange(12)]
                ]
                try:
                    placed = book(rows[0], 0, 0, lines=lines)
                except (RentalUnavailable, InventoryBusy):
                    continue
                ending = dice.random()
                if ending < 0.4:
                    end(rows[0], placed)
                    continue
                if ending < 0.7:
                    end(rows[0], placed, commit_hold)
                kept.append((placed, lines))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(customer, range(8)))
    for row in rows:
        out: Counter[int] = Counter()
        for _, lines in kept:
            for line in lines:
                if line.variant_key == row.variant_key and line.starts and line.ends:
                    for number in range((line.starts - MONDAY).days, (line.ends - MONDAY).days + 1):
                        out[number] += line.quantity
        assert booked(row) == out
        assert out and max(out.values()) <= row.on_hand
    assert verify_stock().clean
