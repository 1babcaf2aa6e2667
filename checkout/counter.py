"""Rentals that begin at the counter or on the phone: the same prices, periods and bookings as a customer's checkout.

With `link` the checkout's own flow opens a session, and the customer is sent its address. With `external` the money was
received elsewhere: the order is confirmed at once, and Stripe never hears of it.
"""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone
from msgspec.structs import replace as replaced
from uuid_utils.compat import uuid7

from checkout.contracts import SeenPrices, StartCheckout, WantedLine
from checkout.errors import ClientKeyConflict
from checkout.locks import checkout_tx
from checkout.models import CheckoutAttempt
from checkout.rate_limit import Turnstile
from checkout.repricing import Quote, refuse_unrentable, reprice
from checkout.return_urls import cancel_url, success_url
from checkout.start import start_checkout
from commerce.ledger.postings import post_external_within
from commerce.models import Order, Rental
from commerce.money import format_minor
from commerce.orders.orders import COUNTER, NewOrder, advance_order_within, create_pending_order_within
from inventory.errors import InsufficientStock
from inventory.holds import (
    MAX_TTL_SECONDS,
    MIN_TTL_SECONDS,
    finish_holds_within,
    free_overdue,
    keys_in_the_way,
    place_hold_within,
)
from inventory.models import Hold
from tenants.audit import Actor, record_audit
from tenants.context import ShopContext
from tenants.errors import InvalidRequest, ShopExpired

log = structlog.get_logger(__name__)

LANGUAGES: Final = ("en", "de")
SUBJECTS: Final = {"en": "Please pay for your rental {number}", "de": "Bitte bezahlen Sie Ihre Miete {number}"}
LINK, EXTERNAL = "link", "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterRental:
    """Who wants what for when, and how it is paid; `key` makes it happen once."""

    items: Sequence[WantedLine]
    email: str
    name: str
    phone: str
    payment: str
    key: str


@dataclass(frozen=True, slots=True)
class CounterAnswer:
    """The order, and for `link` the address to pay at while it can be paid. `fresh` is False for a repeat."""

    order: Order
    payment_url: str
    fresh: bool


def begin_rental(*, shop: ShopContext, wanted: CounterRental, acting: Actor, turnstile: Turnstile) -> CounterAnswer:
    """A rental for a customer who isn't at a checkout. Repeats of the key converge on the same order.

    Raises InvalidRequest, UnknownSku, NotPurchasable, RentalUnavailable, ClientKeyConflict, ShopExpired, InventoryBusy;
    with `link` also as `start_checkout`.
    """
    if shop.policy.kind != "rental":
        raise InvalidRequest("This shop doesn't rent out.", {"period": ["This shop doesn't rent out."]})
    if not shop.open_for_business:
        raise ShopExpired("The shop is closed to new business.")
    command = _command(shop, wanted)
    if wanted.payment == LINK:
        return _by_link(shop=shop, command=command, turnstile=turnstile)
    return _paid_elsewhere(shop=shop, command=command, acting=acting)


def _command(shop: ShopContext, wanted: CounterRental) -> StartCheckout:
    locale = shop.policy.default_locale
    return StartCheckout(
        cart_id=None,
        items=wanted.items,
        client_key=f"{COUNTER}:{wanted.key}",
        seen=SeenPrices(by_sku={}, subtotal=None),
        email=wanted.email,
        locale=locale,
        shipping_option_id=None,
        shipping_address=None,
        coupon_code="",
        success_url=success_url(shop, None, locale),
        cancel_url=cancel_url(shop, None, locale),
        source=COUNTER,
        name=wanted.name,
        phone=wanted.phone,
    )


def _by_link(*, shop: ShopContext, command: StartCheckout, turnstile: Turnstile) -> CounterAnswer:
    """The checkout's own flow, on Stripe's page, as the customer isn't on any of the shop's; for as long as holds last
    at most. The mail goes out once per order; whoever is at the counter has the address as well.
    """
    if Hold.objects.for_shop(shop.shop_id).filter(active_idempotency_key=command.client_key).exists():
        raise ClientKeyConflict("This idempotency key was used for another request.")
    policy = replace(shop.policy, checkout_ui="hosted_page", hold_ttl_seconds=MAX_TTL_SECONDS)
    answer = start_checkout(shop=replaced(shop, policy=policy), command=command, turnstile=turnstile)
    order = Order.objects.for_shop(shop.shop_id).get(pk=answer.order_id)
    if answer.created:
        _mail_link(shop=shop, order=order, url=answer.url, until=answer.expires_at)
    return CounterAnswer(order, answer.url, answer.created)


def _paid_elsewhere(*, shop: ShopContext, command: StartCheckout, acting: Actor) -> CounterAnswer:
    if CheckoutAttempt.objects.for_shop(shop.shop_id).filter(client_key=command.client_key).exists():
        raise ClientKeyConflict("This idempotency key was used for another request.")
    # No card is there to authorise a deposit on: it was received with the rest.
    charged = replaced(shop, policy=replace(shop.policy, deposit_mode="charged"))
    quote = reprice(shop=charged, command=command, wanted=command.items or (), generation=None)
    if (made := _made_before(shop, command, quote)) is not None:
        return made
    refuse_unrentable(quote=quote, command=command)
    try:
        return _confirm(shop=shop, command=command, quote=quote, acting=acting)
    except InsufficientStock as short:
        if not free_overdue(shop_id=shop.shop_id, variant_keys=keys_in_the_way(short), now=timezone.now()):
            raise
        return _confirm(shop=shop, command=command, quote=quote, acting=acting)


