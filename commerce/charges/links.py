"""Payment links: what a saved card didn't let through, the customer pays on Stripe's page. One link is open at a time.

Before a link is made the charge's own intent is ended, so that there is one way to pay, and no two.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.utils import timezone
from uuid_utils.compat import uuid7

from commerce.charges.claiming import charge_for_update, described, metadata_of
from commerce.charges.mirror import mirror_payment, note_within
from commerce.charges.models import Charge, ChargeLink
from commerce.gateway.client import access_for_account, create_session, read_session
from commerce.gateway.failures import StripeFailure, Verdict
from commerce.gateway.intents import cancel_intent
from commerce.gateway.sessions import SessionFacts
from commerce.money import stripe_amount
from commerce.orders.locks import order_tx
from commerce.orders.models import Order
from tenants.audit import Actor
from tenants.context import ShopContext
from tenants.errors import WrongState
from tenants.hosts import public_url
from tenants.ownership import record_ownership

log = structlog.get_logger(__name__)
Status = ChargeLink.Status

# A day is the longest that Stripe takes, less what a request may take. Source: Create a Checkout Session, `expires_at`.
LINK_LIVES: Final = timedelta(hours=23, minutes=30)
# A session must still have so long to live when the request arrives; after that the stored one would be refused.
LAST_SEND: Final = timedelta(minutes=31)
# As many mails as a customer gets by themselves; after that it is for staff.
MOST_LINKS: Final = 3
LIVING: Final = (Status.SENDING, Status.OPEN)


def open_link(*, shop: ShopContext, row: Charge, reason: str, acting: Actor) -> ChargeLink | None:
    """Ends the charge's intent and opens a page on which its customer pays it; None when it was paid after all.

    Raises WrongState where nothing is owed or a link is open, StripeFailure when the intent can't be ended; nothing is
    written then. A link whose session Stripe hasn't confirmed is finished by the worker.
    """
    if row.status not in Charge.OWED:
        raise WrongState(f"It is {row.get_status_display().lower()}: nothing is owed.")
    if row.links.filter(status__in=LIVING).exists():
        raise WrongState("The customer has a payment link already.")
    if row.payment_intent_id is not None:
        cancel_intent(access_for_account(shop, row.stripe_account), row.payment_intent_id)  # no tx
        row = mirror_payment(shop=shop, row=row, intent_id=row.payment_intent_id)
        if row.status not in Charge.OWED:
            return None
    link = _claim(shop=shop, charge_id=row.pk, reason=reason, acting=acting)
    return send_link(shop=shop, link=link)


def send_link(*, shop: ShopContext, link: ChargeLink) -> ChargeLink:
    """Sends the stored request under its stored key, which makes one session however often. An answer that is missing
    leaves the link to the worker.
    """
    charge = link.charge
    access = access_for_account(shop, charge.stripe_account)
    try:
        session = create_session(access, params=link.stripe_params, key=link.stripe_key)  # no tx
    except StripeFailure as failure:
        log.warning("charge_link_without_answer", link=str(link.pk), error=str(failure))
        if failure.verdict is Verdict.REFUSED:
            ChargeLink.objects.for_shop(link.shop_id).filter(pk=link.pk, status=Status.SENDING).update(
                status=Status.REFUSED
            )
            link.refresh_from_db()
        return link
    with order_tx(shop.shop_id):
        record_ownership(
            scope=access.scope, shop_id=shop.shop_id, objects=[("checkout.session", session.id)], source="charge"
        )
        ChargeLink.objects.for_shop(link.shop_id).filter(pk=link.pk, status=Status.SENDING).update(
            status=Status.OPEN, session_id=session.id, url=session.url
        )
    link.refresh_from_db()
    return link


def known_link(*, shop_id: str, session_id: str, reference: str = "") -> ChargeLink | None:
    """The link behind a session, also of one whose answer hasn't been recorded yet; None for any other session."""
    links = ChargeLink.objects.for_shop(shop_id).select_related("charge__order")
    if (link := links.filter(session_id=session_id).first()) is not None:
        return link
    try:
        return links.filter(pk=UUID(reference), session_id__isnull=True).first()
    except ValueError:
        return None


