"""Replay of dead letters, and what staff may read of a payload."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from tenants.audit import Actor
from tenants.errors import NotFound
from tenants.models import AuditEntry, StripeObject
from tenants.staff import EVERY_SHOP
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade, in_threads
from tests.webhooks.deliver import deliver, event
from webhooks import inbox
from webhooks.dead_letters import HIDDEN, NotReplayable, masked, masked_text, replay_event
from webhooks.models import StripeEvent

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


# ---------------------------------------------------------------- masking
H = HIDDEN


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        # Persons
        ({"email": "ada@example.test"}, {"email": H}),
        ({"customer_email": "ada@example.test", "receipt_email": None}, {"customer_email": H, "receipt_email": None}),
        (
            {"phone": "+44 20 7946 0000", "name": "Ada", "business_name": "Ada Ltd"},
            {"phone": H, "name": H, "business_name": H},
        ),
        (
            {"address": {"line1": "1 High St", "line2": None, "city": "Bath", "postal_code": "BA1", "country": "GB"}},
            {"address": {"line1": H, "line2": None, "city": H, "postal_code": H, "country": "GB"}},
        ),
        (
            {
                "customer_details": {
                    "name": "Ada",
                    "tax_exempt": "none",
                    "tax_ids": [{"type": "gb_vat", "value": "123"}],
                }
            },
            {"customer_details": {"name": H, "tax_exempt": "none", "tax_ids": [{"type": "gb_vat", "value": H}]}},
        ),
        (
            {
                "collected_information": {
                    "shipping_details": {"name": "Ada", "address": {"country": "GB", "city": "Bath"}}
                }
            },
            {"collected_information": {"shipping_details": {"name": H, "address": {"country": "GB", "city": H}}}},
        ),
        (
            {"custom_fields": [{"key": "engraving", "text": {"value": "For Ada"}}]},
            {"custom_fields": [{"key": H, "text": {"value": H}}]},
        ),
        ({"evidence": {"customer_purchase_ip": "10.0.0.1"}}, {"evidence": {"customer_purchase_ip": H}}),
        # Cards and accounts
        (
            {
                "payment_method_details": {
                    "type": "card",
                    "card": {
                        "brand": "visa",
                        "last4": "4242",
                        "exp_month": 12,
                        "exp_year": 2030,
                        "fingerprint": "Xt5EWLLDS7FJjR1c",
                        "funding": "credit",
                        "country": "US",
                    },
                }
            },
            {
                "payment_method_details": {
                    "type": "card",
                    "card": {
                        "brand": "visa",
                        "last4": H,
                        "exp_month": H,
                        "exp_year": H,
                        "fingerprint": H,
                        "funding": "credit",
                        "country": "US",
                    },
                }
            },
        ),
        ({"card": {"last4": "4242", "dynamic_last4": "1"}}, {"card": {"last4": H, "dynamic_last4": H}}),
        ({"sepa_debit": {"iban": "DE89370400440532013000", "bic": "X"}}, {"sepa_debit": {"iban": H, "bic": H}}),
        # Secrets
        ({"client_secret": "pi_1_secret_abc"}, {"client_secret": H}),
        ({"url": "https://checkout.stripe.com/c/pay/cs_1#fid"}, {"url": H}),
        ({"receipt_url": "https://pay.stripe.com/r", "invoice_pdf": "https://x"}, {"receipt_url": H, "invoice_pdf": H}),
        ({"note": "sk_live_51H whsec_abc pi_1_secret_x"}, {"note": f"{H} {H} {H}"}),
        # In free text
        ({"description": "For ada@example.test, 4242 4242 4242 4242"}, {"description": f"For {H}, {H}"}),
        ({"description": "Call +44 20 7946 0000"}, {"description": f"Call {H}"}),
        # What stays
        (
            {"email": None, "name": "", "phone_number_collection": {"enabled": False}},
            {"email": None, "name": "", "phone_number_collection": {"enabled": False}},
        ),
        (
            {"success_url": "https://shop/thanks", "cancel_url": "https://shop/cart"},
            {"success_url": "https://shop/thanks", "cancel_url": "https://shop/cart"},
        ),
        (
            {
                "id": "cs_test_a1",
                "amount_total": 123456789012,
                "created": 1795221873,
                "currency": "eur",
                "livemode": False,
                "metadata": {"order_id": "01912345-6789-7123-8123-123456789012", "shop_id": "band"},
            },
            {
                "id": "cs_test_a1",
                "amount_total": 123456789012,
                "created": 1795221873,
                "currency": "eur",
                "livemode": False,
                "metadata": {"order_id": "01912345-6789-7123-8123-123456789012", "shop_id": "band"},
            },
        ),
        ([1, None, True, "2026-11-21 14:05"], [1, None, True, "2026-11-21 14:05"]),
    ],
)
def test_what_is_masked_and_what_stays(shown: Any, expected: Any) -> None:
    assert masked(shown) == expected


def test_masking_leaves_its_input_alone() -> None:
    payload = {"data": {"object": {"customer_details": {"email": "ada@example.test"}}}}
    assert masked(payload) == {"data": {"object": {"customer_details": {"email": H}}}}
    assert payload["data"]["object"]["customer_details"]["email"] == "ada@example.test"


def test_a_real_session_keeps_no_person_and_no_secret(trade: Trade, standin: StandIn) -> None:
    shown = str(masked(event(COMPLETED, paid_session(trade, standin))))
    for hidden in ("ada@example.test", "Robin", "94107", "_secret_"):
        assert hidden not in shown
    assert "'amount_total': 2500" in shown and "'shop_id': 'band'" in shown


def test_errors_are_masked_too() -> None:
    assert masked_text("IntegrityError: (ada@example.test) exists") == f"IntegrityError: ({H}) exists"
