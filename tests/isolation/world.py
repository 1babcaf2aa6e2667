"""Two shops with a row of every kind each, what marks the rows of one, and whether anybody touched them."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from axes.models import AccessAttempt
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from checkout.models import Shortage, SubscribeAttempt
from commerce.cart.cookie import COOKIE_NAME
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
from inventory.models import AlertDelivery, InventoryRun, StockAlert
from tenants.audit import Actor, record_audit
from tenants.context import bind_shop, load_shop
from tenants.models import AlertWebhook, Host, Membership, ServiceToken, ShopCredential, StripeObject, WebhookSecret
from tenants.scoping import path_to_shop
from tenants.staff import SEE_EVERY_SHOP
from tenants.tokens import issue_front_door_token
from tests.factories.commerce import CouponFactory, ProductFactory, ProductTextFactory, VariantFactory
from tests.factories.inventory import PoolFactory, PoolRouteFactory, StockRowFactory
from tests.factories.plans import PlanVersionFactory, make_plan
from tests.fixtures.periods import monday
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Buyer, Trade, open_trade
from tests.fixtures.workers import issue
from tests.webhooks.deliver import deliver, event
from webhooks.models import EventCursor, Finding, StripeEvent

OURS = ("tenants", "inventory", "commerce", "checkout", "webhooks")
MODELS = [model for app in OURS for model in apps.get_app_config(app).get_models()]
SHOP_MODELS = {model: path for model in MODELS if (path := path_to_shop(model)) is not None}
SHORTEST = 6
"""Characters of a text that can be told from another shop's by chance."""


@dataclass
class Side:
    """One of the two shops, with its buyers and its member of staff."""

    trade: Trade
    staff: User
    buyer: Buyer
    sessions: dict[str, str] = field(default_factory=dict)
    """`paid` and `open`: ids of checkout sessions."""
    client_key: str = ""
    token: str = ""
    """A service token of the shop's."""
    holds: dict[str, str] = field(default_factory=dict)
    """Ids of holds that servers placed, by what a test may do to each."""

    @property
    def shop_id(self) -> str:
        return str(self.trade.shop.pk)

    @property
    def cookie(self) -> str:
        return self.buyer.client.cookies[COOKIE_NAME].value

    def rows(self, model: type[Model]) -> QuerySet[Any]:
        path = path_to_shop(model)
        rows = model._default_manager.order_by("pk")
        return rows.filter(**{path: self.shop_id}) if path else rows.none()

    def others(self, model: type[Model]) -> QuerySet[Any]:
        """Rows that aren't this shop's: another's, or the platform's."""
        own = [self.staff.pk] if model is User else self.rows(model).values("pk")
        return model._default_manager.order_by("pk").exclude(pk__in=own)


@dataclass
class World:
    here: Side
    there: Side

    def markers(self) -> set[str]:
        """Texts that only rows of others than `here` hold: what a page for `here` must never show."""
        own, foreign = set[str](), set[str]()
        for model in (*SHOP_MODELS, InventoryRun):
            own |= {text for row in self.here.rows(model) for text in texts(row)}
            foreign |= {text for row in self.here.others(model) for text in texts(row)}
        foreign |= set(User.objects.exclude(pk=self.here.staff.pk).values_list("username", flat=True))
        # `localhost` is the platform's host, and part of every shop's.
        return {text for text in foreign if not any(text in mine for mine in own)}

    def untouched(self) -> dict[str, list[Any]]:
        """Every row that isn't `here`'s, whole."""
        return {
            model._meta.label: list(self.here.others(model).values_list())
            for model in (*MODELS, User, Group)
        }  # fmt: skip


def texts(row: Model) -> Iterator[str]:
    """Every text of a row that is long enough to be told from others, those inside JSON included."""
    meta = row._meta
    yield f"/{meta.app_label}/{meta.model_name}/{row.pk}/"
    for column in meta.concrete_fields:
        yield from (text for text in leaves(getattr(row, column.attname)) if len(text) >= SHORTEST)


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str | UUID):
        yield str(value)
    elif isinstance(value, dict):
        for part in value.values():
            yield from leaves(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)


def shown(markers: set[str], answer: HttpResponse, *, sent: str = "") -> set[str]:
    """Markers in an answer's body and headers, but those that the request itself had named."""
    body = b"".join(answer) if answer.streaming else answer.content  # type: ignore[arg-type]
    said = body.decode(errors="replace") + "\n".join(f"{name}: {value}" for name, value in answer.items())
    return {marker for marker in markers if (marker in said or html.escape(marker) in said) and marker not in sent}


