"""What each of the two shops does, until there is a row of every kind."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from checkout.models import Shortage, SubscribeAttempt
from commerce.ledger.journal import Posting, post_within
from commerce.models import (
    Charge,
    ChargeLink,
    ChargePolicy,
    Collection,
    Dispute,
    Invoice,
    Order,
    ReconciliationRecord,
    Rental,
    RentalClearing,
    RentalEvent,
    RentalLine,
    RentalUnits,
    ReturnLine,
    ShippingOption,
    StripePlanPrice,
    StripeTaxRate,
    Subscription,
    SubscriptionNote,
    SubscriptionOperation,
    TaxRate,
)
from commerce.returns.claiming import ReturnCommand
from commerce.returns.refunding import return_order
from commerce.subscriptions.commands import Wish
from inventory.bulk.batches import receive_import_within
from inventory.bulk.rows import Mode
from inventory.bulk.working import work_on
from inventory.holds import Line, commit_hold, place_hold
from inventory.models import AlertDelivery, StockAlert
from tenants.audit import Actor, record_audit
from tenants.context import bind_shop, load_shop
from tenants.models import AlertWebhook, ServiceToken, ShopCredential, StripeObject, WebhookSecret
from tests.factories.commerce import CouponFactory
from tests.factories.plans import PlanVersionFactory, make_plan
from tests.fixtures.periods import monday
from tests.fixtures.standin import StandIn
from tests.fixtures.workers import issue
from tests.isolation.sides import Side
from tests.webhooks.deliver import deliver, event
from webhooks.models import Finding, StripeEvent


def do_business(side: Side, standin: StandIn) -> None:
    """A purchase that was paid and told by an event, a checkout that is open, and a row of every other kind."""
    order = sell(side, standin)
    pooled = hold(side)
    keep_stock(side)
    keep_secrets(side)
    hear_from_stripe(side, order)
    set_up(side)
    subscribe(side)
    charge(side, order)
    reconcile(side, order)
    give_back(side, order)
    rent_out(side, order, pooled)


def clerk(side: Side) -> Actor:
    return Actor("staff", side.staff.username)


def sell(side: Side, standin: StandIn) -> Order:
    """An order that was paid with a coupon, and a checkout that is open."""
    code = f"code-of-{side.shop_id}".upper()
    CouponFactory(shop=side.trade.shop, code=code, note=f"Printed by {side.shop_id}", limit_per_email=1)
    buys = {"email": f"buyer@{side.shop_id}.example", "couponCode": code}
    paid = side.trade.buyer_with_cart().checkout(buys).json()["sessionId"]
    standin.pay(paid, email=f"buyer@{side.shop_id}.example")
    answer = deliver(event("checkout.session.completed", standin.session(paid), event_id=f"evt_of_{side.shop_id}"))
    assert answer.status_code == 200, answer.content
    opened = side.buyer
    opened.add(side.trade.variant, 2)
    started = opened.checkout({"email": f"second@{side.shop_id}.example"}, Idempotency_Key=side.client_key)
    side.sessions = {"paid": paid, "open": started.json()["sessionId"]}
    return Order.objects.for_shop(side.shop_id).get(session_id=paid)


def hold(side: Side) -> UUID:
    """Units by number and by days, and for servers; the answer is a hold that was committed through the pool."""
    place_hold(
        shop_id=side.shop_id,
        key=f"hold-of-{side.shop_id}",
        lines=[Line(side.trade.variant.sku, side.trade.variant.variant_key, 1)],
        ttl_seconds=600,
        acting=clerk(side),
    )
    pooled = f"{side.shop_id}-pooled"
    through_the_pool = place_hold(
        shop_id=side.shop_id,
        key=f"pooled-by-{side.shop_id}",
        lines=[Line(pooled, pooled, 1)],
        ttl_seconds=600,
        acting=clerk(side),
    )
    commit_hold(shop_id=side.shop_id, hold_id=through_the_pool.hold_id, reason="", acting=clerk(side))
    day = monday()
    place_hold(
        shop_id=side.shop_id,
        key=f"days-of-{side.shop_id}",
        lines=[Line(side.trade.variant.sku, side.trade.variant.variant_key, 1, day, day)],
        ttl_seconds=600,
        acting=clerk(side),
    )
    for verb in ("extend", "commit", "release"):
        placed = place_hold(
            shop_id=side.shop_id, key=f"{verb}-of-{side.shop_id}", acting=Actor("api", "worker"), ttl_seconds=600,
            lines=[Line(f"{side.shop_id}-SKU", f"{side.shop_id}-SKU", 1)],
        )  # fmt: skip
        side.holds[verb] = str(placed.hold_id)
    return through_the_pool.hold_id


def keep_stock(side: Side) -> None:
    alert = StockAlert.objects.create(
        owner_id=side.shop_id, stock_row=side.trade.stock, on_hand=1, held=1, threshold=1, raised_at=timezone.now()
    )
    AlertDelivery.objects.create(
        owner_id=side.shop_id, alert=alert, channel="webhook", state="failed", next_attempt_at=timezone.now(),
        last_error=f"Nothing answers at {side.shop_id}.",
    )  # fmt: skip
    batch = receive_import_within(
        shop_id=side.shop_id, file_name=f"file-of-{side.shop_id}.csv", mode=Mode.SET,
        data=f"variant_key,on_hand\nnobody-{side.shop_id},1\n{side.shop_id}-SKU,7".encode(),
        acting=clerk(side), reference=f"delivery-to-{side.shop_id}",
    )  # fmt: skip
    work_on(shop_id=side.shop_id, import_id=batch.pk)
    record_audit(
        shop_id=side.shop_id, acting=clerk(side), action="stock.adjusted",
        object_type="stock_row", object_id=f"object-of-{side.shop_id}", reason=f"Counted at {side.shop_id}",
    )  # fmt: skip


def keep_secrets(side: Side) -> None:
    ShopCredential.objects.create(
        shop=side.trade.shop, kind="own_keys", livemode=False, account=f"acct_of_{side.shop_id}", status="retired",
        sealed=f"sealed-for-{side.shop_id}", sealed_by="test", verified_by=side.staff.username,
    )  # fmt: skip
    WebhookSecret.objects.create(
        scope="shop", shop=side.trade.shop, livemode=False, account=f"acct_of_{side.shop_id}", last_four="abcd",
        active_from=timezone.now(), active_until=timezone.now(), added_by=side.staff.username,
    )  # fmt: skip
    AlertWebhook.objects.create(
        shop=side.trade.shop, url=f"https://hooks.{side.shop_id}.example/", sealed=f"sealed-alerts-of-{side.shop_id}",
        sealed_by="test", last_four="abcd",
    )  # fmt: skip
    side.token = issue(side.shop_id)
    # When it was last used is written by a look at it, wherever it is refused afterwards.
    ServiceToken.objects.filter(shop=side.trade.shop).update(last_used_at=timezone.now() + timedelta(days=1))


def hear_from_stripe(side: Side, order: Order) -> None:
    StripeEvent.objects.create(
        livemode=False, account="acct_standin", event_id=f"evt_dead_of_{side.shop_id}", type="payment_intent.succeeded",
        object_id=f"pi_dead_of_{side.shop_id}", payload={"livemode": False, "data": {"object": {}}},
        status=StripeEvent.Status.DEAD, shop=side.trade.shop, error="Nothing was found.", created_at=timezone.now(),
        received_at=timezone.now(),
    )  # fmt: skip
    Finding.objects.create(
        livemode=False, account="acct_standin", kind="refund_unknown", object_id=f"re_found_at_{side.shop_id}",
        shop=side.trade.shop, currency="EUR", amount=100, detail=f"At {side.shop_id}", found_at=timezone.now(),
        seen_at=timezone.now(),
    )  # fmt: skip
    read = {"read_stamp": 1, "read_at": timezone.now(), "created_at": timezone.now(), "stripe_account": "acct_standin"}
    Dispute.objects.create(
        shop=side.trade.shop, order=order,
        dispute_id=f"du_of_{side.shop_id}", status="needs_response", currency="EUR", amount=2500, **read,
    )  # fmt: skip
    StripeObject.objects.create(
        livemode=False, account="acct_standin", object_id=f"cus_of_{side.shop_id}", kind="customer",
        shop=side.trade.shop, source="staff",
    )  # fmt: skip


def set_up(side: Side) -> None:
    ShippingOption.objects.create(
        shop=side.trade.shop, names={"en": f"Sent by {side.shop_id}"}, currency="EUR", amount=490, countries=["DE"],
    )  # fmt: skip
    rate = TaxRate.objects.create(
        shop=side.trade.shop,
        country="DE",
        name=f"Tax of {side.shop_id}",
        percentage=19,
        valid_from=timezone.now().date(),
    )
    StripeTaxRate.objects.create(
        shop=side.trade.shop, rate=rate, stripe_account="acct_standin", livemode=False,
        stripe_key=f"rate-of-{side.shop_id}", keyed_at=timezone.now(), stripe_id=f"txr_of_{side.shop_id}",
    )  # fmt: skip


def subscribe(side: Side) -> None:
    plan = make_plan(side.trade.shop, f"plan-of-{side.shop_id}")
    PlanVersionFactory(plan=plan.plan, number=2, amount=1111)
    StripePlanPrice.objects.create(
        shop=side.trade.shop, version=plan, stripe_account="acct_standin", livemode=False,
        stripe_key=f"plan-price-of-{side.shop_id}", price_id=f"price_of_{side.shop_id}",
    )  # fmt: skip
    SubscribeAttempt.objects.create(
        shop=side.trade.shop, version=plan, plan_code=plan.plan.code, email=f"subscriber@{side.shop_id}.example",
        quantity=1, client_key=f"wish-of-{side.shop_id}", digest="0" * 64, stripe_account="acct_standin",
        stripe_key=f"subscribe-key-of-{side.shop_id}", stripe_params={"ui_mode": "hosted_page"},
        session_id=f"cs_test_wish_of_{side.shop_id}", session_expires_at=timezone.now(), state="closed",
        outcome="completed", subscription_id=f"sub_of_{side.shop_id}", created_at=timezone.now(),
        closed_at=timezone.now(),
    )  # fmt: skip
    read = {"read_stamp": 1, "read_at": timezone.now(), "created_at": timezone.now(), "stripe_account": "acct_standin"}
    subscription = Subscription.objects.create(
        shop=side.trade.shop, subscription_id=f"sub_of_{side.shop_id}", status="active", version=plan,
        email=f"subscriber@{side.shop_id}.example", **read,
    )  # fmt: skip
    named = {"subscription_id": f"sub_of_{side.shop_id}", "key": f"api:operation-of-{side.shop_id}"}
    for wish in (
        Wish(kind=SubscriptionOperation.Kind.CANCEL_AT_END, **named),
        Wish(
            kind=SubscriptionOperation.Kind.CHANGE, subscription_id=named["subscription_id"], prorate="none",
            key=f"api:change-of-{side.shop_id}", plan_code=f"plan-of-{side.shop_id}",
        ),
    ):  # fmt: skip
        SubscriptionOperation.objects.create(
            shop=side.trade.shop, subscription=subscription, kind=wish.kind, state="done", digest=wish.digest(),
            idempotency_key=wish.key, stripe_key=f"stripe-{wish.key}", stripe_params={}, reason=f"Left {side.shop_id}",
            acting=f"staff:clerk-of-{side.shop_id}", created_at=timezone.now(), finished_at=timezone.now(),
        )  # fmt: skip
    invoice = Invoice.objects.create(
        shop=side.trade.shop, invoice_id=f"in_of_{side.shop_id}", status="paid", currency="EUR", amount_due=1900,
        amount_paid=1900, amount_remaining=0, **read,
    )  # fmt: skip
    with transaction.atomic():
        post_within(
            Posting(
                shop_id=side.shop_id, kind="invoice", reference=f"in_of_{side.shop_id}", currency="EUR",
                invoice_id=invoice.pk, amounts={"stripe_clearing": 1900, "revenue": -1900},
            ),
            now=timezone.now(),
        )  # fmt: skip
    SubscriptionNote.objects.create(
        shop=side.trade.shop, invoice=invoice, kind="payment_failed", occasion=f"occasion-of-{side.shop_id}",
        state="sent", due_at=timezone.now(), sent_to=f"subscriber@{side.shop_id}.example", created_at=timezone.now(),
    )  # fmt: skip
    SubscriptionNote.objects.create(
        shop=side.trade.shop, subscription=subscription, kind="trial_ending", occasion=f"trial-of-{side.shop_id}",
        state="sent", due_at=timezone.now(), created_at=timezone.now(),
    )  # fmt: skip


def charge(side: Side, order: Order) -> None:
    """What the order owes beyond its payment, and what it was paid for without stock."""
    of_order = {"shop": side.trade.shop, "order": order, "purpose": "late_fee", "currency": "EUR", "amount": 700}
    acted = {
        "acting": f"staff:{side.staff.username}",
        "reason": f"Late at {side.shop_id}",
        "created_at": timezone.now(),
    }
    owed = Charge.objects.create(
        operation_key=f"charge-at-{side.shop_id}", status="declined", stripe_account="acct_standin",
        stripe_key=f"charge-key-of-{side.shop_id}", keyed_at=timezone.now(),
        payment_intent_id=f"pi_charged_at_{side.shop_id}", **of_order, **acted,
    )  # fmt: skip
    ChargeLink.objects.create(
        shop=side.trade.shop, charge=owed, status="expired", stripe_key=f"link-key-of-{side.shop_id}",
        session_id=f"cs_test_link_of_{side.shop_id}", url=f"https://pay.example/{side.shop_id}",
        expires_at=timezone.now(), created_at=timezone.now(),
    )  # fmt: skip
    Collection.objects.create(
        operation_key=f"collected-at-{side.shop_id}", from_card=700, charge=owed, **of_order, **acted
    )
    ChargePolicy.objects.create(shop=side.trade.shop)
    Shortage.objects.create(
        shop=side.trade.shop, order=order,
        reason=f"Sold out at {side.shop_id}", policy="review", opened_at=timezone.now(), note_due_at=timezone.now(),
    )  # fmt: skip


def reconcile(side: Side, order: Order) -> None:
    record = {
        "shop": side.trade.shop, "source": "elsewhere", "payload": {}, "payload_digest": "0" * 64,
        "received_by": f"worker-of-{side.shop_id}", "received_at": timezone.now(), "decided_at": timezone.now(),
    }  # fmt: skip
    ReconciliationRecord.objects.create(
        external_id=f"refused-by-{side.shop_id}", state="rejected", reasons={"total": [f"No, said {side.shop_id}."]},
        **record,
    )  # fmt: skip
    ReconciliationRecord.objects.create(
        external_id=f"taken-by-{side.shop_id}", state="unchanged",
        order=order, **record,
    )  # fmt: skip


def give_back(side: Side, order: Order) -> None:
    """A cent of the paid order, and a line of it for nothing."""
    shop = load_shop(side.shop_id)
    command = ReturnCommand(
        order_id=order.pk, reason=f"Given back at {side.shop_id}", key=f"api:return-of-{side.shop_id}", amount=1
    )
    with bind_shop(shop):
        made = return_order(shop=shop, command=command, acting=clerk(side))
    ReturnLine.objects.create(
        shop=side.trade.shop, returned_id=made.return_id, order_line=order.lines.get(), quantity=1, amount=0
    )


def rent_out(side: Side, order: Order, hold_id: UUID) -> None:
    """Rows of a rental's life, as if the paid order were one."""
    line, day, shop = order.lines.get(), monday(), side.trade.shop
    order.lines.update(rental_start=day, rental_end=day, rental_days=1)
    rental = Rental.objects.create(
        id=order.pk,
        shop=shop,
        order=order,
        starts_on=day,
        ends_on=day,
        next_out_on=day,
        created_at=timezone.now(),
        status="handed_out",
        handed_out_at=timezone.now(),
    )
    rented = RentalLine.objects.create(
        shop=shop, rental=rental, order_line=line, due_on=day, quantity=2, handed_out=1, returned=1
    )
    RentalUnits.objects.create(
        shop=shop, line=rented, hold_id=hold_id, sku=f"{side.shop_id}-SKU", variant_key=f"{side.shop_id}-SKU",
        starts_on=day, ends_on=day, quantity=1,
    )  # fmt: skip
    RentalEvent.objects.create(
        shop=shop, rental=rental, action="reserved", note=f"Wanted by {side.shop_id}", actor="system:test",
        at=timezone.now(), idempotency_key=f"rented-from-{side.shop_id}", digest="",
    )  # fmt: skip
    RentalClearing.objects.create(shop=shop, rental=rental, cleared_at=timezone.now())
