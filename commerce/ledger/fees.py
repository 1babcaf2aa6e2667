"""Stripe's fees, brought into the journal: known only once Stripe has booked the charge, which may be after the sale.

`charge.updated` says when; the sweep below finds what no event told.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db.models import F, Q

from commerce.gateway.balance import read_charge
from commerce.gateway.client import access_for_account
from commerce.gateway.failures import StripeFailure
from commerce.ledger.postings import post_fee_within
from commerce.orders.locks import order_for_update, order_tx
from commerce.orders.models import Order
from tenants.context import ShopContext, bind_shop, load_shop
from tenants.errors import HoldfastError
from tenants.ownership import record_ownership

log = structlog.get_logger(__name__)

PAID: Final = (Order.Status.CONFIRMED, Order.Status.REVIEW, Order.Status.REFUNDED)
# Stripe books a charge within seconds; one that it doesn't, or an account that can't be read, waits for its turn.
ASK_AGAIN_AFTER: Final = timedelta(minutes=10)
RUN_FOR: Final = 40.0


@dataclass(frozen=True, slots=True)
class FeeReport:
    """How many paid orders without a fee were looked at, how many have one now, how many couldn't be read."""

    found: int
    posted: int
    failed: int


def post_fee(*, shop: ShopContext, order_id: UUID, now: datetime) -> bool:
    """Reads the order's charge and posts Stripe's fee, once. False while Stripe hasn't booked the charge.

    Raises StripeFailure and CredentialsUnusable when Stripe can't be read; nothing is written then.
    """
    order = Order.objects.for_shop(shop.shop_id).get(pk=order_id)
    access = access_for_account(shop, order.stripe_account)
    charge = read_charge(access, order.payment_intent_id)  # no tx
    if charge is None or charge.transaction is None:
        return False
    with order_tx(shop.shop_id):
        order = order_for_update(shop_id=shop.shop_id, order_id=order_id)
        if order.balance_transaction_id:
            return True
        order.charge_id, order.balance_transaction_id = charge.id, charge.transaction.id
        order.save(update_fields=["charge_id", "balance_transaction_id"])
        record_ownership(scope=access.scope, shop_id=shop.shop_id, objects=[("charge", charge.id)], source="settle")
        post_fee_within(of=order, txn=charge.transaction, gross=charge.amount, now=now)
    return True


def run_once(*, now: datetime, limit: int = 100) -> FeeReport:
    """Looks for the fees of up to `limit` paid orders, the longest unasked first. Safe to run side by side."""
    began, found, posted, failed = time.monotonic(), 0, 0, 0
    for order in _due(now, limit):
        if time.monotonic() - began > RUN_FOR:
            break
        found += 1
        Order.objects.for_shop(order.shop_id).filter(pk=order.pk).update(charge_read_at=now)
        try:
            shop = load_shop(order.shop_id, request_id=order.request_id)
            with bind_shop(shop):
                posted += post_fee(shop=shop, order_id=order.pk, now=now)
        except (StripeFailure, HoldfastError) as error:
            failed += 1
            log.warning("fee_not_read", order_id=str(order.pk), shop_id=order.shop_id, error=str(error))
        except Exception:
            failed += 1
            log.exception("fee_not_posted", order_id=str(order.pk), shop_id=order.shop_id)
    return FeeReport(found=found, posted=posted, failed=failed)


def _due(now: datetime, limit: int) -> list[Order]:
    unasked = Q(charge_read_at__isnull=True) | Q(charge_read_at__lte=now - ASK_AGAIN_AFTER)
    without = Order.objects.filter(unasked, balance_transaction_id="", status__in=PAID).exclude(payment_intent_id="")
    return list(without.order_by(F("charge_read_at").asc(nulls_first=True), "created_at")[:limit])
