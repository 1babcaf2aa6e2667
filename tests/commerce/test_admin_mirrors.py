"""Disputes, subscriptions and invoices in the back office: found, read, asked about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Model
from django.utils import timezone

from commerce.models import Dispute, Invoice, Order, Subscription
from tests.commerce.backoffice import desk, found, queries, text
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade

READ: dict[str, Any] = {"read_stamp": 0, "stripe_account": "acct_standin"}


def dispute(trade: Trade, name: str, **more: Any) -> Dispute:
    now = timezone.now()
    fields = {"status": "needs_response", "currency": "EUR", "amount": 2500, "reason": "fraudulent"} | more
    return Dispute.objects.create(
        shop=trade.shop, dispute_id=name, read_at=now, created_at=now, evidence_due_by=now, **READ, **fields
    )


def subscription(trade: Trade, name: str, **more: Any) -> Subscription:
    now = timezone.now()
    fields = {"status": "active", "customer_id": "cus_1"} | more
    return Subscription.objects.create(
        shop=trade.shop, subscription_id=name, read_at=now, created_at=now, **READ, **fields
    )


def invoice(trade: Trade, name: str, **more: Any) -> Invoice:
    now = timezone.now()
    fields = {"status": "open", "currency": "EUR", "amount_due": 1900, "amount_paid": 0, "amount_remaining": 1900}
    return Invoice.objects.create(
        shop=trade.shop, invoice_id=name, read_at=now, created_at=now, **READ, **(fields | more)
    )


@pytest.mark.parametrize("make", [dispute, subscription, invoice], ids=lambda make: make.__name__)
def test_pages_need_as_many_queries_for_three_rows_as_for_one(trade: Trade, make: Any) -> None:
    owner, row = desk(), make(trade, "x_1")
    visits = (lambda: owner.list(type(row)), lambda: owner.page(row))
    once = [queries(visit) for visit in visits]
    make(trade, "x_2")
    make(trade, "x_3")
    assert [queries(visit) for visit in visits] == once
    assert max(once) <= 12


def test_a_dispute_is_found_and_shown(trade: Trade, other_trade: Trade) -> None:
    moved = {"withdrawn_amount": 2709, "fee_amount": 1500, "balance_currency": "USD"}
    row = dispute(trade, "du_1", payment_intent_id="pi_1", **moved)
    dispute(other_trade, "du_2", status="won")
    owner = desk()
    for term in ("du_1", "pi_1"):
        assert found(owner.list(Dispute, q=term)) == {str(row.pk)}, term
    assert found(owner.list(Dispute, q="nonsense")) == set()
    assert found(owner.list(Dispute, open="yes")) == {str(row.pk)}
    assert found(owner.list(Dispute, open="answer")) == {str(row.pk)}
    front = text(owner.client.get("/admin/"))
    assert "Disputes to answer 0" in front, "its day has passed"
    Dispute.objects.update(evidence_due_by=timezone.now() + timedelta(days=3, minutes=1))
    front = text(owner.client.get("/admin/"))
    assert "Disputes to answer 1 look the first in 3 d" in front and "Differences from Stripe 0" in front
    Dispute.objects.filter(pk=row.pk).update(status="under_review")
    assert found(owner.list(Dispute, open="answer")) == set()
    Dispute.objects.filter(pk=row.pk).update(status="needs_response")
    shown = text(owner.page(row))
    assert (
        "Needs a response" in shown
        and "€25.00" in shown
        and "$27.09" in shown
        and "$15.00" in shown
        and "a refund would be paid twice" in shown
    )


def test_a_subscriptions_page_has_its_invoices(trade: Trade) -> None:
    row = subscription(trade, "sub_1", cancel_at_period_end=True)
    invoice(trade, "in_1", subscription_id="sub_1", number="A-1")
    invoice(trade, "in_2", subscription_id="sub_2", number="A-2")
    owner = desk()
    shown = text(owner.page(row))
    assert "A-1" in shown and "A-2" not in shown and "With its period" in shown and "€19.00" in shown
    assert found(owner.list(Subscription, q="cus_1")) == found(owner.list(Subscription, q="sub_1")) == {str(row.pk)}
    assert len(found(owner.list(Invoice, q="sub_1"))) == len(found(owner.list(Invoice, q="in_2"))) == 1


def test_stripe_is_asked_again(trade: Trade, standin: StandIn) -> None:
    placed = {"id": "sub_1", "object": "subscription", "status": "canceled", "created": 1, "items": {"data": []}}
    standin.call("objects", {"object": placed})
    row, owner = subscription(trade, "sub_1"), desk()
    assert "Canceled." in owner.do(Subscription, "ask", row)
    row.refresh_from_db()
    assert row.status == "canceled"
    for missing in (subscription(trade, "sub_2"), invoice(trade, "in_2"), dispute(trade, "du_2")):
        model: type[Model] = type(missing)
        assert "Stripe could not be asked, nothing has changed" in owner.do(model, "ask", missing)


def test_a_disputed_order_is_on_the_desk(trade: Trade, standin: StandIn) -> None:
    trade.buyer_with_cart().checkout()
    order, owner = Order.objects.get(), desk()
    assert found(owner.list(Order, desk="attention")) == set()
    Order.objects.filter(pk=order.pk, shop=trade.shop).update(disputed=True)
    assert (
        found(owner.list(Order, desk="attention")) == found(owner.list(Order, disputed__exact="1")) == {str(order.pk)}
    )
    assert "disputed" in text(owner.list(Order))


def test_empty_lists_say_what_would_fill_them(trade: Trade) -> None:
    owner = desk()
    for model, said in ((Dispute, "No payment"), (Subscription, "No subscription yet"), (Invoice, "No invoice yet")):
        assert said in text(owner.list(model))
