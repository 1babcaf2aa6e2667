"""Real purchases at the stand-in: what a customer, a bank, Stripe's staff do, step by step, and what our tables say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from checkout.models import CheckoutAttempt
from commerce.cart.carts import units_in_cart
from commerce.models import Dispute, JournalLine, Order, Refund
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade


@dataclass
class Purchase:
    """One purchase of one unit in one shop; its steps are taken in order, whatever is delivered meanwhile."""

    trade: Trade
    standin: StandIn
    script: str
    session_id: str = ""
    remembered: dict[str, str] = field(default_factory=dict)
    taken: int = 0

    @property
    def steps(self) -> tuple[Callable[[Purchase], None], ...]:
        return SCRIPTS[self.script]

    @property
    def done(self) -> bool:
        return self.taken == len(self.steps)

    def step(self) -> str:
        """Takes the next step; its name."""
        act = self.steps[self.taken]
        self.taken += 1
        act(self)
        return f"{self.trade.shop.pk}:{act.__name__}"

    @property
    def charge_id(self) -> str:
        intent = self.standin.session(self.session_id)["payment_intent"]
        return str(self.standin.read(f"/v1/payment_intents/{intent}")["latest_charge"])

    def state(self) -> dict[str, Any]:
        """What the tables say of this purchase, without ids and times. Whether a late payment found its hold or took
        the units anew is left out: the stock is compared shop by shop.
        """
        shop_id = str(self.trade.shop.pk)
        order = Order.objects.for_shop(shop_id).get(session_id=self.session_id)
        attempt = CheckoutAttempt.objects.for_shop(shop_id).get(order=order)
        lines = JournalLine.objects.for_shop(shop_id).filter(entry__order=order)
        assert attempt.cart_id is not None
        return {
            "order": (order.status, order.disputed, order.total_amount, order.refunded_amount, order.amount_differs),
            "attempt": attempt.state,
            "journal": sorted(lines.values_list("entry__kind", "account", "amount")),
            "refunds": sorted(Refund.objects.for_shop(shop_id).filter(order=order).values_list("status", "amount")),
            "disputes": sorted(
                Dispute.objects.for_shop(shop_id).filter(order=order)
                .values_list("status", "amount", "withdrawn_amount", "fee_amount")
            ),
            "cart": units_in_cart(shop_id=shop_id, cart_id=attempt.cart_id),
        }  # fmt: skip


# ---------------------------------------------------------------- steps
def buys(purchase: Purchase) -> None:
    answer = purchase.trade.buyer_with_cart().checkout({"email": "ada@example.test"})
    assert answer.status_code == 201, answer.content
    purchase.session_id = answer.json()["sessionId"]


def pays(purchase: Purchase) -> None:
    purchase.standin.pay(purchase.session_id)


def is_declined(purchase: Purchase) -> None:
    purchase.standin.pay(purchase.session_id, card="4000000000000002")


def passes_3ds(purchase: Purchase) -> None:
    purchase.standin.pay(purchase.session_id, card="4000002760003184", threeDS="approve")


def fails_3ds(purchase: Purchase) -> None:
    purchase.standin.pay(purchase.session_id, card="4000002760003184", threeDS="fail")


def leaves_3ds(purchase: Purchase) -> None:
    purchase.standin.pay(purchase.session_id, card="4000002760003184", threeDS="abandon")


def pays_late(purchase: Purchase) -> None:
    purchase.standin.call(f"sessions/{purchase.session_id}/late_pay", {})


def pays_by_debit(purchase: Purchase) -> None:
    purchase.standin.pay(purchase.session_id, method="bank_debit")


def debit_arrives(purchase: Purchase) -> None:
    purchase.standin.call(f"sessions/{purchase.session_id}/settle_async", {"outcome": "succeeded"})


def debit_bounces(purchase: Purchase) -> None:
    purchase.standin.call(f"sessions/{purchase.session_id}/settle_async", {"outcome": "failed"})


def expires(purchase: Purchase) -> None:
    purchase.standin.call(f"sessions/{purchase.session_id}/expire", {})


def is_refunded(purchase: Purchase) -> None:
    """In Stripe's dashboard: nobody here asked for it."""
    made = purchase.standin.post("/v1/refunds", {"charge": purchase.charge_id})
    purchase.remembered["refund"] = made["id"]


def is_refunded_in_part(purchase: Purchase) -> None:
    made = purchase.standin.post("/v1/refunds", {"charge": purchase.charge_id, "amount": "1000"})
    purchase.remembered["refund"] = made["id"]


def refund_fails(purchase: Purchase) -> None:
    purchase.standin.call(f"refunds/{purchase.remembered['refund']}/fail", {})


def disputes(purchase: Purchase) -> None:
    begun = purchase.standin.call(f"charges/{purchase.charge_id}/dispute", {})
    purchase.remembered["dispute"] = begun["dispute"]["id"]


def inquires(purchase: Purchase) -> None:
    begun = purchase.standin.call(f"charges/{purchase.charge_id}/dispute", {"inquiry": True})
    purchase.remembered["dispute"] = begun["dispute"]["id"]


def _on_dispute(purchase: Purchase, verb: str, **sent: str) -> None:
    purchase.standin.call(f"disputes/{purchase.remembered['dispute']}/{verb}", sent)


def answers(purchase: Purchase) -> None:
    _on_dispute(purchase, "respond")


def escalates(purchase: Purchase) -> None:
    _on_dispute(purchase, "escalate")


def wins(purchase: Purchase) -> None:
    _on_dispute(purchase, "close", outcome="won")


def loses(purchase: Purchase) -> None:
    _on_dispute(purchase, "close", outcome="lost")


SCRIPTS: dict[str, tuple[Callable[[Purchase], None], ...]] = {
    "paid": (buys, pays),
    "declined, then paid": (buys, is_declined, pays),
    "declined, expired": (buys, is_declined, expires),
    "3-D Secure passed": (buys, passes_3ds),
    "3-D Secure failed, then paid": (buys, fails_3ds, pays),
    "3-D Secure left, expired": (buys, leaves_3ds, expires),
    "paid after it expired": (buys, leaves_3ds, expires, pays_late),
    "debit arrived": (buys, pays_by_debit, debit_arrives),
    "debit bounced": (buys, pays_by_debit, debit_bounces),
    "expired": (buys, expires),
    "refunded": (buys, pays, is_refunded),
    "refunded in part": (buys, pays, is_refunded_in_part),
    "refund failed": (buys, pays, is_refunded_in_part, refund_fails),
    "refunded, which failed": (buys, pays, is_refunded, refund_fails),
    "refunded, which failed, and again": (buys, pays, is_refunded, refund_fails, is_refunded),
    "debit arrived, refunded": (buys, pays_by_debit, debit_arrives, is_refunded),
    "debit arrived, refund failed": (buys, pays_by_debit, debit_arrives, is_refunded, refund_fails),
    "dispute won": (buys, pays, disputes, answers, wins),
    "dispute lost": (buys, pays, disputes, loses),
    "inquiry closed": (buys, pays, inquires, answers, wins),
    "inquiry escalated": (buys, pays, inquires, escalates, loses),
    "debit arrived, disputed": (buys, pays_by_debit, debit_arrives, disputes, loses),
}
