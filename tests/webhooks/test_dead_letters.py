"""Dead letters: replayed, associated with a shop, placed by themselves, tried dry."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from commerce.models import Order
from tenants.audit import Actor
from tenants.errors import NotFound
from tenants.models import AuditEntry, StripeObject
from tenants.staff import EVERY_SHOP, StaffScope
from tests.fixtures.sampling import some
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade, in_threads
from tests.webhooks.deliver import deliver, event
from webhooks import inbox
from webhooks.dead_letters import NotReplayable, associate_event, replay_event
from webhooks.dispatch import FORETOLD, HANDLERS
from webhooks.models import StripeEvent
from webhooks.rehearsal import rehearse_event

STAFF = Actor("staff", "olga")
COMPLETED = "checkout.session.completed"


def paid_session(trade: Trade, standin: StandIn) -> dict[str, Any]:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.pay(session_id)
    return standin.session(session_id)


def forget_owner(session: dict[str, Any]) -> dict[str, Any]:
    """A session that names no shop and that the map doesn't know."""
    StripeObject.objects.all().delete()
    return {**session, "metadata": {}}


def dead_letter(trade: Trade, standin: StandIn) -> tuple[StripeEvent, dict[str, Any]]:
    """An event that nobody could place when it came."""
    session = paid_session(trade, standin)
    assert deliver(event(COMPLETED, forget_owner(session))).status_code == 503
    return StripeEvent.objects.get(), session


def own(session: dict[str, Any], shop_id: str = "band") -> None:
    StripeObject.objects.create(
        livemode=False, account="acct_standin", object_id=session["id"], kind="checkout.session", shop_id=shop_id,
        source="staff",
    )  # fmt: skip


def replay(row: StripeEvent) -> tuple[str, str | None]:
    done = replay_event(event_pk=row.pk, scope=EVERY_SHOP, reason="The map knows it now", acting=STAFF)
    return done.outcome, done.shop_id


def test_a_dead_letter_is_resolved_again_and_handled(trade: Trade, standin: StandIn) -> None:
    row, session = dead_letter(trade, standin)
    assert (row.status, row.shop_id) == ("dead", None)
    own(session)
    assert replay(row) == ("processed", "band")
    assert trade.facts()["orders"] == ["confirmed"] and trade.facts()["captured"] == 2500
    row.refresh_from_db()
    assert (row.status, row.shop_id, row.resolved_by, row.error, row.attempts) == ("processed", "band", "object", "", 1)
    entry = AuditEntry.objects.get(action="event.replay")
    assert (entry.actor_name, entry.object_type, entry.object_id, entry.shop_id, entry.reason, entry.data) == (
        "olga", "stripe_event", "evt_1", "band", "The map knows it now",
        {"type": COMPLETED, "account": "acct_standin", "was": "dead", "resolved_by": "object"},
    )  # fmt: skip


def test_what_still_names_no_shop_stays_dead_and_says_so(trade: Trade, standin: StandIn) -> None:
    row, _ = dead_letter(trade, standin)
    before = trade.facts()
    done = replay_event(event_pk=row.pk, scope=EVERY_SHOP, reason="Just trying", acting=STAFF)
    assert (done.outcome, done.shop_id) == ("dead", None) and "No metadata" in done.reason
    row.refresh_from_db()
    assert (row.status, row.error, row.attempts) == ("dead", done.reason, 0)
    assert trade.facts() == before
    assert AuditEntry.objects.get(action="event.replay").shop_id is None


