"""Paid when the stock was gone (W6): retaken, substituted or refunded, on the desk or by policy; everybody is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from checkout import shortage_notes
from checkout.errors import WrongState
from checkout.models import Shortage
from checkout.settle import settle_session
from checkout.shortages import retake_stock, substitute_stock, tell_again
from commerce.models import Order, OrderLine
from inventory.models import StockRow
from inventory.stock import adjust_stock
from inventory.verify import verify_stock
from tenants.audit import Actor
from tenants.context import load_shop
from tenants.errors import InvalidRequest, NotFound
from tenants.models import AuditEntry, ShopSettings
from tests.commerce.backoffice import desk, found, queries, text
from tests.factories.commerce import VariantFactory
from tests.factories.inventory import StockRowFactory
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade, in_threads

STAFF = Actor("staff", "olga")
WHY = {"reason": "Found some in the back", "acting": STAFF}


@pytest.fixture(autouse=True)
def mailing(settings: Any) -> None:
    settings.EMAIL_URL = "smtp://localhost"
    settings.STOCK_ALERT_RECIPIENT = ("desk@example.test",)


def move(trade: Trade, delta: int) -> None:
    adjust_stock(
        shop_id=trade.shop.pk, stock_row_id=trade.stock.pk, delta=delta, reason="adjustment", note="x", acting=STAFF
    )


def short_order(trade: Trade, standin: StandIn, **policy: Any) -> Order:
    """A shop that holds nothing while customers pay, and whose last units went elsewhere meanwhile."""
    ShopSettings.objects.filter(shop=trade.shop).update(inventory_mode="validate_only", **policy)
    if trade.stock.on_hand == 0:
        move(trade, 1)
        trade.stock.refresh_from_db()
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    move(trade, -trade.stock.on_hand)
    trade.stock.refresh_from_db()
    standin.pay(session_id)
    settle_session(shop=load_shop(trade.shop.pk), session_id=session_id)
    return Order.objects.get(session_id=session_id)


def work(minutes: int = 0) -> shortage_notes.ShortageReport:
    return shortage_notes.run_once(now=timezone.now() + timedelta(minutes=minutes))


def told() -> list[tuple[str, str]]:
    """Whom, and the first words of the subject."""
    return [(message.to[0], message.subject) for message in mail.outbox]


def test_a_case_is_opened_with_the_order_and_everybody_is_told(trade: Trade, standin: StandIn) -> None:
    order = short_order(trade, standin)
    case = Shortage.objects.get()
    assert (order.status, case.state, case.order_id, case.policy, case.note) == (
        "review", "open", order.pk, "review", "delayed",
    )  # fmt: skip
    assert work().told == 2
    assert told() == [
        ("desk@example.test", f"Paid without stock: order {order.number}"),
        ("ada@example.test", f"Your order {order.number}: a little patience, please"),
    ]
    assert "€25.00" in mail.outbox[1].body.replace("\xa0", " ") and "1 × Headband" in mail.outbox[1].body
    assert f"/admin/checkout/shortage/{case.pk}/change/" in mail.outbox[0].body
    assert work(5).told == 0 and len(mail.outbox) == 2
    page = text(desk().page(order))
    for subject in (f"Mail to staff Paid without stock: order {order.number}",
                    f"Mail to the customer Your order {order.number}: a little patience"):  # fmt: skip
        assert subject in page


def test_staff_have_the_customer_mailed_again(trade: Trade, standin: StandIn) -> None:
    order, owner = short_order(trade, standin), desk()
    assert "A mail is on its way already." in text(owner.ask(Order, "mail_again", order))
    work()
    assert "That it takes longer: the customer is mailed so once more" in text(owner.ask(Order, "mail_again", order))
    assert "within a minute" in owner.do(Order, "mail_again", order, reason="Says that nothing came")
    assert work(2).told == 1
    first, again = mail.outbox[1:]
    assert (first.subject, first.body) == (again.subject, again.body)
    assert first.extra_headers["Message-ID"] != again.extra_headers["Message-ID"]
    assert AuditEntry.objects.get(action="shortage.told_again").reason == "Says that nothing came"
    case = Shortage.objects.get()
    assert "within a minute" in owner.do(Shortage, "tell", case, reason="Once more")
    with pytest.raises(WrongState, match="on its way already"):
        tell_again(shop_id="band", order_id=order.pk, **WHY)
    with pytest.raises(NotFound):
        tell_again(shop_id="other", order_id=order.pk, **WHY)


def test_the_stock_is_taken_again(trade: Trade, standin: StandIn) -> None:
    order = short_order(trade, standin)
    with pytest.raises(WrongState, match=r"Still too few: BAND#size:M \(0 of 1\)"):
        retake_stock(shop_id="band", order_id=order.pk, **WHY)
    assert Shortage.objects.get().state == "open" and trade.facts()["orders"] == ["review"]
    move(trade, 3)
    retake_stock(shop_id="band", order_id=order.pk, **WHY)
    case = Shortage.objects.get()
    order.refresh_from_db()
    assert (case.state, case.closed_by, order.status, order.review_reason) == (
        "retaken", "staff:olga", "confirmed", "",
    )  # fmt: skip
    assert (trade.facts()["on_hand"], trade.facts()["captured"]) == (2, 2500) and order.confirmed_at is not None
    entry = AuditEntry.objects.get(action="shortage.retaken")
    assert (entry.actor_name, entry.reason, entry.object_id) == ("olga", WHY["reason"], str(order.pk))
    work()
    assert told()[-1] == ("ada@example.test", f"Your order {order.number} is confirmed")
    with pytest.raises(WrongState, match="confirmed: no stock is missing"):
        retake_stock(shop_id="band", order_id=order.pk, **WHY)
    assert trade.facts()["on_hand"] == 2 and verify_stock().clean


def test_many_at_once_take_it_once(trade: Trade, standin: StandIn) -> None:
    order = short_order(trade, standin)
    move(trade, 5)
    results = in_threads([lambda: retake_stock(shop_id="band", order_id=order.pk, **WHY) for _ in range(5)])
    assert sorted(type(result).__name__ for result in results) == ["Shortage"] + ["WrongState"] * 4
    assert trade.facts()["on_hand"] == 4


def test_something_else_is_sent(trade: Trade, standin: StandIn) -> None:
    order = short_order(trade, standin)
    other = VariantFactory(product=trade.variant.product, attributes={"size": "L"}, price_amount=9900)
    StockRowFactory(owner=trade.stock.owner, sku="BAND", variant_key=other.variant_key, on_hand=1)
    for wrong, said in (
        ({}, "Name at least one"),
        ({"BAND#size:XL": other.variant_key}, "The order has no BAND#size:XL"),
        ({"BAND#size:M": "CAP"}, "The shop has no CAP"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            substitute_stock(shop_id="band", order_id=order.pk, instead=wrong, **WHY)
    substitute_stock(shop_id="band", order_id=order.pk, instead={"BAND#size:M": other.variant_key}, **WHY)
    line = OrderLine.objects.get()
    assert (line.variant_key, line.substituted_for, line.title, line.unit_amount) == (
        other.variant_key, "BAND#size:M", "Headband (L)", 2500,
    )  # fmt: skip
    order.refresh_from_db()
    assert (order.status, order.total_amount, Shortage.objects.get().state) == ("confirmed", 2500, "substituted")
    assert StockRow.objects.get(variant_key=other.variant_key).on_hand == 0
    assert AuditEntry.objects.get(action="shortage.substituted").data == {"instead": {"BAND#size:M": other.variant_key}}
    work()
    assert told()[-1][1] == f"Your order {order.number}: we send something else in its place"
    assert "Headband (L)" in mail.outbox[-1].body


def test_a_substitute_that_is_gone_too_changes_nothing(trade: Trade, standin: StandIn) -> None:
    order = short_order(trade, standin)
    other = VariantFactory(product=trade.variant.product, attributes={"size": "L"})
    with pytest.raises(WrongState, match="Still too few"):
        substitute_stock(shop_id="band", order_id=order.pk, instead={"BAND#size:M": other.variant_key}, **WHY)
    assert OrderLine.objects.get().variant_key == "BAND#size:M"


def test_no_shop_decides_anothers_case(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    order = short_order(trade, standin)
    move(trade, 1)
    for verb in (
        lambda: retake_stock(shop_id="other", order_id=order.pk, **WHY),
        lambda: substitute_stock(shop_id="other", order_id=order.pk, instead={"BAND#size:M": "X"}, **WHY),
    ):
        with pytest.raises(NotFound):
            verb()
    assert trade.facts()["orders"] == ["review"]


def test_an_order_that_lacks_nothing_has_no_case(trade: Trade, standin: StandIn) -> None:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.pay(session_id)
    settle_session(shop=load_shop("band"), session_id=session_id)
    assert not Shortage.objects.exists()
    with pytest.raises(NotFound):
        retake_stock(shop_id="band", order_id=Order.objects.get().pk, **WHY)


# ---------------------------------------------------------------- money back
def test_the_shops_policy_refunds_once(trade: Trade, standin: StandIn) -> None:
    order = short_order(trade, standin, shortage_policy="refund")
    assert Shortage.objects.get().note == ""
    assert [work(minutes).refunded for minutes in (0, 1, 10)] == [1, 0, 0]
    order.refresh_from_db()
    case = Shortage.objects.get()
    assert (order.status, order.refunded_amount, case.state, case.closed_by) == (
        "refunded", 2500, "refunded", "system:shortage-policy",
    )  # fmt: skip
    assert standin.call("balance")["accounts"]["acct_standin"]["eur"]["refunded"] == -2500
    assert told()[-1] == ("ada@example.test", f"Your order {order.number}: your money comes back")
    assert all("patience" not in subject for _, subject in told())


def test_a_refund_that_stripe_does_not_answer_is_tried_again(trade: Trade, standin: StandIn) -> None:
    order = short_order(trade, standin, shortage_policy="refund")
    standin.fault(path="/v1/refunds", kind="drop_after")
    assert (work().refunded, Shortage.objects.get().state) == (0, "open")
    assert work(10).refunded == 1
    order.refresh_from_db()
    assert (order.status, order.refunded_amount) == ("refunded", 2500)
    assert standin.call("balance")["accounts"]["acct_standin"]["eur"]["refunded"] == -2500


def test_a_policy_counts_as_it_was_when_it_happened(trade: Trade, standin: StandIn) -> None:
    short_order(trade, standin)
    ShopSettings.objects.filter(shop=trade.shop).update(shortage_policy="refund")
    assert work().refunded == 0 and trade.facts()["orders"] == ["review"]


# ---------------------------------------------------------------- telling
def test_a_mail_server_that_is_away_is_asked_again(trade: Trade, standin: StandIn, settings: Any) -> None:
    order = short_order(trade, standin)
    settings.EMAIL_BACKEND = "tests.checkout.test_shortages.Away"
    assert work().told == 0
    assert Shortage.objects.get().note == "delayed"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert work(30).told == 2
    assert [to for to, _ in told()] == ["desk@example.test", "ada@example.test"]
    assert len({message.extra_headers["Message-ID"] for message in mail.outbox}) == 2
    assert order.number in mail.outbox[1].subject


class Away:
    """A mail server that takes no call."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def send_messages(self, messages: Any) -> int:
        raise ConnectionRefusedError


