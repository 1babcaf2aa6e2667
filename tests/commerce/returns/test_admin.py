"""Giving money back from the order's page, and the desk for refunds that didn't arrive, as staff use them."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone

from commerce.models import JournalEntry, Order, Refund, Return
from commerce.returns import resolver
from inventory.models import StockMovement
from tenants.models import AuditEntry
from tests.commerce.backoffice import Desk, another_product, desk, found, html, queries, text
from tests.commerce.returns.test_outcomes import ask
from tests.factories.inventory import StockRowFactory
from tests.fixtures.payments import at_stripe, balances, paid_order, refunds_of
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade

TOKEN = re.compile(r'name="token" value="([^"]*)"')


def page_of(order: Order) -> str:
    return f"{reverse('admin:commerce_order_change', args=[order.pk])[: -len('change/')]}refund/"


def check(office: Desk, order: Order, **fields: Any) -> HttpResponse:
    return office.client.post(page_of(order), {"reason": "Too small", **fields})


def confirm(office: Desk, order: Order, checked: HttpResponse, **fields: Any) -> HttpResponse:
    match = TOKEN.search(checked.content.decode())
    assert match
    sent = {"reason": "Too small", "token": unescape(match.group(1)), "confirm": "1", **fields}
    return office.client.post(page_of(order), sent, follow=True)


def test_lines_go_back_after_it_was_said_what_will_happen(trade: Trade, standin: StandIn) -> None:
    order, office = paid_order(trade, standin, 3), desk()
    assert "Give money back" in html(office.page(order))
    opened = office.client.get(page_of(order))
    assert "Left to give back: €75.00" in text(opened)
    line = order.lines.get()
    fields = {"what": "lines", f"quantity_{line.pk}": "2", f"restock_{line.pk}": "on"}
    checked = check(office, order, **fields)
    said = text(checked)
    assert "€50.00 go back to the customer through Stripe." in said
    assert "2 × Headband (M) (BAND#size:M) count as returned: €50.00. They go on sale again." in said
    assert not Return.objects.exists(), "nothing yet"
    done = confirm(office, order, checked, **fields)
    assert "Too small" in text(done)
    assert refunds_of(order) == [("succeeded", 5000, 0)]
    assert StockMovement.objects.get(reason="return").actor == "staff:owner"
    again = confirm(office, order, checked, **fields)
    assert again.status_code == 200
    assert Return.objects.count() == 1, "a second click is the same return"
    story = text(office.page(order))
    for told in ("Journal: Refund", "Audit: return.requested staff:owner – Too small", "Audit: return.restocked"):
        assert told in story


def test_what_was_not_shown_is_not_done(trade: Trade, standin: StandIn) -> None:
    """A form that was changed after the check, somebody else's token, no token: it is shown again."""
    order, office = paid_order(trade, standin, 2), desk()
    checked = check(office, order, what="amount", amount="10.00")
    changed = confirm(office, order, checked, what="amount", amount="20.00")
    assert "€20.00 go back" in text(changed)
    forged = office.client.post(
        page_of(order), {"reason": "Too small", "what": "rest", "confirm": "1", "token": "forged"}
    )
    assert "€50.00 go back" in text(forged)
    assert not Return.objects.exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"what": "amount", "amount": "50.01"}, "More than what is left of the payment"),
        ({"what": "amount", "amount": "12.345"}, "decimals"),
        ({"what": "amount", "amount": "-5"}, ""),
        ({"what": "amount", "amount": ""}, "How much?"),
        ({"what": "amount", "amount": "all"}, ""),
        ({"what": "deposit"}, "More than what is left of the deposit"),
        ({"what": "lines"}, "Say how many"),
        ({"what": "nonsense"}, ""),
        ({"what": "rest", "reason": ""}, ""),
    ],
)  # fmt: skip
def test_bad_input_is_told_and_moves_nothing(trade: Trade, standin: StandIn, fields: dict[str, Any], said: str) -> None:
    order, office = paid_order(trade, standin, 2), desk()
    answer = check(office, order, **fields, confirm="1")
    assert said in text(answer)
    assert "What will happen" not in text(answer)
    assert not Return.objects.exists()