def build(standin: StandIn) -> World:
    """Both shops do the same business, `there` first so that its rows are the older ones."""
    there, here = open_side("birch-shop", standin), open_side("alder-shop", standin)
    pool = PoolFactory(id="pool:of-the-platform", name="A pool of the platform")
    pooled = StockRowFactory(owner=pool, sku="POOLED-BY-ALL", on_hand=100)
    for side in (there, here):
        sku = f"{side.shop_id}-pooled"
        PoolRouteFactory(shop=side.trade.shop, sku=sku, stock_row=pooled, allocation_cap=40)
    Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)
    for side in (there, here):
        finish(side, standin)
    nobodys = {"id": "cs_test_of_nobody", "object": "checkout.session", "metadata": {}}
    deliver(event("checkout.session.completed", nobodys, event_id="evt_of_nobody"))
    record_audit(
        shop_id=None,
        acting=Actor("system", "nobody-of-theirs"),
        action="platform.secret",
        object_type="x",
        object_id="object-of-nobody",
    )
    PoolFactory(id="pool:nobody-is-routed-to", name="Another pool of the platform")
    for number in (1, 2):  # a list is asked what a second row costs
        InventoryRun.objects.create(
            kind="reap", started_at=timezone.now(), finished_at=timezone.now(), healthy=True,
            report={"expired": 0, "found": 0, "failed": [], "shops": [there.shop_id]},
        )  # fmt: skip
        EventCursor.objects.create(livemode=False, account=f"acct_of_the_platform_{number}", read_until=timezone.now())
        Group.objects.create(name=f"a role of the platform {number}")
        AccessAttempt.objects.create(username=f"somebody-locked-out-{number}", failures_since_start=1)
        issue_front_door_token(
            label=f"edge-of-the-platform-{number}", reason="A test", acting=Actor("staff", "nobody-of-theirs")
        )
    issue(None, label="worker-of-the-platform")
    of_the_pool = receive_import_within(
        shop_id=pool.pk, file_name="file-of-the-platform.csv", mode=Mode.SET, acting=Actor("staff", "nobody-of-theirs"),
        data=b"variant_key,on_hand\nnobody-of-the-platform,1\nPOOLED-BY-ALL,101", reference="to-the-platform",
    )  # fmt: skip
    work_on(shop_id=pool.pk, import_id=of_the_pool.pk)
    return World(here=here, there=there)


def open_side(shop_id: str, standin: StandIn) -> Side:
    """A shop in business with a product of its own, and a member of staff who may do everything, there."""
    trade = open_trade(shop_id)
    own = ProductFactory(shop=trade.shop, sku=f"{shop_id}-SKU", slug=f"{shop_id}-slug")
    ProductTextFactory(product=own, locale="en", title=f"Made by {shop_id}")
    variant = VariantFactory(product=own, price_amount=1700)
    StockRowFactory(owner__shop=trade.shop, sku=own.sku, variant_key=variant.variant_key)
    staff = User.objects.create_user(f"{shop_id}-clerk", f"clerk@{shop_id}.example", "not a secret", is_staff=True)
    app, codename = SEE_EVERY_SHOP.split(".")
    staff.user_permissions.set(Permission.objects.exclude(content_type__app_label=app, codename=codename))
    Membership.objects.create(user=staff, shop=trade.shop)
    return Side(trade=trade, staff=staff, buyer=trade.buyer(), client_key=f"key-of-{shop_id}")


