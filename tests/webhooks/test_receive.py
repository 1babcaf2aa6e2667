"""Events over HTTP, signed as Stripe signs: stored first, resolved, handled once; nothing received is lost."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from django.utils import timezone
from prometheus_client import REGISTRY

from tenants.models import StripeObject
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade, in_threads
from tests.webhooks.deliver import deliver, event, signature
from webhooks import inbox
from webhooks.models import EventDelivery, StripeEvent

COMPLETED, EXPIRED = "checkout.session.completed", "checkout.session.expired"
ASYNC_OK, ASYNC_FAILED = "checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed"
CONFIRMED = {
    "on_hand": 9, "held": 0, "orders": ["confirmed"], "holds": ["committed"], "attempts": [("closed", "completed")],
    "sales": 1, "captured": 2500,
}  # fmt: skip


def paid_session(trade: Trade, standin: StandIn) -> dict[str, Any]:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.pay(session_id)
    return standin.session(session_id)


def rows() -> list[tuple[str, str, str | None, int]]:
    return list(StripeEvent.objects.order_by("event_id").values_list("event_id", "status", "shop_id", "attempts"))


@pytest.mark.parametrize("path", ["/api/stripe-webhook", "/api/billing/webhook"])
@pytest.mark.parametrize("host", ["hooks.localhost", "band.localhost"])
def test_a_completed_session_becomes_an_order(trade: Trade, standin: StandIn, host: str, path: str) -> None:
    answer = deliver(event(COMPLETED, paid_session(trade, standin)), host=host, path=path)
    assert (answer.status_code, answer.json()) == (
        200, {"received": True, "eventId": "evt_1", "outcome": "processed"},
    )  # fmt: skip
    assert trade.facts() == CONFIRMED
    assert rows() == [("evt_1", "processed", "band", 1)]
    assert list(EventDelivery.objects.values_list("host", "outcome")) == [(host, "processed")]


def test_duplicates_apply_once_also_at_the_same_moment(trade: Trade, standin: StandIn) -> None:
    payload = event(COMPLETED, paid_session(trade, standin))
    answers = in_threads([lambda: deliver(payload) for _ in range(8)])
    assert {a.status_code for a in answers} == {200}
    assert [a.json()["outcome"] for a in answers].count("processed") == 1
    assert deliver(payload).json()["outcome"] == "duplicate"
    assert trade.facts() == CONFIRMED
    assert (StripeEvent.objects.count(), EventDelivery.objects.count()) == (1, 9)


def test_twin_events_of_one_change_apply_once(trade: Trade, standin: StandIn) -> None:
    session = paid_session(trade, standin)
    assert deliver(event(COMPLETED, session, event_id="evt_1")).json()["outcome"] == "processed"
    assert deliver(event(COMPLETED, session, event_id="evt_2")).json()["outcome"] == "processed"
    assert trade.facts() == CONFIRMED


@pytest.mark.parametrize(
    "order", list(permutations([COMPLETED, ASYNC_OK, EXPIRED])), ids=lambda o: "-".join(x[17:20] for x in o)
)
def test_each_event_twice_in_any_order_ends_in_one_state(trade: Trade, standin: StandIn, order: Any) -> None:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    early = standin.session(session_id)
    standin.pay(session_id, method="bank_debit", settle="succeed")
    for number, type_ in enumerate(order):
        for _ in range(2):
            # The payload is as stale as a late delivery's: what counts is what Stripe says now.
            deliver(event(type_, early, event_id=f"evt_{number}"))
    assert trade.facts() == CONFIRMED
    assert {status for _, status, _, _ in rows()} == {"processed"}


def test_a_failed_delayed_payment_never_moves_a_confirmed_order_back(trade: Trade, standin: StandIn) -> None:
    session = paid_session(trade, standin)
    deliver(event(COMPLETED, session, event_id="evt_1"))
    deliver(event(ASYNC_FAILED, session, event_id="evt_2"))
    deliver(event(EXPIRED, session, event_id="evt_3"))
    assert trade.facts() == CONFIRMED


def test_an_event_before_our_own_record_of_the_session(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    standin.fault(path="/v1/checkout/sessions", kind="drop_after")
    buyer.checkout()
    session_id = standin.requests("/v1/checkout/sessions")[-1]["answer"]["id"]
    standin.pay(session_id)
    assert deliver(event(COMPLETED, standin.session(session_id))).json()["outcome"] == "processed"
    assert trade.facts() == CONFIRMED


BODY = b'{"id":"evt_1","type":"x","created":1,"livemode":false,"data":{"object":{"id":"cs_1"}}}'


BAD_SIGNATURES = {
    "none": lambda: "",
    "rubbish": lambda: "rubbish",
    "empty parts": lambda: "t=,v1=",
    "no number": lambda: "t=abc,v1=00",
    "zeroes": lambda: f"t={int(time.time())},v1=" + "0" * 64,
    "another secret": lambda: signature(BODY, secret="whsec_other"),
    "an hour ago": lambda: signature(BODY, at=int(time.time()) - 3600),
    "in an hour": lambda: signature(BODY, at=int(time.time()) + 3600),
    "another body": lambda: signature(BODY + b" "),
    "not ASCII": lambda: "t=1,v1=\u00e9",
}


@pytest.mark.parametrize("case", BAD_SIGNATURES)
def test_a_bad_signature_stores_nothing(trade: Trade, standin: StandIn, case: str) -> None:
    answer = deliver(BODY, signed=BAD_SIGNATURES[case]())
    assert (answer.status_code, answer.json()["code"]) == (400, "webhook_signature")
    assert not StripeEvent.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"{" * 100_000,
        b'{"id":"evt_1","object":"v2.core.event","type":"v1.billing.meter.error_report_triggered"}',
        b'{"id":1,"type":"x","created":1,"livemode":false,"data":{"object":{}}}',
        b'{"id":"evt_1","type":"x","created":"soon","livemode":false,"data":{"object":{}}}',
        b'{"id":"evt_1","type":"x","created":1e400,"livemode":false,"data":{"object":{}}}',
        b'{"id":"evt_1","type":"x","created":1,"livemode":false,"data":{"object":{"amount":NaN}}}',
        b'{"id":"evt_1","type":"x","created":1,"livemode":false,"data":{"object":{"amount":1e999}}}',
        b'{"id":"evt_\\u0000","type":"x","created":1,"livemode":false,"data":{"object":{}}}',
        b'{"id":"evt_1","type":"x","created":1,"livemode":false,"data":{"object":[]}}',
    ],
    ids=lambda b: repr(b[:24]),
)
def test_a_signed_body_that_is_no_event_is_400(trade: Trade, standin: StandIn, body: bytes) -> None:
    answer = deliver(body)
    assert (answer.status_code, answer.json()["code"]) == (400, "webhook_signature")
    assert not StripeEvent.objects.exists()


def counted(name: str, shop_id: str = "-") -> float:
    return REGISTRY.get_sample_value(name, {"shop_id": shop_id}) or 0.0


def test_what_is_refused_is_counted(trade: Trade, standin: StandIn) -> None:
    names = ("webhook_malformed_total", "webhook_signature_refused_total")
    before = [counted(name) for name in names] + [counted(names[0], "band")]
    deliver(b"{}")
    deliver(b"{}", host="band.localhost")
    deliver(BODY, signed="rubbish")
    after = [counted(name) for name in names] + [counted(names[0], "band")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1]


@pytest.mark.parametrize("version", ["2020-08-27", "", None])
def test_another_api_version_is_told_and_handled(trade: Trade, standin: StandIn, version: str | None) -> None:
    """What the event says is not believed anyway: its object is read in our own version."""
    before = counted("webhook_api_version_mismatch_total")
    payload = event(COMPLETED, paid_session(trade, standin), api_version=version)
    assert deliver(payload).json()["outcome"] == "processed"
    assert deliver(payload).json()["outcome"] == "duplicate"
    assert counted("webhook_api_version_mismatch_total") == before + 2
    assert StripeEvent.objects.get().other_version is True
    assert trade.facts() == CONFIRMED


def test_our_own_api_version_is_nothing_to_tell(trade: Trade, standin: StandIn) -> None:
    deliver(event(COMPLETED, paid_session(trade, standin)))
    assert StripeEvent.objects.get().other_version is False


def test_text_that_postgresql_cannot_hold_is_kept_all_the_same(trade: Trade, standin: StandIn) -> None:
    session = paid_session(trade, standin) | {"custom_text": "a\x00b \ud800"}
    answer = deliver(event(COMPLETED, session))
    assert (answer.status_code, answer.json()["outcome"]) == (200, "processed")
    assert trade.facts() == CONFIRMED


def test_a_body_over_one_mebibyte_is_413(trade: Trade, standin: StandIn) -> None:
    answer = deliver(b" " * (1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_several_secrets_while_one_is_rolled(trade: Trade, standin: StandIn, settings: Any) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = ("whsec_new", "whsec_test")
    assert deliver(event("customer.created", {"id": "cus_1"})).json()["outcome"] == "ignored"


def test_what_nobody_handles_is_stored_and_ignored(trade: Trade, standin: StandIn) -> None:
    assert deliver(event("customer.created", {"id": "cus_1"})).json()["outcome"] == "ignored"
    assert deliver(event("customer.created", {"id": "cus_1"})).json()["outcome"] == "duplicate"
    assert rows() == [("evt_1", "ignored", None, 0)]


def test_a_live_event_at_a_test_endpoint_is_ignored(trade: Trade, standin: StandIn) -> None:
    payload = event(COMPLETED, paid_session(trade, standin), livemode=True)
    assert deliver(payload).json()["outcome"] == "ignored"
    assert trade.facts()["orders"] == ["pending"]


def test_another_shops_event_on_this_shops_host(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    payload = event(COMPLETED, paid_session(trade, standin))
    answer = deliver(payload, host="other.localhost")
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_mismatch")
    assert trade.facts()["orders"] == ["pending"]
    assert list(EventDelivery.objects.values_list("outcome", "host_shop_id")) == [("mismatch", "other")]
    # That was the delivery's verdict. The event is handled for the shop it belongs to.
    inbox.sweep_once(now=timezone.now() + timedelta(minutes=2))
    assert trade.facts() == CONFIRMED


def test_the_assertion_can_be_switched_off(trade: Trade, other_trade: Trade, standin: StandIn, settings: Any) -> None:
    settings.WEBHOOK_TENANT_ASSERTION_ENABLED = False
    answer = deliver(event(COMPLETED, paid_session(trade, standin)), host="other.localhost")
    assert (answer.status_code, answer.json()["outcome"]) == (200, "processed")
    assert trade.facts() == CONFIRMED
    assert other_trade.facts()["orders"] == []


@pytest.mark.parametrize("host", ["hooks.localhost", "band.localhost", "other.localhost"])
def test_metadata_that_contradicts_the_map(trade: Trade, other_trade: Trade, standin: StandIn, host: str) -> None:
    session = paid_session(trade, standin)
    session["metadata"]["shop_id"] = "other"
    answer = deliver(event(COMPLETED, session), host=host)
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_mismatch")
    assert rows() == [("evt_1", "dead", None, 0)]
    assert (trade.facts()["orders"], other_trade.facts()["orders"]) == (["pending"], [])


@pytest.mark.parametrize("metadata", [{}, {"shop_id": "no-such-shop"}, {"shop_id": "x" * 500}, None, "text"])
def test_an_event_of_no_known_shop(trade: Trade, standin: StandIn, metadata: Any) -> None:
    payload = event(COMPLETED, {"id": "cs_test_foreign", "object": "checkout.session", "metadata": metadata})
    answer = deliver(payload)
    assert (answer.status_code, answer.json()["code"]) == (503, "tenant_unresolvable")
    assert rows() == [("evt_1", "dead", None, 0)]
    assert StripeEvent.objects.get().error


def test_unresolvable_is_200_by_setting(trade: Trade, standin: StandIn, settings: Any) -> None:
    settings.WEBHOOK_UNRESOLVED_RESPONSE = 200
    answer = deliver(event(COMPLETED, {"id": "cs_test_foreign"}))
    assert (answer.status_code, answer.json()["outcome"]) == (200, "dead_letter")


def test_unresolvable_is_503_for_a_day_only(trade: Trade, standin: StandIn) -> None:
    payload = event(COMPLETED, {"id": "cs_test_foreign"})
    deliver(payload)
    StripeEvent.objects.update(received_at=timezone.now() - timedelta(hours=25))
    assert deliver(payload).status_code == 200
    assert rows() == [("evt_1", "dead", None, 0)]


def test_a_redelivery_of_an_unresolved_event_resolves_again(trade: Trade, standin: StandIn) -> None:
    session = paid_session(trade, standin)
    payload = event(COMPLETED, session | {"metadata": {}})
    known = list(StripeObject.objects.values("livemode", "account", "object_id", "kind", "shop_id", "source"))
    StripeObject.objects.all().delete()
    assert deliver(payload).status_code == 503
    StripeObject.objects.bulk_create(StripeObject(**row) for row in known)
    assert deliver(payload).json()["outcome"] == "processed"
    assert trade.facts() == CONFIRMED


def test_failures_are_kept_and_swept(trade: Trade, standin: StandIn) -> None:
    session = paid_session(trade, standin)
    standin.fault(path="/v1/checkout/sessions", method="GET", kind="drop_before")
    answer = deliver(event(COMPLETED, session))
    assert (answer.status_code, answer.json()["outcome"]) == (200, "deferred")
    assert rows() == [("evt_1", "failed", "band", 1)]
    assert inbox.sweep_once(now=timezone.now()).found == 0
    report = inbox.sweep_once(now=timezone.now() + timedelta(minutes=1))
    assert (report.found, report.processed) == (1, 1)
    assert trade.facts() == CONFIRMED


def test_a_handler_that_died_is_found_by_the_sweep(trade: Trade, standin: StandIn) -> None:
    deliver(event(COMPLETED, paid_session(trade, standin)))
    StripeEvent.objects.update(status="processing", next_attempt_at=timezone.now())
    assert inbox.sweep_once(now=timezone.now() + timedelta(seconds=1)).processed == 1
    assert trade.facts() == CONFIRMED


def test_a_session_nobody_made_is_kept_until_a_person_looks(trade: Trade, standin: StandIn) -> None:
    payload = event(COMPLETED, {"id": "cs_test_gone", "object": "checkout.session", "metadata": {"shop_id": "band"}})
    assert deliver(payload).json()["outcome"] == "deferred"
    for hours in range(1, inbox.MOST_ATTEMPTS):
        inbox.sweep_once(now=timezone.now() + timedelta(hours=hours))
    assert rows() == [("evt_1", "dead", "band", inbox.MOST_ATTEMPTS)]
    assert "404" in StripeEvent.objects.get().error or "No such" in StripeEvent.objects.get().error


def test_a_backlog_drains_and_keeps_nothing_new_waiting(trade: Trade, standin: StandIn) -> None:
    """Three hundred that can't succeed are due; what failed last is taken up in the first batch all the same."""
    now = timezone.now()
    StripeEvent.objects.bulk_create(
        StripeEvent(
            livemode=False, account="acct_standin", event_id=f"evt_old_{number}", type=COMPLETED, status="failed",
            object_id="cs_gone", payload={"livemode": False, "data": {"object": {"id": "cs_gone"}}}, created_at=now,
            received_at=now, next_attempt_at=now - timedelta(hours=2), attempts=1,
        )
        for number in range(300)
    )  # fmt: skip
    session = paid_session(trade, standin)
    standin.fault(path="/v1/checkout/sessions", method="GET", kind="drop_before")
    assert deliver(event(COMPLETED, session, event_id="evt_new")).json()["outcome"] == "deferred"
    later = now + timedelta(minutes=1)
    first = inbox.due_events(later, limit=50)
    assert "evt_new" in [row.event_id for row in first] and len(first) <= 60
    report = inbox.sweep_once(now=later)
    assert (report.found, report.processed) == (301, 1)
    assert trade.facts() == CONFIRMED
    assert inbox.sweep_once(now=later).found == 0