def test_nobody_to_tell_is_no_reason_to_go_on_trying(trade: Trade, standin: StandIn, settings: Any) -> None:
    settings.STOCK_ALERT_RECIPIENT = ()
    order = short_order(trade, standin)
    Order.objects.filter(pk=order.pk, shop=trade.shop).update(email="")
    work()
    case = Shortage.objects.get()
    assert (case.note, case.note_error) == ("", "The order has no e-mail address: nobody could be told.")
    assert case.staff_told_at is not None and mail.outbox == []
    assert "Mail to the customer not sent" in text(desk().page(order))
    with pytest.raises(WrongState, match="no e-mail address"):
        tell_again(shop_id="band", order_id=order.pk, **WHY)


def test_customers_are_told_in_their_language(trade: Trade, standin: StandIn) -> None:
    order = short_order(trade, standin)
    Order.objects.filter(pk=order.pk, shop=trade.shop).update(locale="de-AT")
    work()
    assert told()[-1][1] == f"Ihre Bestellung {order.number}: etwas Geduld, bitte"
    assert "Ihre Zahlung über" in mail.outbox[-1].body


# ---------------------------------------------------------------- the desk
def test_the_desk_needs_as_many_queries_for_three_as_for_one(trade: Trade, standin: StandIn) -> None:
    short_order(trade, standin)
    owner, case = desk(), Shortage.objects.get()
    visits = (lambda: owner.list(Shortage), lambda: owner.page(case))
    once = [queries(visit) for visit in visits]
    short_order(trade, standin)
    short_order(trade, standin)
    assert [queries(visit) for visit in visits] == once


