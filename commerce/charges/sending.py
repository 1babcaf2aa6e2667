"""Speaking to Stripe about charges that have been written down: send, carry out what was decided, and find out what
became of a send. An outcome that isn't known is never answered by a second payment intent.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db.models import F, Q

from commerce.charges.claiming import SENDER_LEASE
from commerce.charges.mirror import apply_payment, mirror_payment, note_within
from commerce.charges.models import Charge
from commerce.gateway.client import StripeAccess, access_for_account
from commerce.gateway.failures import StripeFailure, Verdict
from commerce.gateway.intents import (
    cancel_intent,
    capture_intent,
    confirm_intent,
    create_intent,
    find_payment,
    read_payment,
)
from commerce.gateway.stamps import take_stamp
from commerce.money import stripe_amount
from commerce.orders.locks import order_for_update, order_tx
from tenants.audit import RESOLVER
from tenants.context import ShopContext
from tenants.database import shop_tx

log = structlog.get_logger(__name__)
Status = Charge.Status

# Stripe forgets a key after "at least 24 hours", and would then carry the request out anew.
KEY_LIVES: Final = timedelta(hours=23)
NEVER_MADE: Final = "never_made"


def send_charge(*, shop: ShopContext, row: Charge) -> Charge:
    """Sends a charge whose send has been counted, and applies what Stripe says; the row as it is then.

    A failure of Stripe's is an outcome, not an error: the row says what is known. Raises InventoryBusy when the order
    is taken for too long; the row then waits for `resolve_charge`.
    """
    access = access_for_account(shop, row.stripe_account)
    made, refused = row.payment_intent_id or "", ""
    try:
        if made:
            confirm_intent(access, made, params=row.stripe_params, key=row.stripe_key)  # no tx
        else:
            made = create_intent(access, params=row.stripe_params, key=row.stripe_key)  # no tx
    except StripeFailure as failure:
        made = made or failure.intent_id
        if not made or not (failure.intent_id or failure.verdict is Verdict.REFUSED):
            return _settle_failure(row=row, failure=failure, intent_id=made)
        refused = failure.code  # the intent says the rest
    try:
        return mirror_payment(shop=shop, row=row, intent_id=made, unexplained=refused)  # no tx, then tx
    except StripeFailure as failure:
        return _settle_failure(row=row, failure=failure, intent_id=made)


def resolve_charge(*, shop: ShopContext, row: Charge, now: datetime) -> Charge:
    """Asks Stripe what became of a charge. Raises StripeFailure when Stripe can't be read; nothing is written then.

    Of a send without an answer: its intent is read, or looked for among the customer's; one that isn't there is sent
    again under its key while that is remembered, and given up after.
    """
    if row.status not in Charge.ASKED:
        return mirror_payment(shop=shop, row=row, intent_id=row.payment_intent_id) if row.payment_intent_id else row
    if not _take(row=row, now=now):
        return row
    access = access_for_account(shop, row.stripe_account)
    stamp = take_stamp()
    intent_id = row.payment_intent_id or find_payment(
        access, customer_id=str(row.stripe_params["customer"]), reference=str(row.pk)
    )  # no tx
    if intent_id is not None:
        facts = read_payment(access, intent_id)  # no tx
        return apply_payment(shop=shop, access=access, row=row, facts=facts, stamp=stamp, unexplained=NEVER_MADE)
    if now - row.keyed_at >= KEY_LIVES:
        return _give_up(row=row)
    with shop_tx(row.shop_id):
        Charge.objects.for_shop(row.shop_id).filter(pk=row.pk).update(sends=F("sends") + 1)
    row.refresh_from_db()
    return send_charge(shop=shop, row=row)


def carry_out(*, shop: ShopContext, row: Charge) -> Charge:
    """Tells Stripe what was decided about a held or owed amount, and applies what it says. Any number of times: an
    intent can be captured once, and canceled once. Raises StripeFailure, with the decision still to be carried out.
    """
    intent_id = row.payment_intent_id
    if intent_id is None or row.status in Charge.ENDED:
        return row
    access = access_for_account(shop, row.stripe_account)
    if row.release:
        cancel_intent(access, intent_id)  # no tx
    elif row.status == Status.HELD and row.capture_amount is not None:
        _capture(access, row, intent_id)  # no tx
    else:
        return row
    return mirror_payment(shop=shop, row=row, intent_id=intent_id)


def _capture(access: StripeAccess, row: Charge, intent_id: str) -> None:
    try:
        capture_intent(
            access,
            intent_id,
            amount=stripe_amount(row.capture_amount or 0, row.currency),
            key=f"capture:{row.shop_id}:{row.pk}",
        )
    except StripeFailure as failure:
        if failure.http_status != 400:
            raise
        # It was captured or has lapsed: reading it says which.
        log.info("capture_refused", charge=str(row.pk), code=failure.code)


def _take(*, row: Charge, now: datetime) -> bool:
    """The sender's lease, for one at a time."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    with shop_tx(row.shop_id):
        mine = Charge.objects.for_shop(row.shop_id).filter(free, pk=row.pk, status__in=Charge.ASKED)
        return bool(mine.update(lease_until=now + SENDER_LEASE))


def _settle_failure(*, row: Charge, failure: StripeFailure, intent_id: str) -> Charge:
    """Refused by every send: never made. Anything else: unknown."""
    with order_tx(row.shop_id):
        order_for_update(shop_id=row.shop_id, order_id=row.order_id)
        row = Charge.objects.for_shop(row.shop_id).select_for_update(no_key=True).get(pk=row.pk)
        if row.status not in Charge.ASKED:
            return row  # an event was faster
        row.payment_intent_id = row.payment_intent_id or intent_id or None
        row.lease_until = None
        if failure.verdict is Verdict.REFUSED and row.payment_intent_id is None:
            row.refusals += 1
        if row.payment_intent_id is None and row.refusals == row.sends:
            row.status, row.error_code = Status.DECLINED, (failure.code or failure.kind)[:64]
            note_within(row, acting=RESOLVER, action="charge.declined", reason=failure.message)
        else:
            row.status = Status.UNKNOWN
        row.save(update_fields=["status", "lease_until", "refusals", "payment_intent_id", "error_code"])
    log.warning("charge_without_answer", charge=str(row.pk), status=row.status, error=str(failure))
    return row


def _give_up(*, row: Charge) -> Charge:
    with order_tx(row.shop_id):
        order_for_update(shop_id=row.shop_id, order_id=row.order_id)
        row = Charge.objects.for_shop(row.shop_id).select_for_update(no_key=True).get(pk=row.pk)
        if row.status in Charge.ASKED and row.payment_intent_id is None:
            row.status, row.lease_until, row.error_code = Status.DECLINED, None, NEVER_MADE
            row.save(update_fields=["status", "lease_until", "error_code"])
            note_within(row, acting=RESOLVER, action="charge.declined", reason="Stripe never made it")
    return row