def _made_before(shop: ShopContext, command: StartCheckout, quote: Quote) -> CounterAnswer | None:
    """The order that the key made. Raises ClientKeyConflict when it was for somebody or something else."""
    keyed = Q(hold__active_idempotency_key=command.client_key)
    order = Order.objects.for_shop(shop.shop_id).filter(keyed).first()
    if order is None:
        return None
    asked = sorted((line.variant_key, line.quantity, line.rental_start, line.rental_end) for line in quote.lines)
    has = sorted((line.variant_key, line.quantity, line.rental_start, line.rental_end) for line in order.lines.all())
    if order.email != command.email or asked != has:
        raise ClientKeyConflict("This idempotency key was used for another request.")
    return CounterAnswer(order, "", fresh=False)


def _confirm(*, shop: ShopContext, command: StartCheckout, quote: Quote, acting: Actor) -> CounterAnswer:
    """Days, order, rental and journal in one transaction."""
    now = timezone.now()
    with checkout_tx(shop.shop_id):
        placed = place_hold_within(
            shop_id=shop.shop_id,
            hold_id=uuid7(),
            key=str(command.client_key),
            lines=quote.hold_lines(),
            ttl_seconds=MIN_TTL_SECONDS,
            held_for="direct",
            now=now,
            request_id=shop.request_id,
        )
        if not placed.idempotent_hit:
            finish_holds_within(
                hold_ids=[placed.hold_id], outcome="committed", reason="Paid elsewhere", acting=acting, now=now
            )
            new = _new_order(shop=shop, command=command, quote=quote, placed=placed.hold_id)
            order = create_pending_order_within(new=new, now=now)
            advance_order_within(order=order, to=Order.Status.CONFIRMED, now=now)
            post_external_within(order=order, now=now)
            record_audit(
                shop_id=shop.shop_id,
                acting=acting,
                action="order.confirmed",
                object_type="order",
                object_id=order.pk,
                reason="Paid elsewhere",
                data={"amount": order.total_amount, "currency": order.currency},
            )
            return CounterAnswer(order, "", fresh=True)
    made = _made_before(shop, command, quote)  # a twin was faster
    if made is None:
        raise ClientKeyConflict("This idempotency key was used for another request.")
    return made


def _new_order(*, shop: ShopContext, command: StartCheckout, quote: Quote, placed: UUID) -> NewOrder:
    return NewOrder(
        order_id=uuid7(),
        shop_id=shop.shop_id,
        currency=quote.currency,
        subtotal=quote.net_subtotal,
        tax=quote.tax_amount,
        tax_mode=quote.tax.mode if quote.tax else "none",
        tax_inclusive=quote.tax is not None and quote.tax.inclusive,
        discount=0,
        coupon_code="",
        shipping=0,
        deposit=quote.deposit,
        deposit_authorised=0,
        shipping_name="",
        hold_id=placed,
        stripe_account="",
        email=command.email,
        locale=command.locale,
        shipping_address=None,
        request_id=shop.request_id,
        lines=quote.order_lines(),
        source=command.source,
        customer_name=command.name,
        phone=command.phone,
    )


def status_of(order: Order) -> str:
    """The rental's status, or that its payment is waited for, or what became of the order without one."""
    rental = Rental.objects.for_shop(order.shop_id).filter(order=order).first()
    if rental is not None:
        return rental.status
    waiting = {Order.Status.PENDING, Order.Status.PROCESSING}
    return "awaiting_payment" if order.status in waiting else order.status


def _mail_link(*, shop: ShopContext, order: Order, url: str, until: datetime) -> None:
    """Without a mail server, or when it doesn't take it, the log says so, and whoever asked has the address."""
    language = order.locale.partition("-")[0]
    language = language if language in LANGUAGES else LANGUAGES[0]
    rented = order.lines.all()
    body = render_to_string(
        f"email/rental_link.{language}.txt",
        {
            "order": order,
            "shop": shop.name,
            "url": url,
            "lines": [f"{line.quantity} × {line.title}, {line.rental_start} – {line.rental_end}" for line in rented],
            "amount": format_minor(order.total_amount, order.currency, order.locale),
            "deposit": format_minor(order.deposit_amount, order.currency, order.locale) if order.deposit_amount else "",
            "minutes": max(1, int((until - timezone.now()).total_seconds()) // 60),
        },
    )
    host = next(iter(settings.PLATFORM_HOSTS), "localhost")
    subject = " ".join(SUBJECTS[language].format(number=order.number).split())
    key = f"<rental-link-{order.pk}@{host}>"
    try:
        if not settings.EMAIL_URL:
            raise ValueError("no mail server")
        EmailMessage(subject, body, to=[order.email], headers={"Message-ID": key}).send()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        log.warning("rental_link_not_mailed", order_id=str(order.pk), error=type(error).__name__)
