"""Stripe's books against ours: what differs is listed, put right by Stripe's word, dismissed, or gone by itself."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from checkout.settle import settle_session
from commerce.models import Order, Refund
from tenants.audit import Actor
from tenants.context import load_shop
from tenants.errors import NotFound
from tenants.models import AuditEntry
from tenants.staff import EVERY_SHOP, StaffScope
from tests.commerce.backoffice import desk, found, queries, text
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from tests.webhooks.test_receive import CONFIRMED, paid_session
from webhooks import reconcile
from webhooks.findings import dismiss_finding, fix_finding
from webhooks.models import Finding

WHY: dict[str, Any] = {"reason": "Looked into it", "acting": Actor("staff", "olga")}


def look(hours: int = 3) -> reconcile.ReconcileReport:
    """When what was done just now has settled."""
    return reconcile.run_once(now=timezone.now() + timedelta(hours=hours))


def listed() -> list[tuple[str, str, str | None, int, str]]:
    rows = Finding.objects.order_by("pk")
    return list(rows.values_list("kind", "object_id", "shop_id", "amount", "state"))


def bought(trade: Trade, standin: StandIn) -> Order:
    session = paid_session(trade, standin)
    settle_session(shop=load_shop(str(trade.shop.pk)), session_id=session["id"])
    return Order.objects.get(session_id=session["id"])


def test_books_that_agree_leave_nothing_to_list(trade: Trade, standin: StandIn) -> None:
    bought(trade, standin)
    trade.buyer_with_cart().checkout()
    report = look()
    assert (report.accounts, report.open, report.new, report.failed) == (1, 0, 0, ())
    assert "Stripe's books and ours agree." in text(desk().list(Finding))


def test_money_without_order_is_listed_and_put_right(trade: Trade, standin: StandIn) -> None:
    session = paid_session(trade, standin)
    assert look().new == 1
    assert listed() == [("money_without_order", session["id"], "band", 2500, "open")]
    assert look(4).new == 0, "listed once"
    owner, row = desk(), Finding.objects.get()
    assert found(owner.list(Finding, q=session["id"])) == {str(row.pk)}
    assert "the order follows, its stock is taken" in text(owner.ask(Finding, "fix", row))
    assert "The order is confirmed." in owner.do(Finding, "fix", row, reason="The event never came")
    assert trade.facts() == CONFIRMED
    row.refresh_from_db()
    assert (row.state, row.closed_by) == ("fixed", "staff:owner")
    assert AuditEntry.objects.get(action="finding.fixed").reason == "The event never came"
    assert "It isn't open any more." in text(owner.ask(Finding, "fix", row))
    assert look(5).open == 0


def test_what_the_late_event_puts_right_is_gone_by_itself(trade: Trade, standin: StandIn) -> None:
    session = paid_session(trade, standin)
    look()
    settle_session(shop=load_shop("band"), session_id=session["id"])
    assert look(4).open == 0
    assert [state for *_, state in listed()] == ["gone"]


def test_an_order_without_money_is_listed_and_decided_by_staff(trade: Trade, standin: StandIn) -> None:
    trade.buyer_with_cart().checkout()
    order = Order.objects.get()
    Order.objects.filter(pk=order.pk, shop=trade.shop).update(status="confirmed", confirmed_at=timezone.now())
    look()
    assert listed() == [("order_without_money", order.session_id, "band", 2500, "open")]
    owner, row = desk(), Finding.objects.get()
    assert "Stripe says: session open, payment unpaid" in text(owner.page(row))
    assert "Stripe has no money for it" in owner.do(Finding, "fix", row, reason="Is it there by now")
    assert "Dismissed." in owner.do(Finding, "dismiss", row, reason="Paid in cash at the counter")
    look(4)
    assert [state for *_, state in listed()] == ["dismissed"], "it stays dismissed"


def test_a_refund_that_nobody_told_of(trade: Trade, standin: StandIn) -> None:
    order = bought(trade, standin)
    made = standin.post("/v1/refunds", {"payment_intent": order.payment_intent_id, "amount": "700"})
    look()
    assert listed() == [("refund_unknown", made["id"], "band", 700, "open")]
    fix_finding(finding_id=Finding.objects.get().pk, scope=EVERY_SHOP, **WHY)
    order.refresh_from_db()
    assert (order.refunded_amount, Refund.objects.get().amount) == (700, 700)
    assert look(4).open == 0


def test_each_shop_has_its_own(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    mine, theirs = paid_session(trade, standin), paid_session(other_trade, standin)
    look()
    assert {(kind, shop) for kind, _, shop, *_ in listed()} == {
        ("money_without_order", "band"), ("money_without_order", "other"),
    }  # fmt: skip
    row = Finding.objects.get(object_id=mine["id"])
    for verb in (fix_finding, dismiss_finding):
        with pytest.raises(NotFound):
            verb(finding_id=row.pk, scope=StaffScope(frozenset({"other"})), **WHY)
    fix_finding(
        finding_id=Finding.objects.get(object_id=theirs["id"]).pk, scope=StaffScope(frozenset({"other"})), **WHY
    )
    assert (trade.facts()["orders"], other_trade.facts()["orders"]) == (["pending"], ["confirmed"])


def test_what_this_product_did_not_sell_is_none_of_its_business(trade: Trade, standin: StandIn) -> None:
    made = standin.post(
        "/v1/checkout/sessions",
        {
            "mode": "payment", "success_url": "http://x.localhost/t", "line_items[0][quantity]": "1",
            "line_items[0][price_data][currency]": "eur", "line_items[0][price_data][unit_amount]": "900",
            "line_items[0][price_data][product_data][name]": "A link of the account's own",
        },
    )  # fmt: skip
    standin.pay(made["id"])
    assert look().open == 0


def test_an_account_that_cannot_be_read_is_told(trade: Trade, standin: StandIn) -> None:
    paid_session(trade, standin)
    standin.fault(path="/v1/charges", method="GET", kind="drop_before")
    with pytest.raises(CommandError, match="acct_standin"):
        call_command("reconcile")
    assert not Finding.objects.exists()
    out = StringIO()
    call_command("reconcile", stdout=out)
    assert "1 accounts compared" in out.getvalue()
    for wrong in (0, 61):
        with pytest.raises(CommandError, match="1 to 60"):
            call_command("reconcile", days=wrong)


def test_pages_need_as_many_queries_for_three_rows_as_for_one(trade: Trade, standin: StandIn) -> None:
    paid_session(trade, standin)
    look()
    owner, row = desk(), Finding.objects.get()
    visits = (lambda: owner.list(Finding), lambda: owner.page(row))
    once = [queries(visit) for visit in visits]
    paid_session(trade, standin)
    paid_session(trade, standin)
    look(4)
    assert Finding.objects.count() == 3
    assert [queries(visit) for visit in visits] == once