def finish(side: Side, standin: StandIn) -> None:
    """A purchase that was paid and told by an event, a checkout that is open, a cart, a hold, a dead letter."""
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
    place_hold(
        shop_id=side.shop_id,
        key=f"hold-of-{side.shop_id}",
        lines=[Line(side.trade.variant.sku, side.trade.variant.variant_key, 1)],
        ttl_seconds=600,
        acting=Actor("staff", side.staff.username),
    )
    pooled = f"{side.shop_id}-pooled"
    through_the_pool = place_hold(
        shop_id=side.shop_id,
        key=f"pooled-by-{side.shop_id}",
        lines=[Line(pooled, pooled, 1)],
        ttl_seconds=600,
        acting=Actor("staff", side.staff.username),
    )
    commit_hold(
        shop_id=side.shop_id, hold_id=through_the_pool.hold_id, reason="", acting=Actor("staff", side.staff.username)
    )
    day = monday()
    place_hold(
        shop_id=side.shop_id,
        key=f"days-of-{side.shop_id}",
        lines=[Line(side.trade.variant.sku, side.trade.variant.variant_key, 1, day, day)],
        ttl_seconds=600,
        acting=Actor("staff", side.staff.username),
    )
    record_audit(
        shop_id=side.shop_id, acting=Actor("staff", side.staff.username), action="stock.adjusted",
        object_type="stock_row", object_id=f"object-of-{side.shop_id}", reason=f"Counted at {side.shop_id}",
    )  # fmt: skip
    StripeEvent.objects.create(
        livemode=False, account="acct_standin", event_id=f"evt_dead_of_{side.shop_id}", type="payment_intent.succeeded",
        object_id=f"pi_dead_of_{side.shop_id}", payload={"livemode": False, "data": {"object": {}}},
        status=StripeEvent.Status.DEAD, shop=side.trade.shop, error="Nothing was found.", created_at=timezone.now(),
        received_at=timezone.now(),
    )  # fmt: skip
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
        acting=Actor("staff", side.staff.username), reference=f"delivery-to-{side.shop_id}",
    )  # fmt: skip
    work_on(shop_id=side.shop_id, import_id=batch.pk)
    side.token = issue(side.shop_id)
    # When it was last used is written by a look at it, wherever it is refused afterwards.
    ServiceToken.objects.filter(shop=side.trade.shop).update(last_used_at=timezone.now() + timedelta(days=1))
    for verb in ("extend", "commit", "release"):
        placed = place_hold(
            shop_id=side.shop_id, key=f"{verb}-of-{side.shop_id}", acting=Actor("api", "worker"), ttl_seconds=600,
            lines=[Line(f"{side.shop_id}-SKU", f"{side.shop_id}-SKU", 1)],
        )  # fmt: skip
        side.holds[verb] = str(placed.hold_id)
    ShippingOption.objects.create(
        shop=side.trade.shop, names={"en": f"Sent by {side.shop_id}"}, currency="EUR", amount=490, countries=["DE"],
    )  # fmt: skip
    Finding.objects.create(
        livemode=False, account="acct_standin", kind="refund_unknown", object_id=f"re_found_at_{side.shop_id}",
        shop=side.trade.shop, currency="EUR", amount=100, detail=f"At {side.shop_id}", found_at=timezone.now(),
        seen_at=timezone.now(),
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
    Dispute.objects.create(
        shop=side.trade.shop, order=Order.objects.filter(shop_id=side.shop_id, status="confirmed").first(),
        dispute_id=f"du_of_{side.shop_id}", status="needs_response", currency="EUR", amount=2500, **read,
    )  # fmt: skip
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
    Shortage.objects.create(
        shop=side.trade.shop, order=Order.objects.filter(shop_id=side.shop_id, status="confirmed").first(),
        reason=f"Sold out at {side.shop_id}", policy="review", opened_at=timezone.now(), note_due_at=timezone.now(),
    )  # fmt: skip
    order = Order.objects.filter(shop_id=side.shop_id, status="confirmed").first()
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
        order=Order.objects.filter(shop_id=side.shop_id, status="confirmed").first(), **record,
    )  # fmt: skip
    give_back(side, paid)
    rent_out(side, paid, through_the_pool.hold_id)
    StripeObject.objects.create(
        livemode=False, account="acct_standin", object_id=f"cus_of_{side.shop_id}", kind="customer",
        shop=side.trade.shop, source="staff",
    )  # fmt: skip


def give_back(side: Side, session_id: str) -> None:
    """A cent of the paid order, and a line of it for nothing."""
    order = Order.objects.for_shop(side.shop_id).get(session_id=session_id)
    shop = load_shop(side.shop_id)
    command = ReturnCommand(
        order_id=order.pk, reason=f"Given back at {side.shop_id}", key=f"api:return-of-{side.shop_id}", amount=1
    )
    with bind_shop(shop):
        made = return_order(shop=shop, command=command, acting=Actor("staff", side.staff.username))
    ReturnLine.objects.create(
        shop=side.trade.shop, returned_id=made.return_id, order_line=order.lines.get(), quantity=1, amount=0
    )


def rent_out(side: Side, session_id: str, hold_id: UUID) -> None:
    """Rows of a rental's life, as if the paid order were one."""
    order = Order.objects.for_shop(side.shop_id).get(session_id=session_id)
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


def browser(user: User) -> Client:
    """A member of staff at the platform host. Errors become answers, as they would for them."""
    client = Client(raise_request_exception=False, headers={"Host": "localhost"})
    client.force_login(user)
    return client