def settle_link(*, shop: ShopContext, link: ChargeLink, session_id: str) -> ChargeLink:
    """Brings link and charge to what Stripe says of the session. Any number of times. Raises StripeFailure."""
    session = read_session(access_for_account(shop, link.charge.stripe_account), session_id)  # no tx
    if session.status == "complete":
        row = _adopt(shop=shop, link=link, session=session)
        mirror_payment(shop=shop, row=row, intent_id=session.intent_id)
    elif session.status == "expired":
        _end(shop=shop, link=link, session_id=session_id)
    link.refresh_from_db()
    return link


def _claim(*, shop: ShopContext, charge_id: UUID, reason: str, acting: Actor) -> ChargeLink:
    with order_tx(shop.shop_id):
        now = timezone.now()
        order, row = charge_for_update(shop_id=shop.shop_id, charge_id=charge_id)
        if row.status not in Charge.OWED or row.links.filter(status__in=LIVING).exists():
            raise WrongState("It was paid, or has a link, since you looked.")
        # From here on the charge's money comes through the link's session, which makes an intent of its own.
        row.payment_intent_id, row.release = None, False
        row.save(update_fields=["payment_intent_id", "release"])
        link_id, expires_at = uuid7(), (now + LINK_LIVES).replace(microsecond=0)
        link = ChargeLink.objects.create(
            id=link_id,
            shop_id=shop.shop_id,
            charge=row,
            stripe_key=f"charge-link:{shop.shop_id}:{link_id}",
            stripe_params=link_params(shop=shop, order=order, row=row, link_id=link_id, expires_at=expires_at),
            expires_at=expires_at,
            created_at=now,
        )
        note_within(row, acting=acting, action="charge.link_opened", reason=reason)
    return link


def link_params(*, shop: ShopContext, order: Order, row: Charge, link_id: UUID, expires_at: datetime) -> dict[str, Any]:
    """Parameters of the link's Checkout Session: one line, the charge's amount, the customer whose card was kept.

    Source: Stripe's API 2026-10-28.endive, Create a Checkout Session.
    """
    locale = order.locale if order.locale in shop.policy.locales else shop.policy.default_locale
    whose = {"customer": order.customer_id} if order.customer_id else {"customer_email": order.email}
    metadata = metadata_of(row)
    return {
        "mode": "payment",
        "ui_mode": "hosted_page",
        "client_reference_id": str(link_id),
        "expires_at": int(expires_at.timestamp()),
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": row.currency.lower(),
                    "unit_amount": stripe_amount(row.amount, row.currency),
                    "product_data": {"name": described(row, order)},
                },
            }
        ],
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata} | ({"capture_method": "manual"} if row.manual else {}),
        "adaptive_pricing": {"enabled": False},
        "success_url": public_url(shop, f"/{locale}/payment-received"),
        "cancel_url": public_url(shop, f"/{locale}/"),
        **{name: value for name, value in whose.items() if value},
    }


def _adopt(*, shop: ShopContext, link: ChargeLink, session: SessionFacts) -> Charge:
    """The session's intent becomes the charge's, and the link's work is done."""
    with order_tx(shop.shop_id):
        _, row = charge_for_update(shop_id=shop.shop_id, charge_id=link.charge_id)
        ChargeLink.objects.for_shop(shop.shop_id).filter(pk=link.pk).update(status=Status.PAID, session_id=session.id)
        if row.payment_intent_id is None:
            row.payment_intent_id, row.status = session.intent_id, Charge.Status.UNKNOWN
            row.save(update_fields=["payment_intent_id", "status"])
    return row


def _end(*, shop: ShopContext, link: ChargeLink, session_id: str) -> None:
    with order_tx(shop.shop_id):
        charge_for_update(shop_id=shop.shop_id, charge_id=link.charge_id)
        ChargeLink.objects.for_shop(shop.shop_id).filter(pk=link.pk, status__in=LIVING).update(
            status=Status.EXPIRED, session_id=session_id
        )
