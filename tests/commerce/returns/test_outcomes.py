"""What Stripe may answer to a refund, or not: refused, unknown, pending, failed later; and how each ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from pytest_django import Settings

from commerce.models import Order, Refund, Return
from commerce.returns import resolver
from commerce.returns.claiming import LineReturned, ReturnCommand
from commerce.returns.errors import MoneyReserved, RefundRejected, RefundUnknown
from commerce.returns.mirror import mirror_refund
from commerce.returns.refunding import refund_again, refund_order, return_order
from commerce.tasks import resolve_refunds
from inventory.models import StockMovement, StockRow
from tenants.audit import Actor
from tenants.context import bind_shop, load_shop
from tenants.errors import WrongState
from tenants.models import AuditEntry, ShopSettings
from tests.commerce.backoffice import desk, text
from tests.fixtures.payments import at_stripe, balances, paid_order, refunds_of
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade

STAFF = Actor("staff", "olga")
REFUNDS = "/v1/refunds"
PAYMENT = {"revenue": -5000, "stripe_clearing": 5000 - 175, "stripe_fees": 175}


def ask(order: Order, key: str = "k-1", **asked: Any) -> Any:
    shop = load_shop(order.shop_id)
    with bind_shop(shop):
        command = ReturnCommand(order_id=order.pk, reason="A test", key=key, **asked)
        return return_order(shop=shop, command=command, acting=STAFF)


def again(row: Refund) -> Any:
    shop = load_shop(row.shop_id)
    with bind_shop(shop):
        return refund_again(shop=shop, refund_id=row.pk, reason="Once more", acting=STAFF)


def later(**span: int) -> Any:
    return resolver.run_once(now=timezone.now() + timedelta(**span))


def test_a_definitive_no_leaves_everything_as_it_was(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin, 2)
    standin.fault(
        path=REFUNDS, kind="status", status=400, type="invalid_request_error", code="charge_disputed", times=1
    )
    line = LineReturned(order.lines.get().pk, 1, restock=True)
    for _ in range(2):  # the answer of a key stays what it was
        with pytest.raises(RefundRejected) as caught:
            ask(order, lines=(line,))
        assert caught.value.members() == {"reason": "charge_disputed"}
    order.refresh_from_db()
    assert (order.refunded_amount, order.lines.get().returned_quantity, refunds_of(order)) == (
        0, 0, [("failed", 2500, 0)],
    )  # fmt: skip
    assert Return.objects.get().status == "refused"
    assert not StockMovement.objects.filter(reason="return").exists()
    assert balances("band") == PAYMENT
    assert ask(order, "k-2", lines=(line,)).refunded == 2500


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "status", "html", "rate_limit"])
def test_an_unknown_outcome_is_found_out_and_never_sent_twice(trade: Trade, standin: StandIn, kind: str) -> None:
    order = paid_order(trade, standin, 2)
    more = {"status": 500, "when": "after"} if kind == "status" else {"when": "after"} if kind == "html" else {}
    standin.fault(path=REFUNDS, kind=kind, **more)
    with pytest.raises(RefundUnknown):
        ask(order, amount=2000)
    order.refresh_from_db()
    assert (order.refunded_amount, refunds_of(order)) == (2000, [("unknown", 2000, 0)]), "kept reserved"
    assert ask(order, amount=2000).refunded == 2000
    assert refunds_of(order) == [("succeeded", 2000, 0)]
    assert balances("band") == PAYMENT | {"sales_returns": 2000, "stripe_clearing": 2825}
    assert at_stripe(standin) == 2825


def test_the_worker_finds_it_out_when_nobody_asks_again(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin, 2)
    line = LineReturned(order.lines.get().pk, 1, restock=True)
    standin.fault(path=REFUNDS, kind="drop_after")
    with pytest.raises(RefundUnknown):
        ask(order, lines=(line,))
    assert not StockMovement.objects.filter(reason="return").exists(), "restocked only once Stripe has it"
    report = later(minutes=1)
    assert (report.found, report.moved, report.failed, report.restocked) == (1, 1, 0, 1)
    assert later(minutes=3).restocked == 0
    assert refunds_of(order) == [("succeeded", 2500, 0)]
    assert len(standin.requests(REFUNDS)) == 1
    assert StockMovement.objects.get(reason="return").delta == 1


def test_a_sender_that_died_is_replaced(trade: Trade, standin: StandIn) -> None:
    """Between the commit of what will be sent and its answer: the row is there, and nobody is at it."""
    order = paid_order(trade, standin, 2)
    standin.fault(path=REFUNDS, kind="drop_before")
    with pytest.raises(RefundUnknown):
        ask(order, amount=2000)
    Refund.objects.update(status="sending", lease_until=timezone.now() + timedelta(seconds=30))
    assert later(seconds=25).moved == 0, "somebody may still be at it"
    assert later(seconds=90).moved == 1
    assert refunds_of(order) == [("succeeded", 2000, 0)]
    sent = standin.requests(REFUNDS)
    assert len({call["headers"].get("idempotency-key") for call in sent}) == 1


def test_after_a_day_the_key_is_not_used_again(trade: Trade, standin: StandIn) -> None:
    """Stripe would carry the request out anew. Its list is the only witness left, and it has none."""
    order = paid_order(trade, standin, 2)
    standin.fault(path=REFUNDS, kind="drop_before")
    with pytest.raises(RefundUnknown):
        ask(order, amount=2000)
    sent = len(standin.requests(REFUNDS))
    Refund.objects.update(created_at=timezone.now() - timedelta(hours=24))
    later(minutes=1)
    assert refunds_of(order) == [("failed", 2000, 0)]
    order.refresh_from_db()
    assert order.refunded_amount == 0
    assert len(standin.requests(REFUNDS)) == sent


def test_what_was_refunded_elsewhere_meanwhile_ends_a_refund_that_never_left(trade: Trade, standin: StandIn) -> None:
    """Stripe has too little left for it. Until it is given up it reserves what was refunded in the dashboard."""
    order = paid_order(trade, standin, 2)
    standin.fault(path=REFUNDS, kind="drop_before")
    with pytest.raises(RefundUnknown):
        ask(order, amount=4000)
    made = standin.post("/v1/refunds", {"payment_intent": order.payment_intent_id, "amount": "1500"})
    later(minutes=1)
    assert refunds_of(order) == [("unknown", 4000, 0)], "refused now; the first send may still be on its way"
    with pytest.raises(MoneyReserved):
        mirror_refund(shop=load_shop("band"), account=order.stripe_account, refund_id=made["id"])
    later(minutes=7)
    assert refunds_of(order) == [("failed", 4000, 0)]
    mirror_refund(shop=load_shop("band"), account=order.stripe_account, refund_id=made["id"])
    order.refresh_from_db()
    assert (order.refunded_amount, at_stripe(standin)) == (1500, balances("band")["stripe_clearing"])


def test_pending_is_money_that_has_left_and_says_so(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin, 2)
    standin.call("options", {"refundStatus": "pending"})
    outcome = refund_order_of(order)
    assert [made.status for made in outcome.refunds] == ["pending"]
    order.refresh_from_db()
    assert (order.status, order.refunded_amount) == ("confirmed", 5000), "refunded when it has arrived, not before"
    assert at_stripe(standin) == balances("band")["stripe_clearing"]
    standin.call(f"refunds/{Refund.objects.get().refund_id}/succeed", {})
    assert later(minutes=1).found == 0
    assert later(minutes=61).moved == 1
    order.refresh_from_db()
    assert order.status == "refunded"


def refund_order_of(order: Order) -> Any:
    shop = load_shop(order.shop_id)
    with bind_shop(shop):
        return refund_order(shop=shop, order_id=order.pk, reason="All of it", key="all", acting=STAFF)


def test_without_funds_nothing_is_booked_until_it_is_paid(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin, 2)
    standin.call("options", {"refundStatus": "insufficient_funds"})
    ask(order, amount=2000)
    row = Refund.objects.get()
    assert (row.status, row.pending_reason) == ("pending", "insufficient_funds")
    assert balances("band") == PAYMENT
    standin.call(f"refunds/{row.refund_id}/succeed", {})
    later(hours=2)
    assert balances("band") == PAYMENT | {"sales_returns": 2000, "stripe_clearing": 2825}
    assert at_stripe(standin) == 2825


def test_a_refund_that_comes_back_is_told_to_staff_and_can_be_sent_again(
    trade: Trade, standin: StandIn, settings: Settings
) -> None:
    settings.EMAIL_URL = "smtp://unused"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    ShopSettings.objects.filter(shop=trade.shop).update(alert_recipients=["desk@band.example"])
    order = paid_order(trade, standin, 2)
    standin.call("options", {"refundStatus": "requires_action"})
    ask(order, amount=2000)
    assert later(seconds=1).told == 1
    row = Refund.objects.get()
    standin.call(f"refunds/{row.refund_id}/fail", {"reason": "expired_or_canceled_card"})
    assert (later(hours=2).told, later(hours=4).told) == (1, 0)
    assert [(message.to, message.subject) for message in mail.outbox] == [
        (["desk@band.example"], f"Refund of order {order.number}: Waits for the customer"),
        (["desk@band.example"], f"Refund of order {order.number}: Failed"),
    ]
    assert "expired_or_canceled_card" in mail.outbox[1].body
    assert f"Mail to staff Refund of order {order.number}: Failed" in text(desk().page(order))
    order.refresh_from_db()
    assert order.refunded_amount == 0
    assert balances("band") == PAYMENT
    row.refresh_from_db()
    standin.call("options", {"refundStatus": "succeeded"})
    assert again(row).refunded == 2000
    with pytest.raises(WrongState):
        again(row)
    assert refunds_of(order) == [("failed", 2000, 0), ("succeeded", 2000, 0)]
    assert at_stripe(standin) == balances("band")["stripe_clearing"] == 2825
    assert AuditEntry.objects.get(action="refund.sent_again").reason == "Once more"


def test_what_was_given_back_in_another_way_is_not_sent_again(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin, 2)
    ask(order, amount=4000)
    row = Refund.objects.get()
    standin.call(f"refunds/{row.refund_id}/fail", {})
    later(seconds=1)
    shop = load_shop("band")
    from commerce.returns.mirror import mirror_refund

    with bind_shop(shop):
        mirror_refund(shop=shop, account=order.stripe_account, refund_id=str(row.refund_id))
    ask(order, "k-2", amount=3000)
    row.refresh_from_db()
    with pytest.raises(WrongState):
        again(row)


def test_units_without_a_stock_row_are_refunded_all_the_same(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin, 2)
    order.lines.update(variant_key="GONE", sku="GONE")
    line = LineReturned(order.lines.get().pk, 1, restock=True)
    assert ask(order, lines=(line,)).refunded == 2500
    assert (Return.objects.get().restock, StockRow.objects.get().on_hand) == ("failed", 8)
    assert AuditEntry.objects.filter(action="return.not_restocked").count() == 1
    assert later(hours=1).restocked == 0


def test_the_task_does_what_a_run_does(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin, 2)
    standin.fault(path=REFUNDS, kind="drop_after")
    with pytest.raises(RefundUnknown):
        ask(order, amount=100)
    Refund.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    resolve_refunds()
    assert refunds_of(order) == [("succeeded", 100, 0)]
