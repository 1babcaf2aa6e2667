"""Orders of a shop that keeps the card, really paid at the stand-in; and what was done with the card since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from checkout.settle import settle_session
from commerce.charges.claiming import NewCharge, claim_charge_within
from commerce.charges.collecting import Owed, collect_within, settle_charges
from commerce.ledger import fees
from commerce.ledger.tie_out import tie_out
from commerce.models import Charge, ChargePolicy, Collection, Order, Rental, RentalEvent
from commerce.orders.locks import order_for_update, order_tx
from tenants.audit import Actor
from tenants.context import bind_shop, load_shop
from tenants.models import ShopSettings
from tests.fixtures.payments import at_stripe, balances
from tests.fixtures.periods import days_from, monday
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import RentalTrade
from tests.webhooks.deliver import deliver

STAFF = Actor("staff", "olga")
VISA, MASTERCARD = "4242424242424242", "5555555555554444"
# Pays on the page and declines later; pays on the page after 3-D Secure and wants it again.
DECLINES_LATER, WANTS_CUSTOMER = "4000000000000341", "4000002760003184"


def rent(
    trade: RentalTrade,
    standin: StandIn,
    *,
    card: str = VISA,
    days: int = 2,
    quantity: int = 1,
    deposits: str = "charged",
    keeps: bool = True,
) -> Order:
    """A paid and settled rental from a Monday on, with Stripe's fee booked."""
    ShopSettings.objects.update(deposit_mode=deposits, saves_card=keeps)
    items = [trade.line(days_from(monday(), days), quantity)]
    answer = trade.buyer().checkout({"items": items, "email": "ada@example.test"}, Idempotency_Key=uuid4().hex)
    session_id = answer.json()["sessionId"]
    challenged = {"threeDS": "approve"} if card == WANTS_CUSTOMER else {}
    standin.pay(session_id, card=card, **challenged)
    settle_session(shop=load_shop(trade.shop.pk), session_id=session_id)
    fees.run_once(now=timezone.now())
    return Order.objects.get(attempt__session_id=session_id)


def hold(order: Order, amount: int | None = None, key: str = "hold") -> Charge:
    """The order's deposit, held on its card."""
    wanted = order.deposit_authorised_amount if amount is None else amount
    new = NewCharge(purpose="deposit_hold", amount=wanted, key=key, reason="Deposit", manual=True)
    shop = load_shop(order.shop_id)
    with bind_shop(shop):
        with order_tx(order.shop_id):
            locked = order_for_update(shop_id=order.shop_id, order_id=order.pk)
            claim_charge_within(order=locked, new=new, acting=STAFF, now=timezone.now())
        settle_charges(shop=shop, order=order, now=timezone.now())
    return Charge.objects.get(operation_key=key)


def owe(order: Order, *amounts: int, purpose: str = "late_fee", key: str = "k") -> Sequence[Collection]:
    """What the order owes, decided and told to Stripe. Only what hadn't been collected before is answered."""
    shop, owed = load_shop(order.shop_id), []
    for number, amount in enumerate(amounts):
        owed.append(Owed(purpose=purpose, amount=amount, key=f"{key}:{number}", reason="Came back late"))
    with bind_shop(shop):
        with order_tx(order.shop_id):
            locked = order_for_update(shop_id=order.shop_id, order_id=order.pk)
            made = collect_within(order=locked, owed=owed, acting=STAFF, now=timezone.now())
        settle_charges(shop=shop, order=order, now=timezone.now())
    return made


def charges_of(order: Order) -> list[tuple[str, str, int, int]]:
    """`(purpose, status, amount, captured)`, in the order in which they were made."""
    rows = Charge.objects.filter(order=order).order_by("id")
    return list(rows.values_list("purpose", "status", "amount", "captured_amount"))


def intents(standin: StandIn) -> list[dict[str, Any]]:
    """Stripe's payment intents that are no checkout's, the oldest first."""
    found = standin.read("/v1/payment_intents?limit=100")["data"]
    return [intent for intent in reversed(found) if "charge_row_id" in intent["metadata"]]


def policy(**more: Any) -> ChargePolicy:
    """5.00 a day and unit, up to the deposit; one day to look at what is back, and released at once after that."""
    plain = {
        "late_fee": "amount", "late_fee_amount": 500, "cap": "deposit", "inspection_days": 1, "release_days": 0,
        "since": timezone.now() - timedelta(days=1),
    }  # fmt: skip
    return ChargePolicy.objects.update_or_create(shop_id="band", defaults={**plain, **more})[0]


def came_back(order: Order, *, late: int = 0, inspected: bool = True, damage: int = 0) -> Rental:
    """All of it went out and came back, so many days late; `damage` (minor units) is more than the deposit covers."""
    rental = Rental.objects.get(order=order)
    out = datetime.combine(rental.starts_on, time(9), tzinfo=UTC)
    back = datetime.combine(rental.ends_on + timedelta(days=late), time(12), tzinfo=UTC)
    told = []
    for line in rental.lines.all():
        line.handed_out = line.returned = line.quantity
        line.returned_on, line.late_unit_days = back.date(), late * line.quantity
        line.save()
        told.append({"lineId": str(line.order_line_id), "quantity": line.quantity, "variantKey": "BAND#size:M"})
    RentalEvent.objects.create(
        shop_id="band", rental=rental, action="return", units=told, actor="staff:olga", at=back, idempotency_key="back",
        digest="",
    )  # fmt: skip
    rental.handed_out_at, rental.returned_at, rental.owed_amount = out, back, damage
    rental.inspected_at = back if inspected else None
    rental.status = Rental.Status.INSPECTED if inspected else Rental.Status.RETURNED
    rental.save()
    return rental


def days_after(rental: Rental, days: int) -> datetime:
    """Noon, so many days after the rental's last day."""
    return datetime.combine(rental.ends_on + timedelta(days=days), time(13), tzinfo=UTC)


def ties_out(standin: StandIn) -> None:
    """The journal is what Stripe's balance is, object by object and in sum."""
    since, until = timezone.now() - timedelta(days=9), timezone.now() + timedelta(days=60)
    [report] = tie_out(shop=load_shop("band"), since=since, until=until)
    assert (report.differences, report.unowned) == ([], [])
    assert balances("band").get("stripe_clearing", 0) == at_stripe(standin)


def tell_all(standin: StandIn) -> None:
    """Every event of Stripe's, the oldest first, again and again."""
    for told in reversed(standin.events()):
        assert deliver(told).status_code == 200
