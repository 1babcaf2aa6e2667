"""Rentals in the back office, as staff use them: found by day, handled by line, said before it is done."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import time_machine
from django.http import HttpResponse
from django.urls import reverse

from commerce.models import Order, Refund, Rental, RentalEvent
from commerce.returns.claiming import ReturnCommand
from commerce.returns.mirror import mirror_refund
from commerce.returns.refunding import return_order
from tenants.audit import Actor
from tenants.context import bind_shop, load_shop
from tests.commerce.backoffice import Desk, desk, queries, text
from tests.commerce.rentals.counter import Counter, noon, whereabouts

TODAY = "/admin/commerce/rental/today/"
TOKEN = re.compile(r'name="token" value="([^"]*)"')


def handle(office: Desk, order: Order, **fields: Any) -> HttpResponse:
    address = f"{reverse('admin:commerce_rental_change', args=[order.pk])[: -len('change/')]}handle/"
    return office.client.post(address, {"reason": "At the counter", **fields}, follow=True)


def confirm(office: Desk, order: Order, checked: HttpResponse, **fields: Any) -> HttpResponse:
    match = TOKEN.search(checked.content.decode())
    assert match
    return handle(office, order, **fields, token=unescape(match.group(1)), confirm="1")


def test_a_rental_is_handled_from_its_page(counter: Counter) -> None:
    order = counter.book(days=2, quantity=2)
    office, line = desk(), order.lines.get().rental_line
    with time_machine.travel(noon(counter.first), tick=True):
        opened = text(office.page(Rental.objects.get()))
        assert "Hand out: its period has begun." in opened and "Next step" in opened
        fields = {"what": "hand_out", f"quantity_{line.pk}": "1", f"condition_{line.pk}": "new"}
        checked = handle(office, order, **fields)
        said = text(checked)
        assert "1 × BAND#size:M go to the customer. The rental is then: handed out." in said
        assert whereabouts(order)["status"] == "reserved", "nothing yet"
        confirm(office, order, checked, **fields)
        confirm(office, order, checked, **fields)
        assert whereabouts(order)["counts"] == (1, 0, 0, 0, 0), "a second click is the same step"
        assert RentalEvent.objects.get(action="hand_out").actor == "staff:owner"
        changed = confirm(office, order, checked, **{**fields, f"quantity_{line.pk}": "2"})
        assert "1 are still here, not 2." in text(changed)
        assert "Only damage and loss have one." in text(handle(office, order, what="return", amount="5"))
    with time_machine.travel(noon(counter.first + timedelta(days=3)), tick=True):
        checked = handle(office, order, what="return")
        assert "2 unit-days late in all" in text(checked)
        confirm(office, order, checked, what="return")
        checked = handle(office, order, what="damage", amount="200", **{f"quantity_{line.pk}": "1"})
        said = text(checked)
        assert "€180.00 of the deposit are kept." in said and "€20.00 are more than the deposit" in said
        confirm(office, order, checked, what="damage", amount="200", **{f"quantity_{line.pk}": "1"})
        story = text(office.page(Rental.objects.get()))
    assert "€200.00, of which the deposit paid €180.00 · At the counter" in story
    assert "Rental: handed out" in text(office.page(order))


def test_the_day_is_found_and_done_in_bulk(counter: Counter) -> None:
    one, two = counter.book(days=2), counter.book(days=2)
    other = counter.book(days=2, offset=5)
    office = desk()
    with time_machine.travel(noon(counter.first), tick=True):
        for day, shown in (("out", {one, two}), ("back", set()), ("overdue", set()), ("picked", set())):
            assert numbers(office.list(Rental, day=day)) == {order.number for order in shown}
        rentals = Rental.objects.exclude(order=other)
        said = office.do(Rental, "hand_out", *Rental.objects.all(), reason="All of them")
        assert said.count("Handed out.") == 2 and other.number in said
        assert numbers(office.list(Rental, day="picked")) == {one.number, two.number}
        sheet = text(office.client.get(TODAY))
        assert "Nothing goes out." in sheet and "Coming back" in sheet
        assert list(rentals.values_list("status", flat=True)) == ["handed_out", "handed_out"]
    with time_machine.travel(noon(counter.first + timedelta(days=2)), tick=True):
        assert numbers(office.list(Rental, day="overdue")) == {one.number, two.number}
        assert "1 day late" in text(office.list(Rental, day="overdue"))
        assert office.figure("Rentals overdue") == "2"
        sheet = text(office.client.get(TODAY))
        assert one.number in sheet and "1 day late" in sheet
    assert numbers(office.list(Rental, q=one.number)) == {one.number}
    assert numbers(office.list(Rental, q=str(one.pk))) == {one.number}
    assert numbers(office.list(Rental, q=str(one.hold_id))) == {one.number}
    assert numbers(office.list(Rental, q=one.email)) == {one.number, two.number, other.number}
    assert numbers(office.list(Rental, q="nobody")) == set()
    few = queries(lambda: office.list(Rental, status__exact="reserved"))
    assert few == queries(lambda: office.list(Rental, status__exact="handed_out"))


def test_a_refund_that_bounced_after_it_called_a_rental_off_is_seen(counter: Counter) -> None:
    order, office, account = counter.book(days=2), desk(), str(Order.objects.get().stripe_account)
    shop = load_shop(order.shop_id)
    with bind_shop(shop):
        asked = ReturnCommand(order_id=order.pk, reason="They can't come", key="off")
        return_order(shop=shop, command=asked, acting=Actor("staff", "olga"))
        refund = Refund.objects.order_by("id")[0]
        assert whereabouts(order)["status"] == "canceled"
        assert "it was called off" in text(office.page(Rental.objects.get()))
        counter.standin.call(f"refunds/{refund.refund_id}/fail", {})
        mirror_refund(shop=shop, account=account, refund_id=str(refund.refund_id))
    order.refresh_from_db()
    assert (order.status, whereabouts(order)["status"]) == ("confirmed", "canceled"), "its days may be others' by now"
    said = "its money is here again, its days are given away"
    assert said in text(office.page(Rental.objects.get())) and said in text(office.page(order))
    assert "A refund came back" in text(office.list(Rental))
    refund.refresh_from_db()
    office.do(Refund, "handled", refund, reason="Paid in cash")
    assert said not in text(office.page(Rental.objects.get())) + text(office.page(order))


def test_who_may_only_look_finds_no_button(counter: Counter) -> None:
    order = counter.book(days=2)
    reader = desk("commerce.view_rental", "tenants.see_every_shop")
    assert "Next step" not in text(reader.page(Rental.objects.get()))
    assert handle(reader, order, what="hand_out").status_code == 403
    assert whereabouts(order)["status"] == "reserved"


def numbers(answer: HttpResponse) -> set[str]:
    known = Order.objects.values_list("number", flat=True)
    shown = text(answer)
    return {number for number in known if f" {number} " in shown}
