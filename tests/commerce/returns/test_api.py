"""`POST /api/return` over HTTP: by line, by amount, of a deposit; who may; what is refused, and moves nothing."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.http import HttpResponse
from django.test import Client

from commerce.models import Order, Refund, Return
from inventory.models import StockMovement
from tenants.models import AuditEntry, Membership, Shop
from tests.fixtures.payments import at_stripe, balances, paid_order, refunds_of
from tests.fixtures.sampling import some
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from tests.fixtures.workers import issue


def send(body: Any, *, token: str = "", host: str = "localhost", client: Client | None = None, **headers: str) -> Any:
    sent = {"Host": host, **({"Authorization": f"Bearer {token}"} if token else {}), **headers}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    client = client or Client(raise_request_exception=False)
    return client.generic("POST", "/api/return", raw, content_type="application/json", headers=sent)


@pytest.fixture
def token(trade: Trade) -> str:
    return issue(trade.shop.pk, "payments:write")


def asking(order: Order, **more: Any) -> dict[str, Any]:
    return {"orderId": str(order.pk), "reason": "Too small", "idempotencyKey": "k-1"} | more


def line_of(order: Order, quantity: int = 1, *, restock: bool = False) -> dict[str, Any]:
    return {"lineId": str(order.lines.get().pk), "quantity": quantity, "restock": restock}


def code(answer: HttpResponse) -> tuple[int, str]:
    return answer.status_code, json.loads(answer.content)["code"]


def test_units_of_a_line_come_back_and_go_on_sale_again(trade: Trade, standin: StandIn, token: str) -> None:
    order = paid_order(trade, standin, 3)
    answer = send(asking(order, lines=[line_of(order, 2, restock=True)]), token=token)
    refund = Refund.objects.get()
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "returnId": str(Return.objects.get().pk),
            "refunds": [{"refundId": str(refund.pk), "amount": 5000, "status": "succeeded"}],
            "refundedAmount": 5000,
            "remainingAmount": 2500,
            "currency": "EUR",
        },
    )
    order.refresh_from_db()
    assert (order.status, order.refunded_amount, order.lines.get().returned_quantity) == ("confirmed", 5000, 2)
    movement = StockMovement.objects.get(reason="return")
    assert (movement.delta, movement.reference) == (2, str(refund.returned_id))
    assert balances("band") == {
        "revenue": -7500, "sales_returns": 5000, "stripe_clearing": 2500 - 248, "stripe_fees": 248,
    }  # fmt: skip
    assert at_stripe(standin) == balances("band")["stripe_clearing"]
    audit = AuditEntry.objects.filter(action="return.requested").get()
    assert (audit.reason, audit.actor_kind, audit.object_id) == ("Too small", "api", str(order.pk))


def test_the_same_key_is_the_same_return(trade: Trade, standin: StandIn, token: str) -> None:
    order = paid_order(trade, standin, 2)
    body = asking(order, lines=[line_of(order, 1, restock=True)])
    first, again = send(body, token=token), send(body | {"reason": "In other words"}, token=token)
    assert (first.status_code, again.status_code, again.json()) == (201, 200, first.json())
    assert len(standin.requests("/v1/refunds")) == 1
    assert StockMovement.objects.filter(reason="return").count() == 1
    other = send(body | {"lines": [line_of(order, 2)]}, token=token)
    assert code(other) == (409, "idempotency_conflict")
    assert refunds_of(order) == [("succeeded", 2500, 0)]


def test_by_amount_until_nothing_is_left(trade: Trade, standin: StandIn, token: str) -> None:
    order = paid_order(trade, standin, 2)
    assert send(asking(order, amount=1999), token=token).json()["remainingAmount"] == 3001
    too_much = send(asking(order, amount=3002, idempotencyKey="k-2"), token=token)
    assert code(too_much) == (409, "refund_exceeds_payment")
    assert (too_much.json()["remainingAmount"], too_much.json()["currency"]) == (3001, "EUR")
    rest = send(asking(order, idempotencyKey="k-3"), token=token)
    assert (rest.status_code, rest.json()["refunds"][0]["amount"], rest.json()["remainingAmount"]) == (201, 3001, 0)
    order.refresh_from_db()
    assert (order.status, order.refunded_amount) == ("refunded", 5000)
    assert code(send(asking(order, idempotencyKey="k-4"), token=token)) == (409, "refund_exceeds_payment")
    assert at_stripe(standin) == balances("band")["stripe_clearing"]


def test_deposits_are_money_of_their_own(trade: Trade, standin: StandIn, token: str) -> None:
    order = paid_order(trade, standin, 2, deposit=1000)
    assert balances("band")["deposits_held"] == -2000
    goods = send(asking(order, amount=3001), token=token)
    assert (code(goods), goods.json()["remainingAmount"]) == ((409, "refund_exceeds_payment"), 3000)
    part = send(asking(order, deposit=True, amount=500), token=token)
    assert [made["amount"] for made in part.json()["refunds"]] == [500]
    both = send(asking(order, lines=[line_of(order)], deposit=True, idempotencyKey="k-2"), token=token)
    assert [made["amount"] for made in both.json()["refunds"]] == [1500, 1000]
    over = send(asking(order, deposit=True, amount=501, idempotencyKey="k-3"), token=token)
    assert (code(over), over.json()["remainingAmount"], over.json()["of"]) == (
        (409, "refund_exceeds_payment"), 500, "deposit",
    )  # fmt: skip
    rest = send(asking(order, deposit=True, idempotencyKey="k-4"), token=token)
    assert [made["amount"] for made in rest.json()["refunds"]] == [500]
    assert "deposits_held" not in balances("band")
    assert refunds_of(order) == [
        ("succeeded", 500, 500), ("succeeded", 1500, 0), ("succeeded", 1000, 1000), ("succeeded", 500, 500),
    ]  # fmt: skip
    order.refresh_from_db()
    assert (order.refunded_amount, order.deposit_refunded_amount) == (3500, 2000)


def test_tax_goes_back_with_what_it_was_on_to_the_last_cent(trade: Trade, standin: StandIn, token: str) -> None:
    order = paid_order(trade, standin, 3, tax=1197)
    for number in range(3):
        send(asking(order, lines=[line_of(order)], idempotencyKey=f"k-{number}"), token=token)
    assert list(Refund.objects.order_by("id").values_list("amount", "tax_amount")) == [
        (2500, 399), (2500, 399), (2500, 399),
    ]  # fmt: skip
    order.refresh_from_db()
    assert order.status == "refunded"


@pytest.mark.parametrize("status", ["pending", "processing", "failed", "canceled"])
def test_what_was_not_paid_is_not_refunded(trade: Trade, standin: StandIn, token: str, status: str) -> None:
    trade.buyer_with_cart().checkout()
    order = Order.objects.get()
    Order.objects.update(status=status)
    assert code(send(asking(order), token=token)) == (409, "wrong_state")
    assert not Return.objects.exists()


@pytest.mark.parametrize(
    "change",
    some([
        {"orderId": "no uuid"}, {"orderId": None}, {"reason": ""}, {"reason": "x" * 501}, {"idempotencyKey": ""},
        {"amount": 0}, {"amount": -5}, {"amount": 2.5}, {"amount": "25.00"}, {"amount": True}, {"amount": 10**16},
        {"lines": []}, {"lines": [{"lineId": str(uuid4()), "quantity": 1}]}, {"lines": [{"quantity": 1}]},
        {"deposit": "yes"}, {"shopId": 5}, {"surprise": 1}, {"lines": "all"}, {"reason": None},
    ], 8),
)  # fmt: skip
def test_malformed_input_moves_nothing(trade: Trade, standin: StandIn, token: str, change: dict[str, Any]) -> None:
    order = paid_order(trade, standin)
    assert code(send(asking(order) | change, token=token)) == (400, "invalid_request")
    assert not Return.objects.exists()
    assert standin.requests("/v1/refunds") == []


def test_lines_are_judged_one_by_one(trade: Trade, standin: StandIn, token: str) -> None:
    order = paid_order(trade, standin, 2)
    line = line_of(order)
    assert code(send(asking(order, lines=[line, line]), token=token)) == (400, "invalid_request")
    assert code(send(asking(order, lines=[line], amount=5), token=token)) == (400, "invalid_request")
    assert code(send(asking(order, lines=[line_of(order, 3)]), token=token)) == (409, "wrong_state")
    assert code(send(asking(order, lines=[{**line, "quantity": 0}]), token=token)) == (400, "invalid_request")
    for body in (b"", b"[]", b"{", b'{"amount": NaN}', b'{"reason": 1, "reason": 2}'):
        assert code(send(body, token=token)) == (400, "invalid_request"), body
    assert not Return.objects.exists()


def test_an_amount_that_lines_have_used_up_is_not_refunded_twice(trade: Trade, standin: StandIn, token: str) -> None:
    order = paid_order(trade, standin, 2)
    assert send(asking(order, amount=3000), token=token).status_code == 201
    both = asking(order, lines=[line_of(order, 2)], idempotencyKey="k-2")
    assert code(send(both, token=token)) == (409, "refund_exceeds_payment")
    one = send(both | {"lines": [line_of(order, 1)], "idempotencyKey": "k-3"}, token=token)
    assert code(one) == (409, "refund_exceeds_payment")
    assert order.lines.get().returned_quantity == 0


# ---------------------------------------------------------------- who
def test_only_tokens_for_it(trade: Trade, other_trade: Trade, standin: StandIn, token: str) -> None:
    order = paid_order(trade, standin)
    body = asking(order)
    assert code(send(body)) == (401, "unauthenticated")
    assert code(send(body, token="hfs_nonsense")) == (401, "unauthenticated")
    assert code(send(body, token=issue(trade.shop.pk, "orders:read"))) == (403, "forbidden")
    assert code(send(body, token=issue("other", "payments:write"))) == (404, "not_found")
    assert code(send(body | {"shopId": "other"}, token=token)) == (400, "shop_conflict")
    assert code(send(body, token=token, Origin="https://evil.example")) == (403, "forbidden")
    assert code(send(body, token=token, host="hooks.localhost")) == (404, "unknown_host")
    assert not Return.objects.exists()
    assert send(body, token=token, host=trade.host).status_code == 201


def test_the_platforms_token_names_the_shop(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin)
    token = issue(None, "payments:write")
    assert code(send(asking(order), token=token)) == (400, "shop_required")
    assert code(send(asking(order, shopId="nobody"), token=token)) == (400, "shop_required")
    assert send(asking(order, shopId="band"), token=token).status_code == 201


def staff(trade: Trade, *, permitted: bool = True, csrf: bool = False) -> Client:
    user = User.objects.create_user(f"clerk-{uuid4().hex[:6]}", is_staff=True)
    if permitted:
        user.user_permissions.add(Permission.objects.get(codename="refund_order"))
    Membership.objects.create(user=user, shop=trade.shop)
    client = Client(raise_request_exception=False, enforce_csrf_checks=csrf)
    client.force_login(user)
    return client


def test_staff_with_the_permission_for_their_own_shop(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    order, theirs = paid_order(trade, standin), paid_order(other_trade, standin)
    clerk = staff(trade)
    assert code(send(asking(order), client=clerk)) == (400, "shop_required")
    assert code(send(asking(theirs, shopId="other"), client=clerk)) == (404, "not_found")
    assert code(send(asking(theirs, shopId="band"), client=clerk)) == (404, "not_found")
    assert code(send(asking(order, shopId="band"), client=staff(trade, permitted=False))) == (403, "forbidden")
    assert not Return.objects.exists()
    assert send(asking(order, shopId="band"), client=clerk).status_code == 201
    assert Return.objects.get().acting.startswith("staff:clerk-")


def test_a_session_needs_its_csrf_token(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin)
    clerk = staff(trade, csrf=True)
    assert code(send(asking(order, shopId="band"), client=clerk)) == (403, "forbidden")
    clerk.cookies["csrftoken"] = "a" * 32
    assert send(asking(order, shopId="band"), client=clerk, **{"X-CSRFToken": "a" * 32}).status_code == 201


def test_a_closed_shop_still_gives_money_back(trade: Trade, standin: StandIn, token: str) -> None:
    order = paid_order(trade, standin)
    Shop.objects.filter(pk=trade.shop.pk).update(status="closed")
    assert send(asking(order), token=token, host=trade.host).status_code == 201
