"""A checkout's coupon: refused in time, reserved in tx 1, told to Stripe before the session that names it.

Redeemed and freed it is where the checkout ends: `_paid` in settle.py, `give_back_within` in attempts.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from checkout.claims import LostTheClaim
from checkout.errors import CouponRejected
from checkout.models import CheckoutAttempt
from checkout.repricing import Quote
from commerce.coupons.redemptions import CouponOffer, lock_offer_within, reserve_within
from commerce.coupons.terms import Refusal
from commerce.gateway.client import StripeAccess, create_coupon
from commerce.models import Order
from commerce.money import stripe_amount
from tenants.errors import InvalidRequest


def refuse_coupon(*, quote: Quote, instead_of: CheckoutAttempt | None = None) -> None:
    """Raises CouponRejected where the quote's coupon can't be used, InvalidRequest where it wants to know by whom.

    Before an open checkout is ended as well, `instead_of`: its customer keeps it, then. Whatever limit that one used up
    by itself is free again once it has ended, so that tx 1 judges it.
    """
    if (offer := quote.coupon) is None:
        return
    own = instead_of is not None and instead_of.order.coupon_code == offer.code
    _refuse(offer, used_up=offer.used_up and not own)


def reserve_coupon_within(*, quote: Quote, order: Order, email: str, now: datetime) -> None:
    """The coupon once more, with its row locked, and reserved for the new order. Raises CouponRejected, InvalidRequest;
    LostTheClaim when it takes off another amount by now. Two statements, three with a limit per customer.
    """
    if quote.coupon is None:
        return
    offer = lock_offer_within(
        shop_id=order.shop_id,
        code=quote.coupon.code,
        lines=quote.merchandise(),
        currency=quote.currency,
        email=email,
        now=now,
    )
    _refuse(offer, used_up=offer.used_up)
    if offer.parts != quote.coupon.parts:
        raise LostTheClaim
    reserve_within(order=order, offer=offer, email=email, now=now)


def _refuse(offer: CouponOffer, *, used_up: bool) -> None:
    if offer.refusal is not None:
        raise CouponRejected(offer.refusal)
    if offer.needs_email:
        raise InvalidRequest("This coupon is for one customer at a time.", {"email": ["Required with this coupon."]})
    if used_up:
        raise CouponRejected(Refusal.USAGE)


def coupon_request(*, shop_id: str, quote: Quote, attempt_id: UUID) -> tuple[str, dict[str, Any] | None]:
    """Key and parameters of `coupons.create` for one attempt; no parameters without a discount.

    An amount, never a share: what Stripe takes off is then what we computed, to the minor unit. Its id follows from the
    attempt, so that the session's parameters can name it before it is there.
    Source: Stripe's API 2026-10-28.endive, Create a coupon.
    """
    if quote.coupon is None:
        return "", None
    return f"coupon:{shop_id}:{attempt_id}", {
        "id": coupon_id(attempt_id),
        "name": quote.coupon.code,
        "duration": "once",
        "amount_off": stripe_amount(quote.discount, quote.currency),
        "currency": quote.currency.lower(),
        "metadata": {"shop_id": shop_id, "coupon_code": quote.coupon.code},
    }


def coupon_id(attempt_id: UUID) -> str:
    return f"holdfast_{attempt_id.hex}"


def make_coupon(access: StripeAccess, attempt: CheckoutAttempt) -> None:
    """Makes the coupon that the attempt's session names, or finds it made. Nothing without one. No transaction around.

    Raises StripeFailure: then no session was asked for by this send, and a coupon that nobody names does no harm.
    """
    if attempt.coupon_params is not None:
        create_coupon(access, params=attempt.coupon_params, key=attempt.coupon_key)
