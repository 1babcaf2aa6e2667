"""What is asked of each route on one shop's host: everything that names what is the other shop's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from commerce.models import CartLine, Coupon, Order, Product, Rental, Return
from inventory.models import Hold
from tests.isolation.sides import Side, World
from tests.webhooks.deliver import event, signature
from webhooks.models import StripeEvent


@dataclass(frozen=True)
class Ask:
    """One request that names something of `there`. `grows`: tables in which it may leave a record of itself."""

    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    grows: frozenset[str] = frozenset()


Probe = Callable[[World], Iterator[Ask]]


def pages(path: str) -> Probe:
    """A page of the storefront that takes nothing but its address and, by force, a query."""

    def asks(world: World) -> Iterator[Ask]:
        for session_id in world.there.sessions.values():
            yield Ask("GET", f"{path}?session_id={session_id}&shop={world.there.shop_id}&cart={world.there.cookie}")

    return asks


def products(world: World) -> Iterator[Ask]:
    for slug in slugs(world.there):
        if slug not in slugs(world.here):
            yield Ask("GET", f"/en/products/{slug}")


def availability(world: World) -> Iterator[Ask]:
    yield Ask("GET", f"/api/inventory/availability?sku={own_sku(world.there)}")
    yield Ask("GET", f"/api/inventory/availability?sku={own_sku(world.there)}&shopId={world.there.shop_id}")


def validate(world: World) -> Iterator[Ask]:
    items = [{"sku": own_sku(world.there), "quantity": 1}]
    yield Ask("POST", "/api/inventory/validate", {"items": items})
    for body in ({"items": items}, {"items": items, "shopId": world.there.shop_id}):
        for headers in tokens(world):
            yield Ask("POST", "/api/inventory/validate", body, headers)


def holds(world: World) -> Iterator[Ask]:
    """With the key of the other shop's hold too: a key is its shop's."""
    items = [{"sku": own_sku(world.there), "quantity": 1}]
    for headers in tokens(world):
        yield Ask("POST", "/api/inventory/holds", {"items": items, "idempotencyKey": "tried"}, headers)
        yield Ask("POST", "/api/inventory/holds", {"items": items, "shopId": world.there.shop_id}, headers)


def hold(verb: str = "") -> Probe:
    def asks(world: World) -> Iterator[Ask]:
        body = {"ttlSeconds": 900} if verb == "extend" else {}
        named = [world.there.holds[verb or "extend"], *map(str, hold_ids(world.there))]
        for hold_id in named[: 1 if verb else 10]:
            for headers in tokens(world):
                path = f"/api/inventory/holds/{hold_id}"
                yield Ask("POST", f"{path}/{verb}", body, headers) if verb else Ask("GET", path, None, headers)

    return asks


def health(world: World) -> Iterator[Ask]:
    for headers in tokens(world):
        yield Ask("GET", "/api/inventory/health", None, headers)


def tokens(world: World) -> Iterator[dict[str, str]]:
    """A server of this shop, which the other's things are nothing to; and the other's own, which this host refuses."""
    for token in (world.here.token, world.there.token):
        yield {"Authorization": f"Bearer {token}"}
        yield {"Authorization": f"Bearer {token}", "X-Shop-Id": world.there.shop_id}


def returns(world: World) -> Iterator[Ask]:
    """An order that is paid, by a server of each shop: whole, by its lines, and under the key of its own return."""
    order = Order.objects.for_shop(world.there.shop_id).get(session_id=world.there.sessions["paid"])
    keys = list(Return.objects.for_shop(world.there.shop_id).values_list("idempotency_key", flat=True))
    lines = [{"lineId": str(line.pk), "quantity": 1} for line in order.lines.all()]
    asked = {"orderId": str(order.pk), "reason": "Tried"}
    for headers in tokens(world):
        for body in ({"amount": 1}, {"lines": lines}, {"amount": 1, "shopId": world.there.shop_id}):
            yield Ask("POST", "/api/return", {**asked, **body, "idempotencyKey": "tried"}, headers)
        for key in keys:
            yield Ask("POST", "/api/return", {**asked, "idempotencyKey": key.removeprefix("api:")}, headers)


def rentals(world: World) -> Iterator[Ask]:
    """A rental that is reserved, by a server of each shop: each action, and under the key of its own history."""
    rental = Rental.objects.for_shop(world.there.shop_id).get()
    line = rental.lines.get()
    items = [{"lineId": str(line.order_line_id), "quantity": 1}]
    for headers in tokens(world):
        for action in ("hand_out", "return", "inspect", "damage", "lose", "exchange", "close"):
            body = {"rentalId": str(rental.pk), "action": action, "idempotencyKey": "tried"}
            yield Ask("PATCH", "/api/rental", body, headers)
            yield Ask("PATCH", "/api/rental", body | {"items": items}, headers)
            yield Ask("PATCH", "/api/rental", body | {"shopId": world.there.shop_id}, headers)
        wanted = {
            "items": [{"sku": own_sku(world.there), "quantity": 1}],
            "period": {"start": "2030-01-01", "end": "2030-01-02"},
            "customer": {"email": "tried@there.example"},
            "idempotencyKey": "tried",
        }
        for payment in ("link", "external"):
            yield Ask("POST", "/api/rental", wanted | {"payment": payment}, headers)
            yield Ask("POST", "/api/rental", wanted | {"payment": payment, "shopId": world.there.shop_id}, headers)


def catalog(world: World) -> Iterator[Ask]:
    yield Ask("GET", f"/api/catalog?sku={own_sku(world.there)}")
    yield Ask("GET", f"/api/catalog?sku={own_sku(world.there)}&shopId={world.there.shop_id}&shop={world.there.shop_id}")


def capabilities(world: World) -> Iterator[Ask]:
    yield Ask("GET", "/api/capabilities")
    yield Ask("GET", f"/api/capabilities?shopId={world.there.shop_id}&shop={world.there.shop_id}")


def cart(world: World) -> Iterator[Ask]:
    yield Ask("GET", f"/api/cart?cart={world.there.cookie}&shopId={world.there.shop_id}")
    for line in CartLine.objects.for_shop(world.there.shop_id):
        yield Ask("PATCH", "/api/cart", {"lineId": str(line.pk), "quantity": 5})
        yield Ask("PATCH", "/api/cart", {"lineId": str(line.pk), "quantity": 0})
        yield Ask("DELETE", "/api/cart", {"lineId": str(line.pk)})
    yield Ask("POST", "/api/cart", {"sku": own_sku(world.there), "quantity": 1})
    yield Ask("PUT", "/api/cart", {"lines": [{"sku": own_sku(world.there), "quantity": 1}]})
    yield Ask("POST", "/api/cart", {"sku": "BAND", "quantity": 1, "shopId": world.there.shop_id})
    yield Ask("DELETE", "/api/cart", {})


def checkout(path: str) -> Probe:
    def asks(world: World) -> Iterator[Ask]:
        key = {"Idempotency-Key": world.there.client_key}
        items = [{"sku": own_sku(world.there), "quantity": 1}]
        band = [{"sku": "BAND", "quantity": 1, "variantAttributes": {"size": "M"}}]
        yield Ask("POST", path, {"email": f"second@{world.there.shop_id}.example"}, key)
        yield Ask("POST", path, {}, key)
        yield Ask("POST", path, {"items": items}, key)
        yield Ask("POST", path, {"items": band}, key)
        yield Ask("POST", path, {"items": band, "email": f"buyer@{world.there.shop_id}.example"}, key)
        for code in Coupon.objects.for_shop(world.there.shop_id).values_list("code", flat=True):
            yield Ask("POST", path, {"items": band, "couponCode": code}, {"Idempotency-Key": "with-its-coupon"})
        yield Ask("POST", path, {"returnUrl": f"https://{world.there.trade.host}/en/thank-you"})
        yield Ask("POST", path, {"shopId": world.there.shop_id})

    return asks


def subscribe(world: World) -> Iterator[Ask]:
    """The other shop's plan, alone and under the key of one of its customers."""
    wish = {"planId": f"plan-of-{world.there.shop_id}", "email": f"subscriber@{world.there.shop_id}.example"}
    for headers in ({}, {"Idempotency-Key": f"wish-of-{world.there.shop_id}"}, *tokens(world)):
        yield Ask("POST", "/api/subscribe", wish, headers)
    yield Ask("POST", "/api/subscribe", {**wish, "email": f"somebody@{world.there.shop_id}.example"})
    yield Ask("POST", "/api/subscribe", {**wish, "shopId": world.there.shop_id})
    yield Ask("POST", "/api/subscribe", {**wish, "returnUrl": f"https://{world.there.trade.host}/en/thank-you"})
    session_id = f"cs_test_wish_of_{world.there.shop_id}"
    yield Ask("GET", f"/api/order-status?session_id={session_id}")
    yield Ask("GET", f"/api/checkout-session/{session_id}")


