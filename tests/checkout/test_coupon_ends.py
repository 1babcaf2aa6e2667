"""Every way in which a coupon's use is given back with the hold, and payments that come after that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from checkout import resolver
from checkout.attempts import CLOCK_MARGIN
from checkout.closing import close_checkout
from checkout.models import CheckoutAttempt
from commerce.models import CouponRedemption, Order
from inventory import reaper
from inventory.models import Hold
from tenants.context import load_shop
from tests.checkout.couponing import COUPONS, SESSIONS, STAFF, coupon, settle, states, use
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade


def overdue() -> None:
    Hold.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def by_the_reaper(trade: Trade, standin: StandIn) -> None:
    use(trade.buyer_with_cart())
    overdue()
    reaper.run_once(now=timezone.now())


def by_staff(trade: Trade, standin: StandIn) -> None:
    use(trade.buyer_with_cart())
    attempt = CheckoutAttempt.objects.get()
    close_checkout(shop=load_shop("band"), attempt_id=attempt.pk, reason="Customer called", acting=STAFF)


def by_stripes_expiry(trade: Trade, standin: StandIn) -> None:
    session_id = use(trade.buyer_with_cart()).json()["sessionId"]
    standin.call(f"sessions/{session_id}/expire", {})
    settle(session_id)


def by_a_failed_payment(trade: Trade, standin: StandIn) -> None:
    session_id = use(trade.buyer_with_cart()).json()["sessionId"]
    standin.pay(session_id, method="bank_debit")
    assert settle(session_id).order_status == "processing"
    assert states() == (["reserved"], 1)
    standin.call(f"sessions/{session_id}/settle_async", {"outcome": "failed"})
    settle(session_id)


def by_a_refused_session(trade: Trade, standin: StandIn) -> None:
    standin.fault(path=SESSIONS, kind="status", status=400)
    assert use(trade.buyer_with_cart()).status_code == 502


def by_a_refused_coupon(trade: Trade, standin: StandIn) -> None:
    standin.fault(path=COUPONS, kind="status", status=401, code="refused_by_test")
    answer = use(trade.buyer_with_cart())
    assert (answer.status_code, answer.json()["reason"]) == (502, "refused_by_test")
    assert standin.requests(SESSIONS) == []


def by_the_clock(trade: Trade, standin: StandIn) -> None:
    standin.fault(path=COUPONS, kind="drop_before", times=50)
    assert use(trade.buyer_with_cart()).status_code == 503
    assert states() == (["reserved"], 1)
    resolver.run_once(now=CheckoutAttempt.objects.get().session_expires_at + CLOCK_MARGIN)
    standin.call("faults", method="DELETE")


ENDS = [by_the_reaper, by_staff, by_stripes_expiry, by_a_failed_payment, by_a_refused_session, by_a_refused_coupon,
        by_the_clock]  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "end"),
    [("reserve_ttl", end) for end in ENDS] + [("validate_only", end) for end in ENDS if end is not by_the_reaper],
    ids=lambda given: given if isinstance(given, str) else given.__name__,
)
def test_given_back_with_the_hold(trade: Trade, standin: StandIn, end: Any, mode: str) -> None:
    trade.shop.settings.inventory_mode = mode
    trade.shop.settings.save()
    coupon(trade, limit_total=1, limit_per_email=1)
    end(trade, standin)
    assert (states(), trade.facts()["held"]) == ((["freed"], 0), 0)
    assert use(trade.buyer_with_cart()).status_code == 201
    assert states() == (["freed", "reserved"], 1)


def paid_late(trade: Trade, standin: StandIn) -> str:
    session_id = str(use(trade.buyer_with_cart()).json()["sessionId"])
    standin.pay(session_id, card="4000002760003184", threeDS="abandon")
    overdue()
    reaper.run_once(now=timezone.now())
    assert states()[0][0] == "freed"
    standin.call(f"sessions/{session_id}/late_pay", {})
    return session_id


def test_a_late_payment_redeems_what_it_was_promised(trade: Trade, standin: StandIn) -> None:
    coupon(trade, limit_total=1)
    session_id = paid_late(trade, standin)
    assert settle(session_id).order_status == "confirmed"
    assert (states(), Order.objects.get().total_amount) == ((["redeemed"], 1), 2250)


@pytest.mark.parametrize("limit", ["limit_total", "limit_per_email"])
def test_a_late_payment_takes_nobodys_use(trade: Trade, standin: StandIn, limit: str) -> None:
    coupon(trade, **{limit: 1})
    session_id = paid_late(trade, standin)
    other = use(trade.buyer_with_cart()).json()["sessionId"]
    assert settle(session_id).order_status == "confirmed"
    assert states() == (["redeemed", "reserved"], 1)
    assert list(CouponRedemption.objects.order_by("pk").values_list("beyond_limit", flat=True)) == [True, False]
    standin.pay(other)
    settle(other)
    assert states() == (["redeemed", "redeemed"], 1)
