"""`POST /api/subscribe`: one session per customer and plan, whatever is repeated, lost or refused (P3, K3, K4)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from checkout.models import SubscribeAttempt
from checkout.tasks import resolve_attempts
from commerce.models import PlanVersion, Subscription
from tenants.models import ShopSettings, StripeObject
from tests.factories.plans import make_plan
from tests.factories.tenants import ShopFactory
from tests.fixtures.subscribers import SESSIONS, Club
from tests.fixtures.trade import in_threads


def attempts() -> list[tuple[str, str]]:
    return sorted(SubscribeAttempt.objects.values_list("state", "outcome"))


def fields(answer: Any) -> list[str]:
    return sorted(answer.json().get("fields", {}))


def test_a_customer_subscribes_pays_and_is_a_subscriber(club: Club) -> None:
    answer = club.subscribe(quantity=2)
    assert answer.status_code == 201, answer.content
    body = answer.json()
    session_id = body["sessionId"]
    shown = {name: body[name] for name in body if name not in {"sessionId", "url", "expiresAt"}}
    assert shown == {
        "uiMode": "hosted_page", "mode": "subscription", "orderId": None, "inventoryReservationId": None,
        "planId": "club", "quantity": 2, "trialDays": 0, "unitAmount": 990, "currency": "EUR", "priceChanged": False,
        "amounts": {"subtotal": 1980, "discount": 0, "shipping": 0, "tax": 0, "deposit": 0, "total": 1980},
        "changes": [],
    }  # fmt: skip
    assert body["url"].startswith("http")
    attempt = SubscribeAttempt.objects.get()
    session = club.standin.session(session_id)
    assert (session["mode"], session["client_reference_id"]) == ("subscription", str(attempt.pk))
    named = {"shop_id": "band", "plan_code": "club", "subscribe_id": str(attempt.pk), "rentalDays": "0"}
    assert named.items() <= session["metadata"].items()
    club.pay(session_id)
    types = club.tell()
    assert "customer.subscription.created" in types and "invoice.paid" in types
    row = Subscription.objects.get()
    assert (row.status, row.version_id, row.email, row.items[0]["quantity"]) == (
        "active", club.version.pk, "ada@example.test", 2,
    )  # fmt: skip
    assert row.items[0]["id"].startswith("si_")
    assert attempts() == [("closed", "completed")]
    owned = dict(StripeObject.objects.filter(shop_id="band").values_list("object_id", "kind"))
    assert owned[session_id] == "checkout.session"
    assert owned[row.subscription_id] == "subscription" and owned[row.customer_id] == "customer"
    status = club.trade.buyer().call("GET", "/api/order-status", {"session_id": session_id}).json()
    assert status == {"status": "confirmed", "finalised": True}


def test_a_repeat_is_the_same_session_and_another_wish_another(club: Club) -> None:
    first = club.subscribe()
    for email in ("ada@example.test", "ADA@example.test"):
        again = club.subscribe(email=email)
        assert (again.status_code, again.json()["url"]) == (200, first.json()["url"])
    more = club.subscribe(quantity=3)
    assert more.status_code == 201 and more.json()["sessionId"] != first.json()["sessionId"]
    assert club.standin.open_sessions() == [more.json()["sessionId"]]
    somebody_else = club.subscribe(email="bob@example.test")
    assert somebody_else.status_code == 201
    assert len(club.standin.open_sessions()) == 2


def test_clicks_at_the_same_moment_make_one_session(club: Club) -> None:
    answers = in_threads([club.subscribe] * 4)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json()["sessionId"] for answer in answers}) == 1
    assert len(club.standin.open_sessions()) == 1
    made = {call["answer"].get("id") for call in club.standin.requests("/v1/prices")} - {None}
    assert len(made) == 1  # whoever came second was refused, and took the first one's


def test_a_clients_key_is_one_request(club: Club) -> None:
    first = club.subscribe(Idempotency_Key="one")
    assert club.subscribe(Idempotency_Key="one").json()["sessionId"] == first.json()["sessionId"]
    other = club.subscribe(Idempotency_Key="one", quantity=2)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    second = club.subscribe(Idempotency_Key="two")
    assert second.status_code == 201, "another key is another wish"
    club.pay(first.json()["sessionId"])
    done = club.subscribe(Idempotency_Key="one")
    assert (done.status_code, done.json()["sessionId"]) == (200, first.json()["sessionId"])
    assert "url" not in done.json()
    club.version.plan.active = False
    club.version.plan.save()
    assert club.subscribe(Idempotency_Key="one").status_code == 200
    assert club.subscribe(Idempotency_Key="three").status_code == 400


def test_who_has_the_plan_is_not_charged_for_it_twice(club: Club) -> None:
    club.begin()
    again = club.subscribe()
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")
    assert club.subscribe(email="Ada@Example.test").status_code == 409
    Subscription.objects.update(status="canceled")
    assert club.subscribe().status_code == 201


def test_a_trial_costs_nothing_now(club: Club) -> None:
    make_plan(club.trade.shop, "tried", trial_days=14)
    answer = club.subscribe(planId="tried")
    assert (answer.json()["amounts"]["total"], answer.json()["trialDays"]) == (0, 14)
    club.pay(answer.json()["sessionId"])
    club.tell()
    row = Subscription.objects.get()
    assert row.status == "trialing" and row.trial_end is not None


BAD: list[tuple[dict[str, Any], str]] = [
    ({"planId": "nothing"}, "planId"), ({"planId": "of-another-shop"}, "planId"), ({"planId": "retired"}, "planId"),
    ({"planId": "CLUB"}, "planId"), ({"planId": 7}, "planId"), ({"email": "nobody"}, "email"), ({"email": ""}, "email"),
    ({"quantity": 0}, "quantity"), ({"quantity": 1000}, "quantity"), ({"quantity": "1"}, "quantity"),
    ({"quantity": 1.5}, "quantity"), ({"locale": "xx"}, "locale"),
    ({"returnUrl": "https://elsewhere.example/"}, "returnUrl"), ({"cancelUrl": "javascript:1"}, "cancelUrl"),
    ({"unitAmount": 1}, ""),
]  # fmt: skip


def test_bad_input_makes_nothing(club: Club) -> None:
    make_plan(ShopFactory(), "of-another-shop")
    plan = make_plan(club.trade.shop, "retired").plan
    plan.active = False
    plan.save()
    for change, field in BAD:
        answer = club.subscribe(**change)
        assert answer.status_code == 400, (change, answer.content)
        assert not field or any(name.startswith(field) for name in fields(answer)), (change, answer.json())
    assert club.trade.buyer().call("POST", "/api/subscribe", b"[]").status_code == 400
    assert club.subscribe(Idempotency_Key="a b").status_code == 400
    assert club.subscribe(shopId="other").json()["code"] == "shop_conflict"
    assert (attempts(), club.standin.sessions()) == ([], [])


def test_a_coupon_is_for_merchandise(club: Club) -> None:
    answer = club.subscribe(couponCode="WELCOME10")
    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (409, "coupon_rejected", "products")
    assert attempts() == []


def test_what_stripe_refuses_is_over_and_may_be_tried_again(club: Club) -> None:
    club.standin.fault(path=SESSIONS, kind="status", status=400, when="before", code="refused_by_test")
    answer = club.subscribe()
    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (
        502, "payment_rejected", "refused_by_test",
    )  # fmt: skip
    assert attempts() == [("closed", "refused")]
    assert club.subscribe().status_code == 201


@pytest.mark.parametrize("kind", ["drop_after", "drop_before"])
def test_an_unknown_outcome_leads_to_the_same_session(club: Club, kind: str) -> None:
    club.standin.fault(path=SESSIONS, kind=kind)
    answer = club.subscribe()
    assert (answer.status_code, answer.json()["code"]) == (503, "payment_unknown")
    assert attempts() == [("unknown", "")]
    again = club.subscribe()
    assert again.status_code == 200 and again.json()["url"]
    assert len(club.standin.sessions()) == 1


def test_the_resolver_finishes_what_nobody_repeats(club: Club) -> None:
    club.standin.fault(path=SESSIONS, kind="drop_after")
    club.subscribe()
    resolve_attempts()
    assert attempts() == [("open", "")]
    session_id = SubscribeAttempt.objects.get().session_id
    club.pay(str(session_id))
    past = timezone.now() - timedelta(days=1)
    SubscribeAttempt.objects.update(session_expires_at=past, checked_at=None)
    resolve_attempts()
    assert attempts() == [("closed", "completed")]
    assert Subscription.objects.get().email == "ada@example.test"


def test_a_page_that_asks_settles_what_no_event_told(club: Club) -> None:
    session_id = club.subscribe().json()["sessionId"]
    buyer = club.trade.buyer()
    assert buyer.status(session_id) == {"status": "processing", "finalised": False, "retryAfterMs": 1000}
    assert buyer.status(session_id)["status"] == "pending"
    club.pay(session_id)
    SubscribeAttempt.objects.update(polled_at=timezone.now() - timedelta(minutes=1))
    assert buyer.status(session_id) == {"status": "confirmed", "finalised": True}
    row = Subscription.objects.get()
    assert row.version_id == club.version.pk
    summary = buyer.call("GET", f"/api/checkout-session/{session_id}", {"locale": "de"}).json()
    assert summary == {
        "sessionId": session_id, "mode": "subscription", "status": "complete", "paymentStatus": "paid",
        "orderStatus": "confirmed", "subscriptionId": row.subscription_id, "planId": "club", "currency": "EUR",
        "lines": [
            {
                "sku": "club", "variantKey": "club", "title": "Klub", "quantity": 1, "unitAmount": 990,
                "lineAmount": 990, "depositAmount": 0, "rental": None,
            }
        ],
        "amounts": {"subtotal": 990, "discount": 0, "shipping": 0, "tax": 0, "deposit": 0, "total": 990},
    }  # fmt: skip


def test_too_many_wishes_are_limited_and_repeats_are_not(club: Club) -> None:
    ShopSettings.objects.update(checkout_rate_limit_per_minute=2, checkout_rate_limit_enabled=True)
    for number in range(2):
        assert club.subscribe(email=f"{number}@example.test").status_code == 201
    assert club.subscribe(email="1@example.test").status_code == 200
    refused = club.subscribe(email="3@example.test")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")


def test_another_sites_page_can_not_subscribe_anybody(club: Club) -> None:
    answer = club.subscribe(Origin="https://elsewhere.example")
    assert answer.status_code == 403
    assert attempts() == []


def test_new_terms_are_for_who_comes_after(club: Club) -> None:
    club.begin()
    PlanVersion.objects.create(
        shop=club.trade.shop, plan=club.version.plan, number=2, currency="EUR", amount=1290, interval="month"
    )
    answer = club.subscribe(email="bob@example.test")
    assert answer.json()["unitAmount"] == 1290
    assert Subscription.objects.get().version.amount == 990


def test_capabilities_tell_of_plans(club: Club) -> None:
    assert club.trade.buyer().call("GET", "/api/capabilities").json()["subscriptions"] is True
