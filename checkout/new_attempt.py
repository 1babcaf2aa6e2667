"""What a claim writes: the attempt with the exact requests to Stripe, and its order. Nothing is read or sent here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from uuid_utils.compat import uuid7

from checkout.contracts import StartCheckout
from checkout.coupons import coupon_request
from checkout.models import CheckoutAttempt
from checkout.repricing import Quote, client_digest, intent_digest
from checkout.stripe_session import session_expiry, session_params
from commerce.orders.orders import NewOrder
from tenants.context import ShopContext

# A lease outlives the calls it covers, each with the gateway's two timeouts (a session; before it a coupon, which may
# have to be looked for), and the transaction that records the answer.
CALL = timedelta(seconds=settings.STRIPE_CONNECT_TIMEOUT + settings.STRIPE_READ_TIMEOUT)
LEASE, LEASE_WITH_COUPON = (calls * CALL + timedelta(seconds=7) for calls in (1, 3))


def lease_for(coupon_params: Mapping[str, Any] | None) -> timedelta:
    """How long the sender of an attempt's requests has it for itself."""
    return LEASE if coupon_params is None else LEASE_WITH_COUPON


def new_attempt(
    *,
    shop: ShopContext,
    command: StartCheckout,
    quote: Quote,
    changes: Sequence[dict[str, Any]],
    account: str,
    now: datetime,
) -> CheckoutAttempt:
    """The attempt as it is claimed: with ids for all that hangs on it, and the exact requests to be sent to Stripe."""
    attempt_id, order_id = uuid7(), uuid7()
    hold_id = uuid7() if shop.policy.holds_stock else None
    expires_at = session_expiry(created_at=now, hold_ttl_seconds=shop.policy.hold_ttl_seconds)
    client_sent = client_digest(command=command)
    coupon_key, coupon_params = coupon_request(shop_id=shop.shop_id, quote=quote, attempt_id=attempt_id)
    return CheckoutAttempt(
        id=attempt_id,
        shop_id=shop.shop_id,
        cart_id=command.cart_id if command.uses_cart else None,
        cart_generation=quote.generation,
        client_key=command.client_key,
        client_digest=client_sent if command.client_key else "",
        intent_digest=intent_digest(shop=shop, quote=quote, command=command, account=account),
        order_id=order_id,
        hold_id=hold_id,
        stripe_account=account,
        stripe_key=f"checkout:{shop.shop_id}:{attempt_id}",
        stripe_params=session_params(
            shop=shop,
            command=command,
            quote=quote,
            attempt_id=attempt_id,
            order_id=order_id,
            hold_id=hold_id,
            expires_at=expires_at,
        ),
        coupon_key=coupon_key,
        coupon_params=coupon_params,
        session_expires_at=expires_at,
        sends=1,
        lease_until=now + lease_for(coupon_params),
        changes=list(changes),
        request_id=shop.request_id,
        created_at=now,
    )


def new_order(*, shop: ShopContext, command: StartCheckout, quote: Quote, attempt: CheckoutAttempt) -> NewOrder:
    """The pending order of an attempt, at the quote's prices."""
    return NewOrder(
        order_id=attempt.order_id,
        shop_id=shop.shop_id,
        currency=quote.currency,
        subtotal=quote.net_subtotal,
        tax=quote.tax_amount,
        tax_mode=quote.tax.mode if quote.tax else "none",
        tax_inclusive=quote.tax is not None and quote.tax.inclusive,
        discount=quote.discount,
        coupon_code=quote.coupon.code if quote.coupon else "",
        shipping=quote.shipping_amount,
        deposit=quote.deposit,
        deposit_authorised=quote.deposit_authorised,
        shipping_name=quote.shipping.name if quote.shipping else "",
        hold_id=attempt.hold_id,
        stripe_account=attempt.stripe_account,
        email=command.email,
        locale=command.locale,
        shipping_address=command.shipping_address,
        request_id=shop.request_id,
        lines=quote.order_lines(),
        source=command.source,
        customer_name=command.name,
        phone=command.phone,
    )