def test_a_deposit_goes_back_in_part_and_the_rest_is_kept(trade: Trade, standin: StandIn) -> None:
    order, office = paid_order(trade, standin, 1, deposit=1000), desk()
    checked = check(office, order, what="deposit", amount="4.00")
    assert "€4.00 of the deposit go back" in text(checked)
    confirm(office, order, checked, what="deposit", amount="4.00")
    told = office.do(Order, "keep_deposit", order, amount="6.00", reason="Stained")
    assert "€6.00 of the deposit are kept." in told
    assert "It holds no deposit." in text(office.ask(Order, "keep_deposit", order))
    assert balances("band")["deposits_kept"] == -600
    assert "deposits_held" not in balances("band")
    assert at_stripe(standin) == balances("band")["stripe_clearing"]
    order.refresh_from_db()
    assert (order.deposit_refunded_amount, order.deposit_kept_amount) == (400, 600)
    assert AuditEntry.objects.get(action="deposit.kept").reason == "Stained"


def test_who_may_not_is_shown_no_button_and_no_page(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin)
    clerk = desk("commerce.view_order")
    assert "Give money back" not in html(clerk.page(order))
    assert clerk.client.get(page_of(order)).status_code == 403
    assert check(clerk, order, what="rest").status_code == 403
    assert clerk.client.post("/admin/commerce/order/act/adjust/", {}).status_code == 403


def test_an_adjustment_is_one_more_entry_with_a_reason(trade: Trade, standin: StandIn) -> None:
    order, office = paid_order(trade, standin), desk()
    fields = {"debit": "adjustments", "credit": "stripe_fees", "reason": "Agreed with Stripe"}
    assert "€1.50 booked" in office.do(Order, "adjust", order, amount="1.50", **fields)
    entry = JournalEntry.objects.get(kind="adjustment")
    assert (entry.memo, entry.order_id) == ("Agreed with Stripe", order.pk)
    assert (balances("band")["adjustments"], balances("band")["stripe_fees"]) == (150, 103 - 150)
    assert "two different accounts" in office.do(
        Order, "adjust", order, amount="1", **fields | {"credit": "adjustments"}
    )
    assert "moves something" in office.do(Order, "adjust", order, amount="0", **fields)
    assert AuditEntry.objects.filter(action="journal.adjusted").count() == 1


def test_a_difference_to_stripes_amounts_is_accepted_with_a_reason(trade: Trade, standin: StandIn) -> None:
    order, office = paid_order(trade, standin), desk()
    Order.objects.filter(pk=order.pk).update(amount_differs=True, expected_total_amount=2400)
    assert found(office.list(Order, amount_differs__exact=1)) == {str(order.pk)}
    assert found(office.list(Order, desk="attention")) == {str(order.pk)}
    asked = text(office.ask(Order, "accept_amounts", order))
    assert "€25.00 were charged, €24.00 had been computed." in asked
    assert "Accepted." in office.do(Order, "accept_amounts", order, reason="A tax of theirs")
    assert found(office.list(Order, desk="attention")) == set()
    assert "computed" in text(office.page(order)), "the difference stays visible"
    assert "amounts don't differ" in text(office.ask(Order, "accept_amounts", order))
    assert AuditEntry.objects.get(action="order.amounts_accepted").reason == "A tax of theirs"


