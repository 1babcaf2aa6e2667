"""Ending and extending holds (I3): one direction, repeats say so, a checkout's hold is refused."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction

from inventory.errors import HoldInCheckout, HoldNotActive, HoldNotFound
from inventory.holds import HoldState, commit_hold, extend_hold, finish_holds_within, place_hold, release_hold
from inventory.models import Hold, StockMovement
from tenants.errors import InvalidRequest, ShopExpired
from tenants.models import AuditEntry, Shop
from tests.factories.inventory import StockRowFactory
from tests.factories.tenants import ShopFactory
from tests.inventory.steps import API, NOW, STAFF, counters, line, place

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=5)


def release(row, hold, **more):
    return release_hold(
        shop_id=row.owner_id, hold_id=hold.hold_id, reason="changed mind", acting=STAFF, now=LATER, **more
    )


def commit(row, hold):
    return commit_hold(
        shop_id=row.owner_id, hold_id=hold.hold_id, reason="paid at the counter", acting=STAFF, now=LATER
    )


def sales(row):
    fields = ("delta", "on_hand_after", "reference", "actor", "note", "at")
    return list(StockMovement.objects.filter(stock_row=row, reason="sale").order_by("pk").values_list(*fields))


def test_release_gives_back():
    row = StockRowFactory()
    hold = place(row, 4)

    state = release(row, hold)

    assert state == HoldState(hold.hold_id, "released", hold.expires_at, changed=True)
    assert counters(row) == [(10, 0, 10)]
    assert sales(row) == []
    ended = Hold.objects.get()
    assert (ended.status, ended.finished_at, ended.finish_reason) == ("released", LATER, "changed mind")
    assert (ended.finished_by, ended.active_idempotency_key, ended.idempotency_key) == ("staff:ada", None, "k")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id, entry.reason) == ("hold.released", str(hold.hold_id), "changed mind")
    assert (entry.shop_id, entry.actor_kind, entry.actor_name) == (row.owner_id, "staff", "ada")


def test_commit_sells():
    first = StockRowFactory()
    second = StockRowFactory(owner=first.owner)
    hold = place(first, lines=[line(first, 4), line(second, 1)])

    state = commit(first, hold)

    assert state == HoldState(hold.hold_id, "committed", hold.expires_at, changed=True)
    assert counters(first, second) == [(6, 0, 6), (9, 0, 9)]
    reference = str(hold.hold_id)
    assert sales(first) == [(-4, 6, reference, "staff:ada", "paid at the counter", LATER)]
    assert sales(second) == [(-1, 9, reference, "staff:ada", "paid at the counter", LATER)]
    assert Hold.objects.get().active_idempotency_key == "k"


def test_a_committed_key_finds_its_hold_and_sells_nothing_twice():
    row = StockRowFactory()
    hold = place(row, 4)
    commit(row, hold)
    again = place(row, 4)
    assert (again.hold_id, again.status, again.idempotent_hit) == (hold.hold_id, "committed", True)
    assert counters(row) == [(6, 0, 6)]


@pytest.mark.parametrize("verb", [release, commit])
def test_a_repeat_says_that_it_changed_nothing(verb):
    row = StockRowFactory()
    hold = place(row, 4)
    first = verb(row, hold)
    before = counters(row)

    again = verb(row, hold)

    assert again == HoldState(hold.hold_id, first.status, hold.expires_at, changed=False)
    assert counters(row) == before
    assert AuditEntry.objects.count() == 1
    assert len(sales(row)) == (1 if verb is commit else 0)


@pytest.mark.parametrize(("first", "then", "status"), [(release, commit, "released"), (commit, release, "committed")])
def test_another_end_is_refused(first, then, status):
    row = StockRowFactory()
    hold = place(row, 4)
    first(row, hold)
    before = counters(row)
    with pytest.raises(HoldNotActive) as refused:
        then(row, hold)
    assert refused.value.members() == {"holdStatus": status}
    assert counters(row) == before


@pytest.mark.parametrize("verb", [release, commit])
def test_a_checkouts_hold_is_refused(guard, verb):
    row = StockRowFactory()
    hold = place(row, 4, held_for="checkout")
    guard.owned = {hold.hold_id}
    with pytest.raises(HoldInCheckout):
        verb(row, hold)
    assert guard.asked == [("finish", row.owner_id, hold.hold_id, "checkout")]
    assert counters(row) == [(10, 4, 6)]
    assert not AuditEntry.objects.exists()


def test_the_guard_is_not_asked_about_what_has_ended(guard):
    row = StockRowFactory()
    hold = place(row)
    release(row, hold)
    guard.owned = {hold.hold_id}
    assert release(row, hold).changed is False


@pytest.mark.parametrize("verb", [release, commit])
def test_another_shops_hold_is_not_there(verb):
    row, stranger = StockRowFactory(), StockRowFactory()
    hold = place(row)
    with pytest.raises(HoldNotFound):
        verb(stranger, hold)
    with pytest.raises(HoldNotFound):
        extend_hold(shop_id=ShopFactory().pk, hold_id=hold.hold_id, ttl_seconds=60, acting=API)
    with pytest.raises(HoldNotFound):
        release_hold(shop_id=row.owner_id, hold_id=uuid4(), reason="", acting=API)
    assert counters(row) == [(10, 1, 9)]


def test_extend_counts_from_now():
    row = StockRowFactory()
    hold = place(row, ttl_seconds=600)

    state = extend_hold(
        shop_id=row.owner_id, hold_id=hold.hold_id, ttl_seconds=3600, acting=STAFF, reason="on the phone", now=LATER
    )

    until = LATER + timedelta(seconds=3600)
    assert state == HoldState(hold.hold_id, "active", until, changed=True)
    assert Hold.objects.values_list("expires_at", "ttl_seconds").get() == (until, 3600)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.reason, entry.data) == ("hold.extended", "on the phone", {"until": until.isoformat()})
    assert counters(row) == [(10, 1, 9)]


def test_extend_repeated_at_the_same_moment_changes_nothing():
    row = StockRowFactory()
    hold = place(row, ttl_seconds=600)
    assert not extend_hold(shop_id=row.owner_id, hold_id=hold.hold_id, ttl_seconds=600, acting=API, now=NOW).changed


def test_extend_revives_an_overdue_hold_that_was_not_reaped():
    row = StockRowFactory()
    hold = place(row, ttl_seconds=60)
    assert extend_hold(shop_id=row.owner_id, hold_id=hold.hold_id, ttl_seconds=60, acting=API, now=LATER).changed


@pytest.mark.parametrize("ttl_seconds", [59, 3601, "60", True])
def test_extend_is_bounded(ttl_seconds):
    row = StockRowFactory()
    hold = place(row)
    with pytest.raises(InvalidRequest):
        extend_hold(shop_id=row.owner_id, hold_id=hold.hold_id, ttl_seconds=ttl_seconds, acting=API)


def test_extend_refuses_what_has_ended():
    row = StockRowFactory()
    hold = place(row)
    release(row, hold)
    with pytest.raises(HoldNotActive):
        extend_hold(shop_id=row.owner_id, hold_id=hold.hold_id, ttl_seconds=60, acting=API)


def test_a_closed_shop_gives_back_and_sells_but_extends_nothing():
    row = StockRowFactory()
    kept, sold = place(row, key="kept"), place(row, key="sold")
    Shop.objects.update(status="closed")
    with pytest.raises(ShopExpired):
        extend_hold(shop_id=row.owner_id, hold_id=kept.hold_id, ttl_seconds=60, acting=API)
    assert release(row, kept).changed
    assert commit(row, sold).changed


def test_extend_never_outlives_the_session(guard):
    row = StockRowFactory()
    hold = place(row, held_for="checkout")
    guard.session_ends = {hold.hold_id: LATER}
    with pytest.raises(HoldInCheckout):
        extend_hold(shop_id=row.owner_id, hold_id=hold.hold_id, ttl_seconds=600, acting=API, now=LATER)
    assert Hold.objects.get().expires_at == hold.expires_at


def test_many_holds_in_one_statement(django_assert_num_queries):
    """Two holds on one row: each movement tells what its own turn left."""
    row = StockRowFactory(on_hand=10)
    other = StockRowFactory(on_hand=10)
    holds = [place(row, 2, key="a"), place(row, 3, key="b"), place(other, 1, key="c"), place(row, 1, key="stays")]
    released = place(row, 1, key="released")
    release(row, released)
    ids = [hold.hold_id for hold in (*holds[:3], released)]

    with transaction.atomic(), django_assert_num_queries(1):
        changed = finish_holds_within(hold_ids=ids, outcome="committed", reason="paid", acting=API, now=LATER)

    assert changed == set(ids[:3]), "what had ended before isn't among them"
    assert counters(row, other) == [(5, 1, 4), (9, 0, 9)]
    assert [(delta, after) for delta, after, *_ in sales(row)] == [(-2, 8), (-3, 5)]


def test_nothing_to_end_costs_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert finish_holds_within(hold_ids=[], outcome="released", reason="", acting=API, now=NOW) == set()


@pytest.mark.parametrize("outcome", ["expired", "released"])
def test_an_ended_key_may_hold_again(outcome):
    row = StockRowFactory(on_hand=1)
    hold = place(row)
    finish_holds_within(hold_ids=[hold.hold_id], outcome=outcome, reason="", acting=API, now=LATER)
    again = place_hold(shop_id=row.owner_id, key="k", lines=[line(row)], ttl_seconds=60, acting=API)
    assert again.hold_id != hold.hold_id
    assert Hold.objects.get(pk=hold.hold_id).status == outcome
