"""Trade that happens to a shop: sales, refunds from both sides, failures, disputes; and its events, in any order."""

from __future__ import annotations

import json
import random
import urllib.parse
import urllib.request
from datetime import timedelta
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from checkout.settle import settle_session
from commerce.ledger import fees
from commerce.ledger.tie_out import TieOut, tie_out
from commerce.models import JournalEntry, JournalLine, Order, Refund
from commerce.returns import resolver
from commerce.returns.claiming import ReturnCommand
from commerce.returns.refunding import refund_again, return_order
from inventory.models import StockRow
from tenants.audit import Actor
from tenants.context import bind_shop, load_shop
from tenants.errors import HoldfastError
from tests.fixtures.payments import at_stripe
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from tests.webhooks.deliver import deliver
from webhooks import inbox

STAFF = Actor("staff", "olga")
PAID = ("confirmed", "review", "refunded")


class Story:
    """Acts are drawn by `dice`. Nothing here knows what the journal should say: Stripe's balance does."""

    def __init__(self, trades: list[Trade], standin: StandIn, dice: random.Random, *, converting: bool = False) -> None:
        self.trades, self.standin, self.dice, self.converting = trades, standin, dice, converting
        self.told: list[str] = []
        self.keys = 0
        for trade in trades:
            StockRow.objects.filter(pk=trade.stock.pk).update(on_hand=1_000_000)

    # ---------------------------------------------------------------- acts
    def act(self) -> str:
        """One thing happens; its name, and `-` where there was nothing to do it to."""
        acts = [
            self.buy, self.buy, self.buy, self.refund, self.refund, self.refund_at_the_dashboard, self.fail_a_refund,
            self.finish_a_refund, self.dispute, self.end_a_dispute, self.send_again, self.sweep, self.tell, self.tell,
            self.trouble,
        ]  # fmt: skip
        act = self.dice.choice([*acts, self.settle_elsewhere] if self.converting else acts)
        try:
            return f"{act.__name__}{'' if act() else ' -'}"
        except HoldfastError as error:
            return f"{act.__name__}: {error.code}"

    def buy(self) -> bool:
        trade = self.dice.choice(self.trades)
        session_id = trade.buyer_with_cart(self.dice.randint(1, 3)).checkout().json()["sessionId"]
        self.standin.pay(session_id)
        if self.dice.random() < 0.7:  # else an event tells
            settle_session(shop=load_shop(trade.shop.pk), session_id=session_id)
        return True

    def refund(self) -> bool:
        if (order := self._order()) is None:
            return False
        self.standin.call(
            "options", {"refundStatus": self.dice.choice(["succeeded", "succeeded", "pending", "insufficient_funds"])}
        )
        self.keys += 1
        amount = self.dice.choice([None, self.dice.randint(1, order.total_amount)])
        command = ReturnCommand(order_id=order.pk, reason="A story", key=f"s-{self.keys}", amount=amount)
        shop = load_shop(order.shop_id)
        with bind_shop(shop):
            for _ in range(self.dice.choice([1, 1, 2])):  # now and then it is repeated
                return_order(shop=shop, command=command, acting=STAFF)
        return True

    def refund_at_the_dashboard(self) -> bool:
        if (order := self._order()) is None:
            return False
        body = {"payment_intent": order.payment_intent_id, "amount": self.dice.randint(1, order.total_amount)}
        return self._api("/v1/refunds", body) is not None

    def fail_a_refund(self) -> bool:
        return self._on_a_refund("fail", ("succeeded", "pending", "requires_action"))

    def finish_a_refund(self) -> bool:
        return self._on_a_refund("succeed", ("pending", "requires_action"))

    def send_again(self) -> bool:
        row = self._some(Refund.objects.filter(status__in=Refund.DEAD, handled_at__isnull=True))
        if row is None:
            return False
        shop = load_shop(row.shop_id)
        with bind_shop(shop):
            refund_again(shop=shop, refund_id=row.pk, reason="A story", acting=STAFF)
        return True

    def dispute(self) -> bool:
        charges = [charge for charge in self._list("charges") if charge["captured"] and not charge["disputed"]]
        if not charges:
            return False
        self.standin.call(f"charges/{self.dice.choice(charges)['id']}/dispute", {})
        return True

    def end_a_dispute(self) -> bool:
        open_ones = [found for found in self._list("disputes") if found["status"] == "needs_response"]
        if not open_ones:
            return False
        outcome = self.dice.choice(["won", "lost"])
        self.standin.call(f"disputes/{self.dice.choice(open_ones)['id']}/close", {"outcome": outcome})
        return True

    def trouble(self) -> bool:
        """The next refund's answer gets lost, before or after Stripe has carried it out."""
        self.standin.fault(path="/v1/refunds", kind=self.dice.choice(["drop_before", "drop_after"]))
        return True

    def settle_elsewhere(self) -> bool:
        """Stripe converts what is charged from now on, refunds and disputes of older charges included; or stops to."""
        rates: dict[str, str] = self.dice.choice([{}, {"eur": f"{self.dice.randint(1, 2_000_000) / 10_000:.4f}"}])
        currency = self.dice.choice(["usd", "jpy", "kwd"])
        self.standin.call("settlements", {"currency": currency, "rates": rates})
        return bool(rates)

    def sweep(self) -> bool:
        fees.run_once(now=timezone.now())
        resolver.run_once(now=timezone.now() + timedelta(minutes=5))
        return True

    def tell(self) -> bool:
        """Some of the events, in any order, some of them twice and some of them told before."""
        events = self._events()
        for told in self.dice.sample(events, min(len(events), 8)):
            deliver(told)
            self.told.append(told["id"])
        return bool(events)

    # ---------------------------------------------------------------- the end
    def quiet(self) -> None:
        """Everything that is still to be told and found out; Stripe is well again."""
        self.standin.call("faults", method="DELETE")
        for _ in range(2):
            resolver.run_once(now=timezone.now() + timedelta(hours=2))
            for told in self._events():
                deliver(told)
            inbox.sweep_once(now=timezone.now() + timedelta(hours=1))
            for order in Order.objects.filter(status__in=PAID, balance_transaction_id=""):
                fees.post_fee(shop=load_shop(order.shop_id), order_id=order.pk, now=timezone.now())

    def judge(self) -> None:
        """Each entry balances, no order gave back more than it got, and the journal is what Stripe's balance is."""
        sums = JournalEntry.objects.annotate(total=Sum("lines__amount")).values_list("total", flat=True)
        assert set(sums) <= {0}
        for order in Order.objects.all():
            living = order.refunds.exclude(status__in=Refund.DEAD).aggregate(total=Sum("amount"))["total"] or 0
            assert order.refunded_amount == living <= order.total_amount
        clearing = JournalLine.objects.filter(account="stripe_clearing").values_list("entry__currency")
        ours = {currency: total for currency, total in clearing.annotate(total=Sum("amount")).order_by() if total}
        theirs = {name: at_stripe(self.standin, currency=name.lower()) for name in ("EUR", "USD", "JPY", "KWD")}
        assert ours == {currency: net for currency, net in theirs.items() if net}
        for report in self.tie_out():
            assert (report.differences, report.unowned, report.others) == ([], [], {})
            assert report.at_stripe == report.in_journal

    def tie_out(self) -> list[TieOut]:
        since, until = timezone.now() - timedelta(days=400), timezone.now() + timedelta(days=1)
        return [
            report
            for trade in self.trades
            for report in tie_out(shop=load_shop(trade.shop.pk), since=since, until=until)
        ]

    # ---------------------------------------------------------------- Stripe
    def _order(self) -> Order | None:
        return self._some(Order.objects.filter(status__in=PAID))

    def _some(self, rows: Any) -> Any:
        found = list(rows.order_by("pk"))
        return self.dice.choice(found) if found else None

    def _on_a_refund(self, verb: str, statuses: tuple[str, ...]) -> bool:
        able = [found for found in self._list("refunds") if found["status"] in statuses]
        if not able:
            return False
        self.standin.call(f"refunds/{self.dice.choice(able)['id']}/{verb}", {})
        return True

    def _list(self, what: str) -> list[dict[str, Any]]:
        """Everything of a kind, the oldest first."""
        found: list[dict[str, Any]] = []
        while True:
            after = f"&starting_after={found[-1]['id']}" if found else ""
            page = self._api(f"/v1/{what}?limit=100{after}") or {"data": [], "has_more": False}
            found += page["data"]
            if not page["has_more"]:
                return found[::-1]

    def _events(self) -> list[dict[str, Any]]:
        return self._list("events")

    def _api(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """As Stripe's own pages would; None where Stripe refuses."""
        data = urllib.parse.urlencode(body).encode() if body else None
        request = urllib.request.Request(
            f"{self.standin.url}{path}", data=data, headers={"Authorization": "Bearer sk_test_standin"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except (urllib.error.HTTPError, ConnectionError):
            return None
