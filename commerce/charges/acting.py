"""What staff do to a charge, and what anybody may ask about it: decided in a transaction, then told to Stripe.

What Stripe doesn't answer is left to the worker, and the charge says so.
"""

from __future__ import annotations

from uuid import UUID

from django.utils import timezone

from commerce.charges.claiming import charge_for_update, claim_retry, want_capture_within, want_release_within
from commerce.charges.collecting import settle_charges
from commerce.charges.links import open_link
from commerce.charges.models import Charge, ChargeLink
from commerce.charges.resolver import advance_charge
from commerce.charges.sending import send_charge
from commerce.charges.telling import tell_customer
from commerce.orders.locks import order_tx
from tenants.audit import Actor
from tenants.context import ShopContext
from tenants.errors import NotFound


def try_again(*, shop: ShopContext, charge_id: UUID, reason: str, acting: Actor) -> Charge:
    """Tries the saved card once more: the charge's own intent, never a second one. Raises NotFound, WrongState."""
    row = claim_retry(shop_id=shop.shop_id, charge_id=charge_id, reason=reason, acting=acting, now=timezone.now())
    row = send_charge(shop=shop, row=row)
    if row.status == Charge.Status.CUSTOMER:
        row = advance_charge(shop=shop, row=row, now=timezone.now())
    return row


def capture_held(*, shop: ShopContext, charge_id: UUID, amount: int, reason: str, acting: Actor) -> Charge:
    """Takes `amount` (minor units) of what is held, once; the rest goes back. Raises NotFound, WrongState,
    InvalidRequest.
    """
    with order_tx(shop.shop_id):
        order, row = charge_for_update(shop_id=shop.shop_id, charge_id=charge_id)
        want_capture_within(row, amount=amount, reason=reason, acting=acting)
    settle_charges(shop=shop, order=order, now=timezone.now())
    row.refresh_from_db()
    return row


def let_go(*, shop: ShopContext, charge_id: UUID, reason: str, acting: Actor) -> Charge:
    """Gives up what is held or owed: nothing is taken. Raises NotFound, WrongState."""
    with order_tx(shop.shop_id):
        order, row = charge_for_update(shop_id=shop.shop_id, charge_id=charge_id)
        want_release_within(row, reason=reason, acting=acting)
    settle_charges(shop=shop, order=order, now=timezone.now())
    row.refresh_from_db()
    return row


def send_payment_link(*, shop: ShopContext, charge_id: UUID, reason: str, acting: Actor) -> ChargeLink | None:
    """Mails the customer a page on which they pay what is owed; None when it was paid after all.

    Raises NotFound, WrongState, StripeFailure.
    """
    row = Charge.objects.for_shop(shop.shop_id).filter(pk=charge_id).first()
    if row is None:
        raise NotFound("There is no such charge.")
    link = open_link(shop=shop, row=row, reason=reason, acting=acting)
    if link is not None and link.url:
        tell_customer(link, now=timezone.now())
    return link
