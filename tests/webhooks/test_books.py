"""Every night the journal is held against Stripe's balance: what differs is listed, told, put right or explained."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.utils import timezone
from prometheus_client import CollectorRegistry

from checkout.settle import settle_session
from commerce.ledger.journal import Posting, post_within
from commerce.models import Dispute, JournalEntry, Order
from commerce.returns.claiming import ReturnCommand
from commerce.returns.refunding import return_order
from tenants.audit import Actor
from tenants.context import bind_shop, load_shop
from tenants.database import shop_tx
from tests.commerce.backoffice import desk, text
from tests.fixtures.payments import at_stripe, balances, paid_order
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from webhooks import books, reconcile, tasks
from webhooks.metrics import InboxGauges
from webhooks.models import Finding


@pytest.fixture(autouse=True)
def _work_at_once(settings: Any) -> Any:
    """A task that sends another one has it done at once; mails are kept."""
    from config.celery import app

    settings.EMAIL_URL, settings.STOCK_ALERT_RECIPIENT = "smtp://localhost", ("ops@example.test",)
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = False


def night(hours: int = 3) -> None:
    """Beat's task, when what was done just now has come to rest."""
    with time_machine.travel(timezone.now() + timedelta(hours=hours), tick=True):
        tasks.tie_out()


def listed() -> list[tuple[str, str | None, int, str]]:
    return list(Finding.objects.order_by("pk").values_list("object_id", "shop_id", "amount", "state"))


def without_its_fee(trade: Trade, standin: StandIn) -> Order:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.pay(session_id)
    settle_session(shop=load_shop(str(trade.shop.pk)), session_id=session_id)
    return Order.objects.get(session_id=session_id)


def violations(shop_id: str) -> float | None:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(InboxGauges())  # type: ignore[arg-type]
    return registry.get_sample_value("money_invariant_violations", {"shop_id": shop_id})


def test_what_agrees_is_not_listed_and_a_shop_without_a_journal_is_not_asked_about(
    trade: Trade, other_trade: Trade, standin: StandIn
) -> None:
    assert books.shops_with_books() == []
    paid_order(trade, standin)
    assert books.shops_with_books() == ["band"]
    night()
    assert (listed(), violations("-"), mail.outbox) == ([], 0, [])


def test_a_fee_that_is_missing_is_listed_told_and_put_right(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    paid_order(other_trade, standin)
    order = without_its_fee(trade, standin)
    night()
    assert listed() == [(order.charge_id, "band", -103, "open")]
    assert (violations("band"), violations("other")) == (1, None)
    (told,) = mail.outbox
    assert (told.to, told.subject) == (["ops@example.test"], "Band: the journal differs from Stripe's balance")
    row = Finding.objects.get()
    for said in (order.charge_id, order.number, "€23.97", "€25.00", f"/admin/webhooks/finding/{row.pk}/change/"):
        assert said in told.body.replace("\xa0", " ")
    night(4)
    assert len(mail.outbox) == 1, "told once"
    owner = desk()
    shown = text(owner.list(Finding, state__exact="open"))
    assert "Journal differs from Stripe's balance" in shown and order.number in shown
    assert "Differences from Stripe 1 look" in text(owner.client.get("/admin/"))
    assert "Mail to staff Band: the journal differs" in text(owner.page(order))
    assert "booked where it is missing" in text(owner.ask(Finding, "fix", row))
    assert "The journal has what Stripe has." in owner.do(Finding, "fix", row, reason="No event had told")
    assert balances("band")["stripe_clearing"] + balances("other")["stripe_clearing"] == at_stripe(standin)
    night(5)
    assert (listed(), violations("band")) == ([(order.charge_id, "band", -103, "fixed")], None)


def test_what_was_only_late_is_gone_by_itself_and_the_other_look_leaves_it_alone(
    trade: Trade, standin: StandIn
) -> None:
    order = without_its_fee(trade, standin)
    night()
    reconcile.run_once(now=timezone.now() + timedelta(hours=4))
    assert [state for *_, state in listed()] == ["open"]
    paid_order(trade, standin)  # the sweep
    night(5)
    assert listed() == [(order.charge_id, "band", -103, "gone")]


def test_what_has_just_moved_is_left_to_the_next_night(trade: Trade, standin: StandIn) -> None:
    without_its_fee(trade, standin)
    tasks.tie_out()
    assert listed() == []


def test_a_refund_and_a_dispute_that_nobody_told_of(trade: Trade, standin: StandIn) -> None:
    order, shop = paid_order(trade, standin, 2), load_shop("band")
    standin.call("options", {"refundStatus": "insufficient_funds"})
    with bind_shop(shop):
        command = ReturnCommand(order_id=order.pk, reason="Torn", key="k", amount=700)
        return_order(shop=shop, command=command, acting=Actor("staff", "olga"))
    refund = order.refunds.get()
    standin.call(f"refunds/{refund.refund_id}/succeed", {})
    dispute = standin.call(f"charges/{order.charge_id}/dispute", {"amount": 2000})["dispute"]
    night()
    expected = {(refund.refund_id, "band", -700, "open"), (dispute["id"], "band", -3500, "open")}
    assert set(listed()) == expected
    assert "A dispute that nobody has told of." in Finding.objects.get(object_id=dispute["id"]).detail
    assert len(mail.outbox) == 1, "one message for both"
    owner = desk()
    for row in Finding.objects.all():
        assert "The journal has what Stripe has." in owner.do(Finding, "fix", row, reason="No event had told")
    assert balances("band")["stripe_clearing"] == at_stripe(standin)
    assert Dispute.objects.get().order_id == order.pk
    night(4)
    assert {state for *_, state in listed()} == {"fixed"}


def test_what_only_the_journal_has_takes_a_person(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin)
    with shop_tx("band"):
        amounts = {"stripe_clearing": 500, "late_fees": -500}
        post_within(
            Posting(
                shop_id="band", kind=JournalEntry.Kind.LATE_FEE, reference="ch_nowhere", source="ch_nowhere",
                currency="EUR", order_id=order.pk, amounts=amounts,
            ),
            now=timezone.now(),
        )  # fmt: skip
    night()
    assert listed() == [("ch_nowhere", "band", -500, "open")]
    owner, row = desk(), Finding.objects.get()
    refused = owner.do(Finding, "fix", row, reason="Is it there").replace("\xa0", " ")
    assert "Stripe: €0.00, the journal: €5.00." in refused
    assert "Dismissed." in owner.do(Finding, "dismiss", row, reason="Booked by mistake, taken back")
    night(4)
    assert [state for *_, state in listed()] == ["dismissed"]


def test_an_account_that_cannot_be_read_changes_nothing(trade: Trade, standin: StandIn) -> None:
    without_its_fee(trade, standin)
    night()
    standin.fault(path="/v1/balance_transactions", method="GET", kind="drop_before")
    night(4)
    assert [state for *_, state in listed()] == ["open"]
    assert Finding.objects.filter(seen_at__gt=timezone.now() + timedelta(hours=3, minutes=30)).count() == 0