def operations(what: str) -> Probe:
    """The other shop's subscription, and the key of what was done to it."""

    def asks(world: World) -> Iterator[Ask]:
        path, shop_id = f"/api/subscription/{what}", world.there.shop_id
        terms = {"planId": f"plan-of-{shop_id}", "prorate": "none"} if what == "change" else {"atPeriodEnd": True}
        for headers in tokens(world):
            for key in ("tried", f"operation-of-{shop_id}", f"change-of-{shop_id}"):
                wish = {"subscriptionId": f"sub_of_{shop_id}", "idempotencyKey": key, **terms}
                yield Ask("POST", path, wish, headers)
                yield Ask("POST", path, {**wish, "shopId": shop_id}, headers)
                if what == "change":
                    yield Ask("POST", path, {**wish, "preview": True}, headers)

    return asks


def order_status(world: World) -> Iterator[Ask]:
    for order in Order.objects.for_shop(world.there.shop_id):
        for name in (order.session_id, order.pk, order.number, order.payment_intent_id or "pi_1"):
            yield Ask("GET", f"/api/order-status?session_id={name}")


def summary(world: World) -> Iterator[Ask]:
    for session_id in world.there.sessions.values():
        yield Ask("GET", f"/api/checkout-session/{session_id}")
    for order in Order.objects.for_shop(world.there.shop_id):
        yield Ask("GET", f"/api/checkout-session/{order.pk}")
    for hold in Hold.objects.for_shop(world.there.shop_id):
        yield Ask("GET", f"/api/checkout-session/{hold.pk}")


