"""Holds in the back office (A3): seen by staff, ended and extended by the same rules as everywhere."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from inventory.models import Hold
from tenants.models import AuditEntry
from tests.factories.inventory import StockRowFactory
from tests.inventory.desk import HOLDS, STOCK, act, ask, held_by_a_checkout, queries, text_of
from tests.inventory.steps import counters, place

pytestmark = pytest.mark.django_db


def test_the_hold_list(staff):
    row = StockRowFactory(on_hand=10)
    active = place(row, 3, key="active", now=timezone.now())
    overdue = place(row, 1, key="overdue", held_for="checkout", now=timezone.now() - timedelta(hours=1))

    page = text_of(staff.get(HOLDS))
    assert f"3 × {row.variant_key}" in page
    assert "in 19 min" in page
    assert "40 min ago" in page

    def found(query):
        page = text_of(staff.get(f"{HOLDS}?{query}"))
        return [hold.hold_id for hold in (active, overdue) if f"{HOLDS}{hold.hold_id}/change/" in page]

    assert found("time=overdue") == [overdue.hold_id]
    assert found("held_for__exact=direct") == [active.hold_id]
    assert found("status__exact=released") == []
    assert found(f"q={active.hold_id}") == [active.hold_id]
    assert found("q=overdue") == [overdue.hold_id]
    assert found("q=nothing") == []
    assert found(f"shop__id__exact={row.owner_id}") == [active.hold_id, overdue.hold_id]


def test_releasing_extending_committing(staff):
    row = StockRowFactory(on_hand=10)
    given, longer, sold = (place(row, 2, key=key, now=timezone.now()) for key in ("given", "longer", "sold"))
    hold = {placed.hold_id: Hold.objects.get(pk=placed.hold_id) for placed in (given, longer, sold)}

    assert f"2 × {row.variant_key} go back on sale at once." in ask(staff, HOLDS, "release", hold[given.hold_id])
    assert "Now released." in act(staff, HOLDS, "release", hold[given.hold_id], reason="Customer called")
    assert "Held until" in act(staff, HOLDS, "extend", hold[longer.hold_id], ttl_seconds="3600", reason="On the phone")
    assert "leave the stock as sold" in ask(staff, HOLDS, "commit", hold[sold.hold_id])
    assert "Now committed." in act(staff, HOLDS, "commit", hold[sold.hold_id], reason="Paid in cash")

    assert counters(row) == [(8, 2, 6)]
    assert Hold.objects.get(pk=longer.hold_id).ttl_seconds == 3600
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "reason", "actor_name")) == [
        ("hold.released", "Customer called", "ada"),
        ("hold.extended", "On the phone", "ada"),
        ("hold.committed", "Paid in cash", "ada"),
    ]
    assert "It is committed already." in ask(staff, HOLDS, "release", hold[sold.hold_id])


def test_a_checkouts_hold_is_left_to_its_checkout(staff, guard):
    row = StockRowFactory(on_hand=10)
    placed = place(row, 2, held_for="checkout", now=timezone.now())
    guard.owned = {placed.hold_id}
    hold = Hold.objects.get()
    for name in ("release", "commit"):
        page = ask(staff, HOLDS, name, hold)
        assert "A checkout owns this hold" in page
        assert "Nothing can be done here" in page
    assert counters(row) == [(10, 2, 8)]


def test_a_holds_page(staff):
    row = StockRowFactory()
    placed = place(row, 2, now=timezone.now())
    page = text_of(staff.get(f"{HOLDS}{placed.hold_id}/change/"))
    for word in (str(placed.hold_id), row.variant_key, "Active", "act-release", "act-extend", "act-commit"):
        assert word in page
    assert f'href="{STOCK}{row.pk}/change/"' in page, "the items lead to their stock"
    assert "Placed directly" in page
    assert "The reaper puts the units back on sale" in page
    assert queries(staff, f"{HOLDS}{placed.hold_id}/change/") == 9


def test_what_stands_behind_a_hold_and_how_long_it_can_be_extended(staff, guard):
    row = StockRowFactory()
    placed = held_by_a_checkout(guard, row, 2)
    hold = Hold.objects.get(pk=placed.hold_id)
    page = text_of(staff.get(f"{HOLDS}{placed.hold_id}/change/"))
    assert "cs_test_checkout" in page
    assert "Its session is made unpayable." in page
    assert f'href="/admin/tenants/shop/{row.owner_id}/change/"' in page
    asked = ask(staff, HOLDS, "extend", hold)
    assert f"2 × {row.variant_key} stay held for as long from now as you enter, but not beyond 20" in asked

    guard.session_ends[placed.hold_id] = timezone.now() + timedelta(minutes=30)
    refused = act(staff, HOLDS, "extend", hold, ttl_seconds="3600", reason="On the phone")
    assert "A checkout owns this hold" in refused
    assert Hold.objects.get().expires_at == placed.expires_at


def test_a_hold_that_has_ended_says_how(staff):
    row = StockRowFactory()
    placed = place(row, 2, now=timezone.now())
    act(staff, HOLDS, "release", Hold.objects.get(pk=placed.hold_id), reason="Customer called")
    page = text_of(staff.get(f"{HOLDS}{placed.hold_id}/change/"))
    for word in ("Released", "staff:ada", "Customer called"):
        assert word in page
    assert "When its time is up" not in page