def test_contradictions_are_never_processed(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    session = paid_session(trade, standin)
    StripeObject.objects.all().delete()
    own(session, "other")
    assert deliver(event(COMPLETED, session)).status_code == 403
    row = StripeEvent.objects.get()
    done = replay_event(event_pk=row.pk, scope=EVERY_SHOP, reason="Whose is it", acting=STAFF)
    assert (done.outcome, done.reason) == ("dead", "Metadata says band, the map says other.")
    assert trade.facts()["orders"] == ["pending"]


def test_a_failed_event_is_replayed_at_once(trade: Trade, standin: StandIn) -> None:
    session = paid_session(trade, standin)
    standin.fault(path="/v1/checkout/sessions", kind="status", status=500, method="GET")
    deliver(event(COMPLETED, session))
    row = StripeEvent.objects.get()
    assert (row.status, row.attempts) == ("failed", 1)
    assert replay(row) == ("processed", "band")
    row.refresh_from_db()
    assert (row.status, row.attempts, row.next_attempt_at) == ("processed", 2, None)


def test_a_replay_that_fails_keeps_its_reason(trade: Trade, standin: StandIn) -> None:
    session = paid_session(trade, standin)
    standin.fault(path="/v1/checkout/sessions", kind="status", status=500, method="GET", times=2)
    deliver(event(COMPLETED, session))
    row = StripeEvent.objects.get()
    done = replay_event(event_pk=row.pk, scope=EVERY_SHOP, reason="Is Stripe back", acting=STAFF)
    assert done.outcome == "deferred" and "APIError" in done.reason
    StripeEvent.objects.filter(pk=row.pk).update(status="dead", attempts=inbox.MOST_ATTEMPTS, next_attempt_at=None)
    standin.fault(path="/v1/checkout/sessions", kind="status", status=500, method="GET")
    assert replay(row)[0] == "dead"
    row.refresh_from_db()
    assert (row.status, row.next_attempt_at) == ("dead", None)


@pytest.mark.parametrize("status", ["processed", "ignored", "processing"])
def test_what_needs_no_replay_gets_none(trade: Trade, standin: StandIn, status: str) -> None:
    row, session = dead_letter(trade, standin)
    own(session)
    StripeEvent.objects.filter(pk=row.pk).update(status=status, next_attempt_at=timezone.now() + inbox.LEASE)
    before = trade.facts()
    with pytest.raises(NotReplayable):
        replay(row)
    assert trade.facts() == before
    assert not AuditEntry.objects.filter(action="event.replay").exists()


def test_an_unknown_event_is_not_found(transactional_db: None) -> None:
    with pytest.raises(NotFound):
        replay_event(event_pk=1, scope=EVERY_SHOP, reason="Which one", acting=STAFF)


def test_a_type_that_nobody_handles_is_ignored(trade: Trade, standin: StandIn) -> None:
    row, _ = dead_letter(trade, standin)
    StripeEvent.objects.filter(pk=row.pk).update(type="person.updated")
    assert replay(row) == ("ignored", None)
    row.refresh_from_db()
    assert (row.status, row.error) == ("ignored", "")


def test_replays_at_the_same_moment_apply_once(trade: Trade, standin: StandIn) -> None:
    row, session = dead_letter(trade, standin)
    own(session)
    results = in_threads([lambda: replay(row) for _ in range(4)])
    outcomes = [result[0] if isinstance(result, tuple) else type(result).__name__ for result in results]
    assert outcomes.count("processed") == 1
    assert set(outcomes) <= {"processed", "processing", "NotReplayable"}
    assert trade.facts()["captured"] == 2500 and trade.facts()["sales"] == 1


# ---------------------------------------------------------------- associated by a person
def associate(row: StripeEvent, shop_id: str = "band", scope: StaffScope = EVERY_SHOP) -> tuple[str, str | None]:
    done = associate_event(event_pk=row.pk, shop_id=shop_id, scope=scope, reason="It is in their books", acting=STAFF)
    return done.outcome, done.shop_id


def test_a_person_says_whose_it_is_and_it_is_handled(trade: Trade, standin: StandIn) -> None:
    row, session = dead_letter(trade, standin)
    assert associate(row) == ("processed", "band")
    assert trade.facts()["orders"] == ["confirmed"]
    known = StripeObject.objects.get(object_id=session["id"])
    assert (known.shop_id, known.source) == ("band", "staff")
    entry = AuditEntry.objects.get(action="event.associate")
    assert (entry.actor_name, entry.object_id, entry.shop_id, entry.reason, entry.data["object"]) == (
        "olga", "evt_1", "band", "It is in their books", session["id"],
    )  # fmt: skip
    # What comes later about the same object needs nobody.
    later = event(COMPLETED, forget_metadata(session), event_id="evt_2")
    assert deliver(later).json()["outcome"] == "processed"


def forget_metadata(session: dict[str, Any]) -> dict[str, Any]:
    return {**session, "metadata": {}}


def test_nobody_is_given_what_is_not_theirs(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    row, _ = dead_letter(trade, standin)
    for shop_id, scope in (("nowhere", EVERY_SHOP), ("band", StaffScope(frozenset({"other"})))):
        with pytest.raises(NotFound):
            associate(row, shop_id, scope)
    with pytest.raises(NotFound):
        associate(row, "other", StaffScope(frozenset({"other"})))  # an event of no shop is the platform's
    # Given to the wrong shop, the event finds no checkout there: nothing is sold, and it says why.
    outcome, _ = associate(row, "other")
    assert outcome == "deferred"
    assert (trade.facts()["orders"], other_trade.facts()["orders"]) == (["pending"], [])


def test_contradictions_are_not_settled_by_one_more_word(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    session = paid_session(trade, standin)
    StripeObject.objects.all().delete()
    own(session, "other")
    deliver(event(COMPLETED, session))
    row = StripeEvent.objects.get()
    with pytest.raises(NotReplayable, match="Metadata says band"):
        associate(row)
    assert StripeObject.objects.get().shop_id == "other"
    assert not AuditEntry.objects.filter(action="event.associate").exists()


def test_what_is_no_dead_letter_is_not_associated(trade: Trade, standin: StandIn) -> None:
    row, session = dead_letter(trade, standin)
    own(session)
    replay(row)
    with pytest.raises(NotReplayable, match="shop is known"):
        associate(row)
    deliver(event(COMPLETED, {"object": "checkout.session"}, event_id="evt_2"))
    with pytest.raises(NotReplayable, match="no object"):
        associate(StripeEvent.objects.get(event_id="evt_2"))


# ---------------------------------------------------------------- placed by itself, for a day
def test_a_dead_letter_is_placed_as_soon_as_its_shop_is_known(trade: Trade, standin: StandIn) -> None:
    row, session = dead_letter(trade, standin)
    later = timezone.now() + timedelta(minutes=2)
    assert inbox.sweep_once(now=later).processed == 0
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("dead", 0) and row.next_attempt_at is not None
    own(session)
    assert inbox.sweep_once(now=row.next_attempt_at).processed == 1
    assert trade.facts()["orders"] == ["confirmed"]


def test_after_a_day_it_waits_for_a_person(trade: Trade, standin: StandIn) -> None:
    row, session = dead_letter(trade, standin)
    StripeEvent.objects.update(received_at=timezone.now() - timedelta(days=2))
    assert inbox.sweep_once(now=timezone.now() + timedelta(minutes=2)).found == 1
    row.refresh_from_db()
    assert (row.status, row.next_attempt_at) == ("dead", None)
    own(session)
    assert inbox.sweep_once(now=timezone.now() + timedelta(days=2)).found == 0
    assert replay(row) == ("processed", "band")


# ---------------------------------------------------------------- dry run
def rehearse(row: StripeEvent, scope: StaffScope = EVERY_SHOP) -> str:
    return rehearse_event(event_pk=row.pk, scope=scope)


def test_a_dry_run_says_what_would_come_of_it_and_writes_nothing(trade: Trade, standin: StandIn) -> None:
    row, session = dead_letter(trade, standin)
    assert rehearse(row) == "It would be a dead letter. No metadata, no known object, no account of one shop."
    own(session)
    before, rows = trade.facts(), list(StripeEvent.objects.values())
    number = Order.objects.get().number
    assert rehearse(row) == (
        "It is band's, by its object. Stripe says of the session that it is paid. "
        f"Order {number} is waiting for payment, and would become confirmed if its stock can still be had, else it "
        "would need review."
    )
    assert (trade.facts(), list(StripeEvent.objects.values())) == (before, rows)
    replay(row)
    assert rehearse(row).endswith(f"Order {number} is confirmed, and stays so.")
    standin.fault(path="/v1/checkout/sessions", method="GET", kind="drop_before")
    assert "It would fail: Stripe can't be read" in rehearse(row)


@pytest.mark.parametrize("type_", some(sorted(name for name, handler in HANDLERS.items() if handler in FORETOLD), 8))
def test_a_dry_run_of_anything_writes_nothing(trade: Trade, standin: StandIn, type_: str) -> None:
    nothing = {"id": "x_1", "object": "thing", "metadata": {"shop_id": "band"}}
    deliver(event(type_, nothing))
    row = StripeEvent.objects.get()
    before = list(StripeEvent.objects.values())
    said = rehearse(row)
    assert said.startswith("It is band's, by its metadata. ") and (
        "would fail" in said or "nothing would change" in said
    )
    assert list(StripeEvent.objects.values()) == before


def test_a_dry_run_is_for_those_who_may_see_the_event(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    deliver(event(COMPLETED, paid_session(trade, standin)))
    row = StripeEvent.objects.get()
    with pytest.raises(NotFound):
        rehearse(row, StaffScope(frozenset({"other"})))
    assert "stays so" in rehearse(row, StaffScope(frozenset({"band"})))
    StripeEvent.objects.update(type="person.updated")
    assert rehearse(row) == "It would be ignored: nothing here handles it."
