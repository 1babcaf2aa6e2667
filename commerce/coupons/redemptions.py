"""Using a coupon: what it takes off a cart, and its reservation, which lives and ends with the order's hold.

`…_within` verbs are bare: the checkout's two flows own the transactions. Lock order: attempt, order, coupon, hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from commerce.coupons.models import Coupon, CouponRedemption
from commerce.coupons.terms import Priced, Refusal, Terms, discount
from commerce.orders.models import Order

log = structlog.get_logger(__name__)
State = CouponRedemption.State


@dataclass(frozen=True, slots=True)
class CouponOffer:
    """A coupon as it applies to one cart and customer. `parts`: minor units off each line, also where it is refused.

    `refusal` is what its terms say, `used_up` what its limits say; `needs_email` is set where a limit per customer
    can't be judged because nobody said who that is. `coupon_id` is None for a code that is no coupon of the shop's.
    """

    code: str
    coupon_id: UUID | None
    parts: tuple[int, ...]
    refusal: Refusal | None
    used_up: bool
    needs_email: bool

    @property
    def amount(self) -> int:
        return sum(self.parts)


def find_offer(
    *, shop_id: str, code: str, lines: Sequence[Priced], currency: str, email: str, now: datetime
) -> CouponOffer:
    """What the coupon called `code`, in its one spelling, does for these lines. One query, or two."""
    row = Coupon.objects.for_shop(shop_id).filter(code=code).first()
    return _offer(row, shop_id, code, lines, currency, email, now)


def lock_offer_within(
    *, shop_id: str, code: str, lines: Sequence[Priced], currency: str, email: str, now: datetime
) -> CouponOffer:
    """As `find_offer`, with the coupon's row locked: its limits stay as they are told until the caller commits."""
    row = Coupon.objects.for_shop(shop_id).filter(code=code).select_for_update(no_key=True).first()
    return _offer(row, shop_id, code, lines, currency, email, now)


def reserve_within(*, order: Order, offer: CouponOffer, email: str, now: datetime) -> None:
    """Reserves a locked offer for a new order. Triggers count it, and refuse what the offer should have refused."""
    assert offer.coupon_id is not None  # noqa: S101  what isn't a coupon is refused before
    CouponRedemption.objects.create(
        shop_id=order.shop_id,
        coupon_id=offer.coupon_id,
        order=order,
        email=customer(email),
        currency=order.currency,
        subtotal_amount=order.subtotal_amount,
        discount_amount=offer.amount,
        reserved_at=now,
    )


def redeem_within(*, order: Order, now: datetime) -> None:
    """The locked order was paid. What was given back meanwhile is redeemed all the same: the customer paid that price.

    Where the limit has been used up since, it counts beyond it, so that no other customer loses what they reserved.
    """
    if not order.coupon_code:
        return
    redemption = _redemption(order)
    if redemption is None or redemption.state == State.REDEEMED:
        return
    if redemption.state == State.FREED:
        coupon = Coupon.objects.for_shop(order.shop_id).select_for_update(no_key=True).get(pk=redemption.coupon_id)
        redemption.beyond_limit = _used_up(coupon, redemption.email)
        log.warning("coupon_redeemed_late", order_id=str(order.pk), beyond_limit=redemption.beyond_limit)
    redemption.state, redemption.ended_at = State.REDEEMED, now
    redemption.save(update_fields=["state", "beyond_limit", "ended_at"])


def free_within(*, order: Order, now: datetime) -> None:
    """The locked order won't be paid: what it reserved is there for the next one. Repeats change nothing."""
    if order.coupon_code:
        reserved = CouponRedemption.objects.for_shop(order.shop_id).filter(order=order, state=State.RESERVED)
        reserved.update(state=State.FREED, ended_at=now)


def customer(email: str) -> str:
    """Who counts as one customer: an address in any case. What dots and tags in it mean is its provider's business."""
    return email.strip().lower()


def terms_of(coupon: Coupon) -> Terms:
    return Terms(
        basis_points=coupon.basis_points,
        amounts=coupon.amounts,
        minimums=coupon.minimums,
        only_for=frozenset(coupon.only_for),
        starts_at=coupon.starts_at,
        ends_at=coupon.ends_at,
        active=coupon.active,
    )


def _offer(
    row: Coupon | None, shop_id: str, code: str, lines: Sequence[Priced], currency: str, email: str, now: datetime
) -> CouponOffer:
    if row is None:
        return CouponOffer(code, None, (0,) * len(lines), Refusal.UNKNOWN, used_up=False, needs_email=False)
    found = discount(terms=terms_of(row), lines=lines, currency=currency, now=now)
    return CouponOffer(
        code=row.code,
        coupon_id=row.pk,
        parts=tuple(found.parts),
        refusal=found.refusal,
        used_up=_used_up(row, customer(email)),
        needs_email=row.limit_per_email is not None and not email,
    )


def _used_up(coupon: Coupon, email: str) -> bool:
    if coupon.limit_total is not None and coupon.used >= coupon.limit_total:
        return True
    if coupon.limit_per_email is None:
        return False
    # A statement of its own: one with the lock would count what was there before the lock was waited for.
    own = CouponRedemption.objects.for_shop(coupon.shop_id).filter(
        coupon=coupon, email=email, state__in=[State.RESERVED, State.REDEEMED], beyond_limit=False
    )
    return own.count() >= coupon.limit_per_email


def _redemption(order: Order) -> CouponRedemption | None:
    return CouponRedemption.objects.for_shop(order.shop_id).filter(order=order).first()