def test_the_desk_retakes_substitutes_and_refunds(trade: Trade, standin: StandIn) -> None:
    orders = [short_order(trade, standin) for _ in range(3)]
    cases = [Shortage.objects.get(order=order) for order in orders]
    owner = desk()
    assert found(owner.list(Shortage, q=orders[0].number)) == {str(cases[0].pk)}
    other = VariantFactory(product=trade.variant.product, attributes={"size": "L"})
    StockRowFactory(owner=trade.stock.owner, sku="BAND", variant_key=other.variant_key, on_hand=4)
    asked = owner.ask(Shortage, "retake", cases[0])
    assert "Needed: 1 × BAND#size:M (0 available). All of it is taken, or nothing." in text(asked)
    assert "Still too few" in text(owner.confirm(Shortage, "retake", asked, reason="Looked again"))
    move(trade, 1)
    assert "Taken. The order is confirmed." in owner.do(Shortage, "retake", cases[0], reason="Came in")
    asked = owner.ask(Shortage, "substitute", cases[1])
    assert "In stock of the same products: BAND#size:L (4)." in text(asked)
    for wrong in ("BAND#size:M", "BAND#size:M = BAND#size:M", "A = B\nA = C"):
        assert "Write each variant once" in owner.do(Shortage, "substitute", cases[1], instead=wrong, reason="Agreed")
    done = owner.confirm(Shortage, "substitute", asked, instead="BAND#size:M = BAND#size:L", reason="Agreed by phone")
    assert "Taken instead." in text(done)
    assert "€25.00. All that is left of the payment goes back" in text(owner.ask(Shortage, "refund", cases[2]))
    assert "The refund is under way." in owner.do(Shortage, "refund", cases[2], reason="Nothing to send")
    states = [Shortage.objects.get(pk=case.pk).state for case in cases]
    assert states == ["retaken", "substituted", "refunded"]
    assert trade.facts()["orders"] == ["confirmed", "confirmed", "refunded"]
    open_ones = owner.client.get("/admin/checkout/shortage/view-open/", follow=True)
    assert found(open_ones) == set()
    for name in ("retake", "substitute", "refund"):
        assert "It is closed:" in text(owner.ask(Shortage, name, cases[0]))
    assert "instead of BAND#size:M" in text(owner.page(orders[1]))


def test_the_desk_is_for_those_who_may(trade: Trade, standin: StandIn) -> None:
    short_order(trade, standin)
    case = Shortage.objects.get()
    clerk = desk("checkout.view_shortage")
    shown = text(clerk.page(case))
    assert "Take the stock again" not in shown and "Paid without a hold" in shown
    for name in ("retake", "substitute", "refund"):
        assert clerk.client.get(f"/admin/checkout/shortage/{case.pk}/act-{name}/").status_code == 403
    assert "No order has been paid without stock." not in shown