def webhook(path: str) -> Probe:
    """Truly Stripe's, but on another shop's host: refused; that it came is kept beside the event it repeats."""

    def asks(world: World) -> Iterator[Ask]:
        stored = StripeEvent.objects.for_shop(world.there.shop_id).get(event_id=f"evt_of_{world.there.shop_id}")
        fresh = event(stored.type, stored.payload["data"]["object"], event_id=f"evt_again{path.replace('/', '_')}")
        kept = frozenset({"webhooks.StripeEvent", "webhooks.EventDelivery"})
        for payload in (stored.payload, fresh):
            body = json.dumps(payload).encode()
            yield Ask("POST", path, body, {"Stripe-Signature": signature(body)}, kept)
            yield Ask("POST", path, body, {"Stripe-Signature": "t=1,v1=forged"})

    return asks


def sitemap(world: World) -> Iterator[Ask]:
    yield Ask("GET", "/sitemap.xml")
    for product in Product.objects.for_shop(world.there.shop_id):
        yield Ask("GET", f"/sitemap.xml?from={product.pk}")


def reconciliation(world: World) -> Iterator[Ask]:
    """A sale that the other shop has made, by each of its names, and under the name that its own worker gave it."""
    order = Order.objects.for_shop(world.there.shop_id).filter(status="confirmed").first()
    assert order is not None
    sale = {
        "externalId": "tried", "status": "confirmed", "currency": order.currency, "total": order.total_amount,
        "createdAt": "2026-01-31T12:00:00Z",
    }  # fmt: skip
    names = {"sessionId": order.session_id, "paymentIntentId": order.payment_intent_id}
    for headers in tokens(world):
        for member, value in names.items():
            body = {"source": "tried", "records": [{**sale, member: value}]}
            yield Ask("POST", "/api/reconciliation", body, headers)
            yield Ask("POST", "/api/reconciliation", {**body, "shopId": world.there.shop_id}, headers)


PROBES: dict[str, Probe] = {
    "robots.txt": pages("/robots.txt"),
    ".well-known/holdfast-verification.txt": pages("/.well-known/holdfast-verification.txt"),
    "sitemap.xml": sitemap,
    "<locale:locale>/": pages("/en/"),
    "<locale:locale>/products/<slug:slug>": products,
    "<locale:locale>/plans": pages("/en/plans"),
    "<locale:locale>/cart": pages("/en/cart"),
    "<locale:locale>/checkout": pages("/en/checkout"),
    "<locale:locale>/cancel": pages("/en/cancel"),
    "<locale:locale>/thank-you": pages("/en/thank-you"),
    "<locale:locale>/payment-received": pages("/en/payment-received"),
    "<locale:locale>/<path:path>": pages("/en/birch-shop"),
    "api/inventory/availability": availability,
    "api/inventory/validate": validate,
    "api/inventory/health": health,
    "api/inventory/holds": holds,
    "api/inventory/holds/<str:hold_id>": hold(),
    "api/inventory/holds/<str:hold_id>/extend": hold("extend"),
    "api/inventory/holds/<str:hold_id>/commit": hold("commit"),
    "api/inventory/holds/<str:hold_id>/release": hold("release"),
    "api/catalog": catalog,
    "api/reconciliation": reconciliation,
    "api/capabilities": capabilities,
    "api/return": returns,
    "api/rental": rentals,
    "api/checkout-session": checkout("/api/checkout-session"),
    "api/checkout/session": checkout("/api/checkout/session"),
    "api/checkout-session/<str:session_id>": summary,
    "api/order-status": order_status,
    "api/subscribe": subscribe,
    "api/subscription/cancel": operations("cancel"),
    "api/subscription/change": operations("change"),
    "api/stripe-webhook": webhook("/api/stripe-webhook"),
    "api/billing/webhook": webhook("/api/billing/webhook"),
    # Last: it empties the cart that the others buy.
    "api/cart": cart,
}


def slugs(side: Side) -> set[str]:
    return set(Product.objects.for_shop(side.shop_id).values_list("slug", flat=True))


def hold_ids(side: Side) -> list[Any]:
    return list(Hold.objects.for_shop(side.shop_id).values_list("pk", flat=True))


def own_sku(side: Side) -> str:
    return f"{side.shop_id}-SKU"
