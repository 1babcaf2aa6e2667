"""`/api/subscription/change` and `/cancel`: who may, what it costs, each once, whatever is lost (P3, P4)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from commerce.models import Subscription, SubscriptionOperation
from commerce.tasks import resolve_operations
from tenants.models import AuditEntry, Membership
from tests.factories.plans import make_plan
from tests.fixtures.subscribers import Club
from tests.fixtures.workers import issue

UPDATE = "/v1/subscriptions/*"


def send(what: str, body: Any, *, token: str = "", client: Client | None = None, **headers: str) -> HttpResponse:
    sent = {"Host": "localhost", **({"Authorization": f"Bearer {token}"} if token else {}), **headers}
    client = client or Client(raise_request_exception=False)
    raw = json.dumps(body).encode()
    return client.generic("POST", f"/api/subscription/{what}", raw, content_type="application/json", headers=sent)


@pytest.fixture
def token(club: Club) -> str:
    return issue(club.trade.shop.pk, "payments:write")


@pytest.fixture
def subscribed(club: Club) -> str:
    make_plan(club.trade.shop, "plus", 1990)
    return club.begin()


def change(subscription_id: str, token: str, **more: Any) -> HttpResponse:
    body = {"subscriptionId": subscription_id, "planId": "plus", "prorate": "none", "idempotencyKey": "k-1"}
    return send("change", body | more, token=token)


def cancel(subscription_id: str, token: str, **more: Any) -> HttpResponse:
    body = {"subscriptionId": subscription_id, "atPeriodEnd": True, "idempotencyKey": "k-1"}
    return send("cancel", body | more, token=token)


def states() -> list[str]:
    return list(SubscriptionOperation.objects.order_by("id").values_list("state", flat=True))


def code(answer: HttpResponse) -> tuple[int, str]:
    return answer.status_code, json.loads(answer.content)["code"]


def test_a_change_replaces_the_item_and_is_done_once(club: Club, subscribed: str, token: str) -> None:
    answer = change(subscribed, token, quantity=2)
    row = Subscription.objects.get()
    assert answer.status_code == 200, answer.content
    assert row.current_period_end is not None
    told = {
        "subscriptionId": subscribed, "status": "active", "planId": "plus", "currency": "EUR",
        "currentPeriodEnd": row.current_period_end.strftime("%Y-%m-%dT%H:%M:%SZ"), "cancelAtPeriodEnd": False,
        "prorationAmount": 0,
    }  # fmt: skip
    assert answer.json() == told
    assert change(subscribed, token, quantity=2).json() == told
    items = club.standin.read(f"/v1/subscriptions/{subscribed}")["items"]["data"]
    assert [(item["price"]["unit_amount"], item["quantity"]) for item in items] == [(1990, 2)]
    assert len(club.standin.requests(f"/v1/subscriptions/{subscribed}")) == 1
    assert code(change(subscribed, token, quantity=3)) == (409, "idempotency_conflict")
    entry = AuditEntry.objects.get(action="subscription.change")
    assert entry.data["planId"] == "plus" and entry.data["from"]["planId"] == "club"


@pytest.mark.parametrize("prorate", ["create", "invoice_now"])
def test_what_was_shown_is_what_is_charged(club: Club, subscribed: str, token: str, prorate: str) -> None:
    club.standin.advance(10 * 86400)
    shown = change(subscribed, token, prorate=prorate, preview=True).json()
    assert shown["planId"] == "plus" and shown["prorationAmount"] > 0
    assert Subscription.objects.get().version.plan.code == "club"
    assert not SubscriptionOperation.objects.exists()
    done = change(subscribed, token, prorate=prorate).json()
    # The two are asked for seconds apart, and Stripe prorates by the second.
    assert abs(done["prorationAmount"] - shown["prorationAmount"]) <= 1
    if prorate == "invoice_now":
        club.tell()
        latest = club.standin.read(f"/v1/subscriptions/{subscribed}")["latest_invoice"]
        assert club.standin.read(f"/v1/invoices/{latest}")["amount_paid"] == done["prorationAmount"]


def test_a_cancellation_with_the_period_and_at_once(club: Club, subscribed: str, token: str) -> None:
    answer = cancel(subscribed, token, reason="Moving")
    assert (answer.json()["status"], answer.json()["cancelAtPeriodEnd"]) == ("active", True)
    now = cancel(subscribed, token, atPeriodEnd=False, idempotencyKey="k-2")
    assert (now.status_code, now.json()["status"]) == (200, "canceled")
    assert code(cancel(subscribed, token, idempotencyKey="k-3")) == (409, "wrong_state")
    assert cancel(subscribed, token, atPeriodEnd=False, idempotencyKey="k-2").json()["status"] == "canceled"
    kinds = SubscriptionOperation.objects.order_by("id").values_list("kind", "state", "reason")
    assert list(kinds) == [("cancel_at_end", "done", "Moving"), ("cancel_now", "done", "")]


@pytest.mark.parametrize("kind", ["drop_after", "drop_before"])
def test_a_lost_answer_is_found_out_and_not_repeated(club: Club, subscribed: str, token: str, kind: str) -> None:
    club.standin.fault(path=UPDATE, kind=kind)
    assert code(change(subscribed, token, prorate="invoice_now")) == (503, "payment_unknown")
    assert states() == ["unknown"]
    assert change(subscribed, token, prorate="invoice_now").json()["planId"] == "plus"
    assert states() == ["done"]
    items = club.standin.read(f"/v1/subscriptions/{subscribed}")["items"]["data"]
    assert [item["price"]["unit_amount"] for item in items] == [1990]
    invoices = club.standin.read(f"/v1/invoices?subscription={subscribed}")["data"]
    assert sorted(invoice["billing_reason"] for invoice in invoices) == ["subscription_create", "subscription_update"]


def test_a_lost_cancellation_is_found_out_by_the_job(club: Club, subscribed: str, token: str) -> None:
    club.standin.fault(path=UPDATE, kind="drop_after", method="DELETE")
    assert code(cancel(subscribed, token, atPeriodEnd=False)) == (503, "payment_unknown")
    resolve_operations()
    assert (states(), Subscription.objects.get().status) == (["done"], "canceled")


def test_a_crashed_sender_is_finished_by_the_job(club: Club, subscribed: str, token: str) -> None:
    club.standin.fault(path=UPDATE, kind="drop_before")
    change(subscribed, token)
    past = timezone.now() - timedelta(minutes=5)
    SubscriptionOperation.objects.update(state="sending", lease_until=past)
    resolve_operations()
    assert (states(), Subscription.objects.get().version.plan.code) == (["done"], "plus")


def test_what_stripe_never_did_is_given_up_a_day_later(club: Club, subscribed: str, token: str) -> None:
    club.standin.fault(path=UPDATE, kind="drop_before")
    change(subscribed, token)
    SubscriptionOperation.objects.update(created_at=timezone.now() - timedelta(days=1))
    resolve_operations()
    assert states() == ["refused"]
    assert code(change(subscribed, token)) == (502, "payment_rejected")
    assert change(subscribed, token, idempotencyKey="k-2").status_code == 200


def test_a_refusal_of_stripes_changes_nothing(club: Club, subscribed: str, token: str) -> None:
    club.standin.fault(path=UPDATE, kind="status", status=400, when="before", code="refused_by_test")
    answer = change(subscribed, token)
    assert (code(answer), answer.json()["reason"]) == ((502, "payment_rejected"), "refused_by_test")
    assert (states(), Subscription.objects.get().version.plan.code) == (["refused"], "club")
    assert change(subscribed, token, idempotencyKey="k-2").status_code == 200


def test_an_operation_waits_for_the_one_before(club: Club, subscribed: str, token: str) -> None:
    club.standin.fault(path=UPDATE, kind="drop_before", times=2)
    change(subscribed, token)
    assert code(cancel(subscribed, token, idempotencyKey="k-2")) == (503, "payment_unknown")
    assert cancel(subscribed, token, idempotencyKey="k-2").status_code == 200
    assert states() == ["done", "done"]


BAD: list[tuple[str, dict[str, Any], int]] = [
    ("change", {"planId": "nothing"}, 400), ("change", {"quantity": 0}, 400), ("change", {"prorate": "some"}, 400),
    ("change", {"idempotencyKey": ""}, 400), ("change", {"subscriptionId": "in_1"}, 400), ("change", {"more": 1}, 400),
    ("change", {"subscriptionId": "sub_nobodys"}, 404), ("change", {"planId": "club"}, 409),
    ("cancel", {"atPeriodEnd": "yes"}, 400), ("cancel", {"subscriptionId": "sub_nobodys"}, 404),
    ("cancel", {"atPeriodEnd": None}, 400), ("cancel", {"shopId": "other"}, 400),
]  # fmt: skip


def test_bad_input_changes_nothing(club: Club, subscribed: str, token: str) -> None:
    for what, wrong, status in BAD:
        answer = (change if what == "change" else cancel)(subscribed, token, **wrong)
        assert answer.status_code == status, (what, wrong, answer.content)
    assert not SubscriptionOperation.objects.exists()


def test_only_payments_tokens_and_staff_may(club: Club, subscribed: str) -> None:
    assert code(change(subscribed, "")) == (401, "unauthenticated")
    assert code(change(subscribed, issue(club.trade.shop.pk, "orders:read"))) == (403, "forbidden")
    user = User.objects.create_user("olga", is_staff=True)
    Membership.objects.create(user=user, shop=club.trade.shop)
    client = Client(raise_request_exception=False)
    client.force_login(user)
    body = {"subscriptionId": subscribed, "atPeriodEnd": True, "idempotencyKey": "k-1", "shopId": "band"}
    assert code(send("cancel", body, client=client)) == (403, "forbidden")
    user.user_permissions.add(Permission.objects.get(codename="operate_subscription"))
    assert send("cancel", body, client=client).status_code == 200
    assert SubscriptionOperation.objects.get().acting == "staff:olga"


def test_items_of_others_making_are_left_to_stripe(club: Club, subscribed: str, token: str) -> None:
    price = club.standin.post("/v1/prices", {
        "currency": "eur", "unit_amount": "500", "recurring[interval]": "month", "product_data[name]": "Extra",
    })["id"]  # fmt: skip
    club.standin.post(f"/v1/subscriptions/{subscribed}", {"items[0][price]": price})
    assert code(change(subscribed, token)) == (409, "wrong_state")
    assert len(Subscription.objects.get().items) == 2
