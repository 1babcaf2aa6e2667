"""A person's word about whose an object is, taken back while nothing has come of it."""

from __future__ import annotations

import pytest

from tenants.audit import Actor
from tenants.errors import NotFound
from tenants.models import AuditEntry, StripeObject
from tenants.staff import EVERY_SHOP, StaffScope
from tests.commerce.backoffice import desk, text
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from tests.webhooks.deliver import deliver, event
from tests.webhooks.test_dead_letters import dead_letter
from webhooks.dead_letters import NotReplayable, associate_event
from webhooks.dissociation import Dissociation, dissociate_event
from webhooks.models import StripeEvent

STAFF = Actor("staff", "olga")


def given_to(row: StripeEvent, shop_id: str) -> str:
    done = associate_event(event_pk=row.pk, shop_id=shop_id, scope=EVERY_SHOP, reason="I think so", acting=STAFF)
    return done.outcome


def taken_back(row: StripeEvent, scope: StaffScope = EVERY_SHOP) -> Dissociation:
    return dissociate_event(event_pk=row.pk, scope=scope, reason="The wrong shop", acting=STAFF)


def facts() -> list[tuple[str, str, str | None]]:
    return list(StripeEvent.objects.order_by("pk").values_list("event_id", "status", "shop_id"))


def test_a_wrong_shop_is_taken_back_and_the_right_one_named(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    row, session = dead_letter(trade, standin)
    assert given_to(row, "other") == "deferred", "no checkout of theirs is behind it"
    # Placed through it: the payment of the same session, whose own object the map learns.
    intent = {"id": "pi_x", "object": "charge", "payment_intent": session["id"], "metadata": {}}
    deliver(event("charge.refunded", intent | {"id": "ch_x"}, event_id="evt_2"))
    StripeEvent.objects.filter(event_id="evt_2").update(status="failed")
    assert facts() == [("evt_1", "failed", "other"), ("evt_2", "failed", "other")]
    assert taken_back(row) == Dissociation(session["id"], "other", 2)
    assert facts() == [("evt_1", "dead", None), ("evt_2", "dead", None)]
    assert not StripeObject.objects.filter(shop_id="other").exists()
    entry = AuditEntry.objects.get(action="event.dissociate")
    assert (entry.shop_id, entry.actor_name, entry.reason, entry.data) == (
        "other", "olga", "The wrong shop", {"account": "acct_standin", "object": session["id"], "unplaced": 2},
    )  # fmt: skip
    assert given_to(row, "band") == "processed"
    assert trade.facts()["orders"] == ["confirmed"]


def test_what_was_processed_under_it_stays(trade: Trade, standin: StandIn) -> None:
    row, _ = dead_letter(trade, standin)
    assert given_to(row, "band") == "processed"
    before, known = trade.facts(), StripeObject.objects.count()
    with pytest.raises(NotReplayable, match="evt_1: processed for band"):
        taken_back(row)
    assert (trade.facts(), StripeObject.objects.count()) == (before, known)
    assert not AuditEntry.objects.filter(action="event.dissociate").exists()


def test_a_later_event_that_was_processed_holds_it_too(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    row, session = dead_letter(trade, standin)
    given_to(row, "other")
    deliver(event("charge.updated", {"id": "ch_x", "payment_intent": session["id"], "metadata": {}}, event_id="evt_2"))
    assert facts()[1] == ("evt_2", "processed", "other")
    with pytest.raises(NotReplayable, match="evt_2: processed for other"):
        taken_back(row)


def test_what_nobody_said_is_not_taken_back(trade: Trade, standin: StandIn) -> None:
    row, session = dead_letter(trade, standin)
    with pytest.raises(NotReplayable, match="Nobody has said"):
        taken_back(row)
    StripeObject.objects.create(
        livemode=False, account="acct_standin", object_id=session["id"], kind="x", shop_id="band", source="checkout"
    )
    StripeEvent.objects.update(status="failed", shop_id="band")
    with pytest.raises(NotReplayable, match="Nobody has said"):
        taken_back(row)
    with pytest.raises(NotFound):
        taken_back(row, StaffScope(frozenset({"other"})))


def test_the_page_says_what_it_does_and_asks_why(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    row, session = dead_letter(trade, standin)
    owner = desk()
    assert "Nobody has said by hand" in owner.do(StripeEvent, "dissociate", row)
    given_to(row, "other")
    asked = owner.ask(StripeEvent, "dissociate", row)
    assert f"{session['id']} is not other's any more" in text(asked)
    owner.confirm(StripeEvent, "dissociate", asked)
    assert facts() == [("evt_1", "failed", "other")], "without a reason nothing happens"
    done = owner.confirm(StripeEvent, "dissociate", asked, reason="The wrong shop")
    assert "Events of no known shop: 1." in text(done)
    given_to(row, "band")
    assert "Processed for band already: evt_1." in owner.do(StripeEvent, "dissociate", row)