def test_the_desk_of_refunds_that_did_not_arrive(trade: Trade, standin: StandIn) -> None:
    order, office = paid_order(trade, standin, 2), desk()
    ask(order, amount=2000)
    ask(order, "k-2", amount=1000)
    first, second = Refund.objects.order_by("id")
    standin.call(f"refunds/{first.refund_id}/fail", {"reason": "lost_or_stolen_card"})
    assert found(office.list(Refund, desk="stuck")) == set()
    assert "Failed." in office.do(Refund, "ask", first)
    answer = office.list(Refund, desk="stuck")
    assert (found(answer), "lost_or_stolen_card" in text(answer)) == ({str(first.pk)}, True)
    front = html(office.client.get("/admin/"))
    assert "Refunds not arrived 1 look" in text(office.client.get("/admin/")) and "refund/?desk=stuck" in front
    first.refresh_from_db()
    assert "€20.00 go back to the customer by a new refund" in text(office.ask(Refund, "again", first))
    assert "Sent again: succeeded" in office.do(Refund, "again", first, reason="Other card")
    assert found(office.list(Refund, desk="stuck")) == set()
    order.refresh_from_db()
    assert order.refunded_amount == 3000
    standin.call(f"refunds/{second.refund_id}/fail", {})
    office.do(Refund, "ask", second)
    second.refresh_from_db()
    assert "Off the desk." in office.do(Refund, "handled", second, reason="Paid in cash")
    assert found(office.list(Refund, desk="stuck")) == set()
    assert "Somebody has dealt with it" in text(office.ask(Refund, "again", second))
    assert AuditEntry.objects.get(action="refund.handled").reason == "Paid in cash"
    assert at_stripe(standin) == balances("band")["stripe_clearing"]


def test_an_unknown_outcome_is_told_and_asked_about(trade: Trade, standin: StandIn) -> None:
    order, office = paid_order(trade, standin, 2), desk()
    standin.fault(path="/v1/refunds", kind="drop_after")
    checked = check(office, order, what="rest")
    done = text(confirm(office, order, checked, what="rest"))
    assert "has not answered yet" in done
    row = Refund.objects.get()
    assert found(office.list(Refund, desk="stuck")) == {str(row.pk)}
    assert "Refunded." in office.do(Refund, "ask", row)
    order.refresh_from_db()
    assert order.status == "refunded"


def test_units_that_had_no_row_are_restocked_later(trade: Trade, standin: StandIn) -> None:
    from commerce.returns.claiming import LineReturned

    order, office = paid_order(trade, standin, 2), desk()
    order.lines.update(sku="GONE", variant_key="GONE")
    ask(order, lines=(LineReturned(order.lines.get().pk, 1, restock=True),))
    made = Return.objects.get()
    assert "still missing" in office.do(Return, "restock", made, reason="Try")
    row = StockRowFactory(owner__id="band", owner__shop=trade.shop, sku="GONE", variant_key="GONE", on_hand=0)
    made.refresh_from_db()
    assert "Restocked." in office.do(Return, "restock", made, reason="Opened the row")
    row.refresh_from_db()
    assert row.on_hand == 1
    resolver.run_once(now=timezone.now() + timedelta(hours=1))
    row.refresh_from_db()
    assert row.on_hand == 1


def test_they_are_found_by_order_and_by_stripes_id(trade: Trade, standin: StandIn) -> None:
    order, office = paid_order(trade, standin, 2), desk()
    ask(order, amount=2000)
    row, made = Refund.objects.get(), Return.objects.get()
    for term in (row.refund_id, str(row.pk), str(order.pk), order.number, f"#{order.number}"):
        assert found(office.list(Refund, q=term)) == {str(row.pk)}, term
    for term in (str(made.pk), str(order.pk), order.number):
        assert found(office.list(Return, q=term)) == {str(made.pk)}, term
    assert found(office.list(Refund, q="nobody")) == set()
    assert str(row.refund_id) in text(office.page(made))
    assert "For goods €20.00, of which tax €0.00" in text(office.page(row))


@pytest.mark.parametrize("model", [Refund, Return])
def test_lists_need_as_many_queries_for_three_rows_as_for_one(trade: Trade, standin: StandIn, model: Any) -> None:
    office = desk()
    order = paid_order(trade, standin, 3)
    ask(order, "k-0", amount=100)
    one = queries(lambda: office.list(model))
    ask(order, "k-1", amount=100)
    ask(order, "k-2", amount=100)
    assert queries(lambda: office.list(model)) == one
    assert another_product(trade)
