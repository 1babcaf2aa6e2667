"""Starting a checkout: repeats converge, rivals end, failures are read right. Over HTTP, against the stand-in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout import resolver
from checkout.metrics import REPRICE_DRIFT
from checkout.models import CheckoutAttempt
from commerce.gateway.onboarding import use_own_keys
from commerce.models import OrderLine, ProductText, Variant
from inventory.metrics import BUSY_RETRIED
from inventory.models import Hold, StockRow
from inventory.variants import variant_key
from inventory.verify import verify_stock
from tenants.audit import Actor
from tests.fixtures.standin import StandIn
from tests.fixtures.statements import without_scope
from tests.fixtures.trade import Trade, in_threads

SESSIONS = "/v1/checkout/sessions"


def test_a_cart_becomes_one_hold_and_one_session(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart(2)
    answer = buyer.checkout({"email": "ada@example.test"})
    body = answer.json()
    attempt = CheckoutAttempt.objects.get()
    assert (answer.status_code, body) == (
        201,
        {
            "sessionId": attempt.session_id,
            "url": f"{standin.url}/c/pay/{attempt.session_id}",
            "uiMode": "hosted_page",
            "mode": "payment",
            "orderId": str(attempt.order_id),
            "inventoryReservationId": str(attempt.hold_id),
            "expiresAt": attempt.session_expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "amounts": {"subtotal": 5000, "discount": 0, "shipping": 0, "tax": 0, "deposit": 0, "total": 5000},
            "currency": "EUR",
            "priceChanged": False,
            "changes": [],
        },
    )
    session = standin.session(body["sessionId"])
    assert session["metadata"] == {
        "shop_id": "band",
        "order_id": body["orderId"],
        "inventory_reservation_id": body["inventoryReservationId"],
        "request_id": answer.headers["X-Request-Id"],
        "rentalDays": "0",
        "depositTotal": "0",
    }
    assert (session["amount_total"], session["client_reference_id"]) == (5000, str(attempt.pk))
    assert OrderLine.objects.get().title == "Headband (M)"
    assert trade.facts() == {
        "on_hand": 10, "held": 2, "orders": ["pending"], "holds": ["active"], "attempts": [("open", "")],
        "sales": 0, "captured": 0,
    }  # fmt: skip


def test_the_alias_is_the_same_checkout(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    first = buyer.checkout().json()
    again = buyer.call("POST", "/api/checkout/session", {})
    assert (again.status_code, again.json()["sessionId"]) == (200, first["sessionId"])


def test_twenty_posts_at_once_make_one_session(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    standin.fault(path=SESSIONS, kind="latency", seconds=0.5)
    answers = in_threads([buyer.twin().checkout for _ in range(20)])
    assert sorted(a.status_code for a in answers) == [200] * 19 + [201]
    assert len({a.json()["sessionId"] for a in answers}) == 1
    assert len(standin.requests(SESSIONS)) == 1
    assert trade.facts() | {"attempts": None} == {
        "on_hand": 10, "held": 1, "orders": ["pending"], "holds": ["active"], "attempts": None,
        "sales": 0, "captured": 0,
    }  # fmt: skip


def test_a_lost_answer_keeps_the_hold_and_the_repeat_reaches_the_same_session(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    standin.fault(path=SESSIONS, kind="drop_after")
    lost = buyer.checkout()
    assert (lost.status_code, lost.json()["code"], lost.headers["Retry-After"]) == (503, "payment_unknown", "1")
    assert trade.facts()["attempts"] == [("unknown", "")]
    again = buyer.checkout()
    assert again.status_code == 200
    creates = standin.requests(SESSIONS)
    assert len(creates) == 2
    keys = {c["headers"]["Idempotency-Key"] for c in creates}
    assert keys == {CheckoutAttempt.objects.get().stripe_key}
    assert again.json()["url"].endswith(again.json()["sessionId"])
    assert trade.facts() == {
        "on_hand": 10, "held": 1, "orders": ["pending"], "holds": ["active"], "attempts": [("open", "")],
        "sales": 0, "captured": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_before"},
        {"kind": "drop_after"},
        {"kind": "status", "status": 500, "when": "before"},
        {"kind": "html"},
        {"kind": "rate_limit"},
        {"kind": "status", "status": 409, "when": "before"},
    ],
    ids=lambda f: f"{f['kind']}-{f.get('status', '')}",
)
def test_unknown_outcomes_keep_the_hold_and_the_resolver_finishes(
    trade: Trade, standin: StandIn, fault: dict[str, Any]
) -> None:
    buyer = trade.buyer_with_cart()
    standin.fault(path=SESSIONS, **fault)
    answer = buyer.checkout()
    assert (answer.status_code, answer.json()["code"]) == (503, "payment_unknown")
    assert trade.facts()["held"] == 1
    report = resolver.run_once(now=timezone.now())
    assert (report.found, report.resolved, report.failed) == (1, 1, 0)
    assert trade.facts()["attempts"] == [("open", "")]
    assert buyer.checkout().status_code == 200


@pytest.mark.parametrize(("status", "kind"), [(401, "authentication_error"), (403, "permission_error"), (400, "x")])
def test_a_definitive_refusal_frees_the_hold(trade: Trade, standin: StandIn, status: int, kind: str) -> None:
    buyer = trade.buyer_with_cart()
    standin.fault(path=SESSIONS, kind="status", status=status, when="before", code="refused_by_test")
    answer = buyer.checkout()
    assert (answer.status_code, answer.json()["code"], answer.json()["error"]) == (
        502, "payment_rejected", "checkout_failed",
    )  # fmt: skip
    assert answer.json()["reason"] == "refused_by_test"
    assert trade.facts() == {
        "on_hand": 10, "held": 0, "orders": ["failed"], "holds": ["released"], "attempts": [("closed", "refused")],
        "sales": 0, "captured": 0,
    }  # fmt: skip
    assert buyer.checkout().status_code == 201


def test_with_classification_off_nothing_is_released_on_failure(trade: Trade, standin: StandIn, settings: Any) -> None:
    settings.ENABLE_STRIPE_ERROR_CLASSIFICATION = False
    standin.fault(path=SESSIONS, kind="status", status=401, when="before")
    buyer = trade.buyer_with_cart()
    assert buyer.checkout().json()["code"] == "payment_unknown"
    assert trade.facts()["holds"] == ["active"]


def test_one_refusal_after_an_unknown_send_proves_nothing(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    standin.fault(path=SESSIONS, kind="drop_after")
    buyer.checkout()
    standin.fault(path=SESSIONS, kind="status", status=401, when="before")
    assert buyer.checkout().json()["code"] == "payment_unknown"
    assert trade.facts()["holds"] == ["active"]
    assert buyer.checkout().status_code == 200


def test_a_changed_cart_supersedes_its_checkout(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart(1)
    first = buyer.checkout().json()
    buyer.add(trade.variant, 2)
    second = buyer.checkout()
    assert second.status_code == 201
    assert second.json()["amounts"]["total"] == 7500
    assert standin.session(first["sessionId"])["status"] == "expired"
    assert standin.session(second.json()["sessionId"])["status"] == "open"
    assert trade.facts() == {
        "on_hand": 10, "held": 3, "orders": ["canceled", "pending"], "holds": ["active", "expired"],
        "attempts": [("closed", "expired"), ("open", "")], "sales": 0, "captured": 0,
    }  # fmt: skip


def test_a_supersede_that_races_a_create_in_flight_leaves_one_payable_session(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart(1)
    standin.fault(path=SESSIONS, kind="latency", seconds=1.5)

    def change_and_check_out() -> Any:
        while not CheckoutAttempt.objects.exists():
            pass
        other_tab = buyer.twin()
        other_tab.add(trade.variant, 1)
        return other_tab.checkout()

    slow, second = in_threads([buyer.twin().checkout, change_and_check_out])
    assert second.status_code in {200, 201}
    sessions = [a.session_id for a in CheckoutAttempt.objects.all() if a.session_id]
    open_now = [s for s in sessions if standin.session(s)["status"] == "open"]
    assert open_now == [second.json()["sessionId"]]
    # The slow tab's own cart is the changed one by now: it is answered with the same session, or asked to repeat.
    assert slow.status_code == 503 or slow.json()["sessionId"] == second.json()["sessionId"]
    facts = trade.facts()
    assert (facts["held"], facts["holds"].count("active")) == (2, 1)


def test_a_changed_price_supersedes_and_charges_the_catalog(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    first = buyer.checkout().json()
    trade.variant.price_amount = 3000
    trade.variant.save()
    second = buyer.checkout().json()
    assert second["sessionId"] != first["sessionId"]
    assert standin.session(first["sessionId"])["status"] == "expired"
    assert standin.session(second["sessionId"])["amount_total"] == 3000
    changes = [{"sku": "BAND", "variantKey": "BAND#size:M", "was": 2500, "now": 3000}]
    assert (second["priceChanged"], second["changes"]) == (True, changes)


def test_two_strangers_share_nothing(trade: Trade, standin: StandIn) -> None:
    answers = in_threads([trade.buyer_with_cart().checkout for _ in range(6)])
    assert [a.status_code for a in answers] == [201] * 6
    assert len({a.json()["sessionId"] for a in answers}) == 6
    assert trade.facts()["held"] == 6


def test_more_buyers_than_units(trade: Trade, standin: StandIn) -> None:
    answers = in_threads([trade.buyer_with_cart(3).checkout for _ in range(8)])
    codes = sorted(a.status_code for a in answers)
    assert codes.count(201) == 3, [a.content for a in answers]
    refused = [a.json() for a in answers if a.status_code == 409]
    assert all(r["code"] == "inventory_insufficient" and r["error"] == "insufficient_stock" for r in refused)
    assert refused[0]["items"][0]["requested"] == 3
    assert trade.facts()["held"] == 9
    assert verify_stock().clean


def test_an_empty_cart_is_refused(trade: Trade, standin: StandIn) -> None:
    answer = trade.buyer().checkout()
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_items_need_a_key_and_repeat_under_it(trade: Trade, standin: StandIn) -> None:
    items = {"items": [{"sku": "BAND", "quantity": 2, "variantAttributes": {"size": "M"}}]}
    buyer = trade.buyer()
    assert buyer.checkout(items).json()["code"] == "invalid_request"
    first = buyer.checkout(items, Idempotency_Key="order-1")
    again = trade.buyer().checkout(items, Idempotency_Key="order-1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["sessionId"] == again.json()["sessionId"]
    other = {"items": [{"sku": "BAND", "quantity": 1, "variantAttributes": {"size": "M"}}]}
    conflict = buyer.checkout(other, Idempotency_Key="order-1")
    assert (conflict.status_code, conflict.json()["code"]) == (409, "idempotency_conflict")
    assert trade.facts()["held"] == 2


def test_overdue_holds_make_room_for_the_next_buyer(trade: Trade, standin: StandIn) -> None:
    abandoned = trade.buyer_with_cart(10).checkout().json()
    Hold.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    answer = trade.buyer_with_cart(4).checkout()
    assert answer.status_code == 201
    assert standin.session(abandoned["sessionId"])["status"] == "expired"
    assert trade.facts()["held"] == 4


def test_overdue_but_paid_is_not_given_away(trade: Trade, standin: StandIn) -> None:
    first = trade.buyer_with_cart(10).checkout().json()
    standin.pay(first["sessionId"])
    Hold.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    answer = trade.buyer_with_cart(4).checkout()
    assert (answer.status_code, answer.json()["code"]) == (409, "inventory_insufficient")
    assert trade.facts() | {"attempts": None} == {
        "on_hand": 0, "held": 0, "orders": ["confirmed"], "holds": ["committed"], "attempts": None,
        "sales": 1, "captured": 25000,
    }  # fmt: skip


def test_a_shop_that_only_validates_holds_nothing_and_takes_stock_when_paid(trade: Trade, standin: StandIn) -> None:
    trade.shop.settings.inventory_mode = "validate_only"
    trade.shop.settings.save()
    assert trade.buyer_with_cart(11).checkout().json()["code"] == "inventory_insufficient"
    buyer = trade.buyer_with_cart(4)
    answer = buyer.checkout().json()
    assert answer["inventoryReservationId"] is None
    assert "inventory_reservation_id" not in standin.session(answer["sessionId"])["metadata"]
    assert trade.facts()["held"] == 0
    standin.pay(answer["sessionId"])
    assert buyer.checkout().json()["orderId"] == answer["orderId"]
    facts = trade.facts()
    assert (facts["on_hand"], facts["held"], facts["holds"], facts["orders"]) == (6, 0, [], ["confirmed"])
    assert verify_stock().clean


def statements_of(captured: CaptureQueriesContext) -> list[str]:
    """The checkout's own: without transaction control and the front door's host map."""
    all_of_them = [without_scope(str(query["sql"])).strip() for query in captured.captured_queries]
    others = ("BEGIN", "COMMIT", 'SELECT "tenants_host"')
    return [s for s in all_of_them if not s.startswith(others) and "FROM tenants_host" not in s]


@pytest.mark.parametrize("own_keys", [False, True])
def test_a_checkout_takes_fourteen_statements_of_its_own(trade: Trade, standin: StandIn, own_keys: bool) -> None:
    """Whosever account the shop sells on, it is read once."""
    if own_keys:
        use_own_keys(shop_id="band", secret_key="sk_test_own", reason="Contract", acting=Actor("staff", "olga"))
    buyer = trade.buyer_with_cart()
    with CaptureQueriesContext(connection) as first:
        assert buyer.checkout().status_code == 201
    with CaptureQueriesContext(connection) as repeat:
        assert buyer.checkout().status_code == 200
    assert len(statements_of(first)) == 14, statements_of(first)
    begun = [query["sql"] for query in first.captured_queries if str(query["sql"]).startswith("BEGIN")]
    assert len(begun) == 3, "one claims, one records; between them the gateway's guard, which sends nothing"
    assert len(statements_of(repeat)) == 4, statements_of(repeat)
    attempt = CheckoutAttempt.objects.get()
    assert (attempt.stripe_account == "acct_own") is own_keys
    assert (attempt.state, attempt.order.session_id) == (CheckoutAttempt.State.OPEN, attempt.session_id)


@pytest.mark.parametrize(("locale", "page"), [("de", "de"), ("pt-BR", "pt-BR"), ("de-CH", "de"), ("uk", "auto")])
def test_a_locale_that_stripe_does_not_speak_sells_all_the_same(
    trade: Trade, standin: StandIn, locale: str, page: str
) -> None:
    trade.shop.settings.locales = ["en", locale]
    trade.shop.settings.save()
    answer = trade.buyer_with_cart().checkout({"locale": locale})
    assert answer.status_code == 201
    assert CheckoutAttempt.objects.get().stripe_params["locale"] == page


def test_a_long_title_is_cut_before_its_variant(trade: Trade, standin: StandIn) -> None:
    product, size = trade.variant.product, {"model": "m" * 60, "width": "w" * 60}
    ProductText.objects.update(title="T" * 200)
    key = variant_key(product.sku, size)
    Variant.objects.filter(pk=trade.variant.pk).update(attributes=size, variant_key=key)
    StockRow.objects.filter(pk=trade.stock.pk).update(variant_key=key)
    trade.variant.refresh_from_db()
    assert trade.buyer_with_cart().checkout().status_code == 201
    title = OrderLine.objects.get().title
    assert (len(title), title[-125:]) == (300, f" ({'m' * 60}, {'w' * 60})")


@pytest.mark.parametrize(("sent", "counted"), [("2", 1), ("0", 0), ("", 0), ("-1", 0), ("²", 0), ("many", 0)])
def test_a_retry_that_succeeds_after_busy_is_counted(trade: Trade, standin: StandIn, sent: str, counted: int) -> None:
    before = BUSY_RETRIED.labels("band")._value.get()
    buyer = trade.buyer_with_cart()
    assert buyer.checkout(X_Busy_Retry=sent).status_code == 201
    assert buyer.checkout(X_Busy_Retry=sent).status_code == 200  # a repeat places nothing
    assert BUSY_RETRIED.labels("band")._value.get() - before == counted


@pytest.mark.parametrize("mode", ["enforce_and_proceed", "log_only", "enforce_and_reject"])
def test_drift_is_counted_once_per_request(trade: Trade, standin: StandIn, mode: str) -> None:
    """However often the checkout has to begin: here room is made first, and then it begins anew."""
    trade.shop.settings.reprice_policy = mode
    trade.shop.settings.save()
    trade.buyer_with_cart(10).checkout()
    Hold.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    counter = REPRICE_DRIFT.labels(shop_id="band", mode=mode)._value
    before = counter.get()
    answer = trade.buyer_with_cart().checkout({"expectedAmount": 1000})
    assert answer.status_code == (409 if mode == "enforce_and_reject" else 201)
    assert counter.get() - before == 1
