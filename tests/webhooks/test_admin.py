"""Stripe events in the back office: found, read without secrets, replayed; and their place in an order's story."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.models import Order
from tenants.models import AuditEntry, StripeObject
from tests.commerce.backoffice import address, desk, html, queries, text
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from tests.webhooks.deliver import deliver, event
from webhooks.models import StripeEvent

COMPLETED, EXPIRED = "checkout.session.completed", "checkout.session.expired"


def pay(trade: Trade, standin: StandIn) -> dict[str, Any]:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.pay(session_id)
    return standin.session(session_id)


def receive(trade: Trade, standin: StandIn, event_id: str = "evt_1") -> StripeEvent:
    deliver(event(COMPLETED, pay(trade, standin), event_id=event_id))
    return StripeEvent.objects.get(event_id=event_id)


def die(trade: Trade, standin: StandIn, event_id: str = "evt_dead") -> StripeEvent:
    """A dead letter whose object the map has learnt since."""
    session = pay(trade, standin)
    StripeObject.objects.filter(object_id__in=[session["id"], session["payment_intent"]]).delete()
    deliver(event(COMPLETED, {**session, "metadata": {}}, event_id=event_id))
    StripeObject.objects.create(
        livemode=False, account="acct_standin", object_id=session["id"], kind="checkout.session", shop=trade.shop,
        source="staff",
    )  # fmt: skip
    return StripeEvent.objects.get(event_id=event_id)


def test_pages_need_as_many_queries_for_three_rows_as_for_one(trade: Trade, standin: StandIn) -> None:
    owner, row = desk(), receive(trade, standin)
    visits = (lambda: owner.list(StripeEvent), lambda: owner.page(row))
    once = [queries(visit) for visit in visits]
    receive(trade, standin, "evt_2")
    receive(trade, standin, "evt_3")
    deliver(row.payload)
    assert (once, [queries(visit) for visit in visits]) == ([8, 8], [8, 8])


def test_an_event_is_found_by_its_id_and_its_objects(trade: Trade, standin: StandIn) -> None:
    row, _ = receive(trade, standin), receive(trade, standin, "evt_2")
    owner = desk()
    for key in ("evt_1", row.object_id, f" {row.object_id} "):
        assert list(owner.list(StripeEvent, q=key).context["cl"].result_list) == [row], key
    assert list(owner.list(StripeEvent, q="evt_").context["cl"].result_list) == []


def test_lists_are_filtered(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    mine, others, dead = receive(trade, standin), receive(other_trade, standin, "evt_2"), die(trade, standin)
    deliver(event("person.updated", {"id": "person_1", "object": "person"}, event_id="evt_other"))
    ignored = StripeEvent.objects.get(event_id="evt_other")
    owner = desk()

    def listed(**query: str) -> list[StripeEvent]:
        return list(owner.list(StripeEvent, **query).context["cl"].result_list)

    assert listed() == [ignored, dead, others, mine]
    assert listed(status__exact="dead") == [dead]
    assert listed(shop__id__exact="band") == [mine]
    assert listed(of=COMPLETED) == [dead, others, mine] and listed(of="other") == [ignored]
    assert listed(account="acct_standin") == [ignored, dead, others, mine]
    letters = owner.client.get("/admin/webhooks/stripeevent/view-dead/", follow=True)
    assert list(letters.context["cl"].result_list) == [dead]


def test_the_page_shows_payload_and_deliveries_without_the_person(trade: Trade, standin: StandIn) -> None:
    row = receive(trade, standin)
    deliver(row.payload, host="band.localhost")
    page = desk().page(row)
    shown = text(page)
    for hidden in ("ada@example.test", "Robin", "94107"):
        assert hidden not in html(page)
    order = Order.objects.get()
    assert f'href="/admin/commerce/order/{order.pk}/change/"' in html(page)
    assert '"email": "•••"' in shown and f'"order_id": "{order.pk}"' in shown
    assert "hooks.localhost - processed" in shown and "band.localhost Band duplicate" in shown


def test_an_event_without_an_order_has_a_page_too(trade: Trade, standin: StandIn) -> None:
    for number, metadata in enumerate(({}, {"order_id": "nonsense"}, {"order_id": None}, None, "text")):
        named = {"id": f"cs_{number}", "object": "checkout.session", "metadata": metadata}
        deliver(event(COMPLETED, named, event_id=f"evt_{number}"))
    StripeEvent.objects.update(shop=trade.shop)
    owner = desk()
    for row in StripeEvent.objects.all():
        assert "Order –" in text(owner.page(row)), row.payload


def test_another_shops_order_is_never_linked(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    receive(trade, standin)
    theirs = Order.objects.get(shop=trade.shop)
    named = {"id": "pi_x", "object": "payment_intent", "metadata": {"order_id": str(theirs.pk)}}
    deliver(event("payment_intent.created", named, event_id="evt_2"))
    StripeEvent.objects.filter(event_id="evt_2").update(shop=other_trade.shop)
    assert str(theirs.pk) not in html(desk().page(StripeEvent.objects.get(event_id="evt_2"))).partition("<pre")[0]


def test_replay_asks_for_a_reason_works_and_is_audited(trade: Trade, standin: StandIn) -> None:
    row = die(trade, standin)
    owner = desk()
    asked = owner.ask(StripeEvent, "replay", row)
    assert "handled as if it had just arrived. Last time: No metadata" in text(asked)
    refused = owner.confirm(StripeEvent, "replay", asked, reason="")
    assert trade.facts()["orders"] == ["pending"] and "This field is required" in text(refused)
    assert "Processed for band." in text(owner.confirm(StripeEvent, "replay", asked, reason="The map knows it now"))
    assert trade.facts()["orders"] == ["confirmed"]
    entry = AuditEntry.objects.get(action="event.replay")
    assert (entry.actor_name, entry.reason, entry.object_id) == ("owner", "The map knows it now", "evt_dead")


def test_many_are_replayed_each_with_its_outcome(trade: Trade, standin: StandIn) -> None:
    done, dead = receive(trade, standin), die(trade, standin)
    deliver(event(COMPLETED, {"id": "cs_lost", "object": "checkout.session"}, event_id="evt_lost"))
    lost = StripeEvent.objects.get(event_id="evt_lost")
    outcome = desk().do(StripeEvent, "replay", done, dead, lost, reason="After the outage")
    assert "1 done, 2 left as they were." in outcome
    for said in (
        "The event is processed: there is nothing to replay.", "Processed for band.",
        "Still a dead letter. No metadata",
    ):  # fmt: skip
        assert said in outcome
    assert sorted(AuditEntry.objects.filter(action="event.replay").values_list("object_id", flat=True)) == [
        "evt_dead", "evt_lost",
    ]  # fmt: skip


def test_staff_without_the_permission_replay_nothing(trade: Trade, standin: StandIn) -> None:
    row = die(trade, standin)
    clerk = desk("webhooks.view_stripeevent")
    assert "Replay" not in text(clerk.page(row))
    assert clerk.client.get(f"/admin/webhooks/stripeevent/{row.pk}/act-replay/").status_code == 403
    assert clerk.client.post(address(StripeEvent, "act", "replay"), {"reason": "Because"}).status_code == 403
    assert trade.facts()["orders"] == ["pending"]


def unplaced(trade: Trade, standin: StandIn) -> StripeEvent:
    """A dead letter whose object nobody knows."""
    row = die(trade, standin)
    StripeObject.objects.all().delete()
    return row


def test_a_dead_letter_is_given_to_a_shop_in_three_clicks(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    row, owner = unplaced(trade, standin), desk()
    letters = owner.client.get("/admin/webhooks/stripeevent/view-unplaced/", follow=True)  # 1: the saved view
    assert list(letters.context["cl"].result_list) == [row]
    asked = owner.ask(StripeEvent, "associate", row)  # 2: the action
    assert "becomes the chosen shop's, and the event is handled at once" in text(asked)
    for missing in ({"shop": "band"}, {"reason": "Theirs"}, {"shop": "nowhere", "reason": "Theirs"}):
        owner.confirm(StripeEvent, "associate", asked, **missing)
        assert trade.facts()["orders"] == ["pending"]
    done = owner.confirm(StripeEvent, "associate", asked, shop="band", reason="In their books")  # 3: confirmed
    assert "Processed for band." in text(done)
    assert trade.facts()["orders"] == ["confirmed"]
    again = owner.do(StripeEvent, "associate", row, shop="band", reason="Once more")
    assert "Only dead letters that no shop could be found for" in again or "Its shop is known." in again


def test_a_dry_run_is_read_in_the_back_office(trade: Trade, standin: StandIn) -> None:
    row, owner = die(trade, standin), desk()
    said = owner.do(StripeEvent, "rehearse", row)
    assert "It is band's, by its object. Stripe says of the session that it is paid." in said
    assert trade.facts()["orders"] == ["pending"]


def test_other_api_versions_are_seen(trade: Trade, standin: StandIn) -> None:
    deliver(event(COMPLETED, pay(trade, standin), event_id="evt_1", api_version="2020-08-27"))
    receive(trade, standin, "evt_2")
    owner, row = desk(), StripeEvent.objects.get(event_id="evt_1")
    found = owner.client.get("/admin/webhooks/stripeevent/view-version/", follow=True)
    assert list(found.context["cl"].result_list) == [row] and "API 2020-08-27" in text(found)
    assert "not the 2026-10-28.endive that is read here" in text(owner.page(row))


def test_strangers_see_nothing(trade: Trade, standin: StandIn) -> None:
    row = receive(trade, standin)
    clerk = desk("commerce.view_order")
    assert (clerk.list(StripeEvent).status_code, clerk.page(row).status_code) == (403, 403)


def test_an_orders_story_has_its_events_and_every_delivery(trade: Trade, standin: StandIn) -> None:
    row = receive(trade, standin)
    deliver(row.payload, host="band.localhost")
    order = Order.objects.get()
    intent = {"id": order.payment_intent_id, "object": "payment_intent"}
    deliver(event("payment_intent.created", intent, event_id="evt_2"))
    shown = text(desk().page(order))
    steps = (
        "Session opened at Stripe", f"{COMPLETED} processed on hooks.localhost", "Order confirmed",
        f"Again: {COMPLETED} duplicate on band.localhost", "payment_intent.created ignored on hooks.localhost",
    )  # fmt: skip
    places = [shown.find(step) for step in steps]
    assert -1 not in places and places == sorted(places), list(zip(steps, places, strict=True))


def test_an_empty_list_says_what_would_fill_it(trade: Trade) -> None:
    assert "No event has come in yet." in text(desk().list(StripeEvent))


@pytest.mark.parametrize("error", ["Reach ada@example.test", "x" * 3000])
def test_errors_are_short_in_the_list_and_masked_everywhere(trade: Trade, standin: StandIn, error: str) -> None:
    row = die(trade, standin)
    StripeEvent.objects.filter(pk=row.pk).update(error=error)
    owner = desk()
    for answer in (owner.list(StripeEvent), owner.page(row), owner.ask(StripeEvent, "replay", row)):
        assert "ada@example.test" not in html(answer)
    assert "x" * 100 not in text(owner.list(StripeEvent))
