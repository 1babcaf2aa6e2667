"""Changing, ending and resuming subscriptions: written down before Stripe hears of it, one at a time, each once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone
from uuid_utils.compat import uuid7

from commerce.gateway.client import StripeAccess, access_for_account
from commerce.gateway.failures import StripeFailure, Verdict
from commerce.gateway.subscriptions import InvoicePreview, preview_invoice
from commerce.models import Subscription, SubscriptionOperation
from commerce.plans.at_stripe import price_at_stripe
from commerce.plans.offers import Terms, offered_plan
from commerce.subscriptions.commands import (
    Kind,
    NewTerms,
    Wish,
    change_params,
    ending_params,
    preview_params,
)
from commerce.subscriptions.errors import OperationKeyConflict, OperationRejected, OperationUnknown
from commerce.subscriptions.mirror import mirror_subscription
from commerce.subscriptions.sending import State, resolve_operation, send_operation
from inventory.holds import bound_request_id
from tenants.audit import Actor, record_audit
from tenants.context import ShopContext
from tenants.database import shop_tx
from tenants.errors import InvalidRequest, NotFound, WrongState

Status = Subscription.Status

# Longer than the calls that a sender makes take at their slowest.
SENDER_LEASE: Final = timedelta(seconds=60)
OVER: Final = (Status.CANCELED, Status.INCOMPLETE_EXPIRED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A subscription after an operation, or before one that was only previewed. Amounts in minor units.

    `preview` is there where a change was asked for what it costs; `fresh` is false for a repeat.
    """

    subscription: Subscription
    plan_code: str
    proration: int | None
    fresh: bool
    preview: InvoicePreview | None = None


def preview_change(*, shop: ShopContext, wish: Wish) -> Outcome:
    """What the change would cost now. Changes nothing. Raises as `operate`."""
    row = _fresh(shop, subscription_of(shop_id=shop.shop_id, subscription_id=wish.subscription_id))
    now = timezone.now()
    prepared = _prepare(shop=shop, row=row, wish=wish, operation_id=uuid7(), now=now)
    assert prepared.preview is not None  # noqa: S101  a change always has one
    return Outcome(row, wish.plan_code, prepared.preview.prorated, fresh=True, preview=prepared.preview)


def operate(*, shop: ShopContext, wish: Wish, acting: Actor) -> Outcome:
    """Carries out a wish once, whoever repeats it. Asks Stripe, never in a transaction; audited.

    Raises NotFound, InvalidRequest, UnknownPlan, WrongState, OperationKeyConflict; OperationRejected when Stripe
    refused, OperationUnknown when it didn't say: repeating the wish finds out.
    """
    row = subscription_of(shop_id=shop.shop_id, subscription_id=wish.subscription_id)
    earlier = _earlier(shop_id=shop.shop_id, wish=wish)
    if earlier is None:
        _finish_others(shop=shop, row=row)
        row = _fresh(shop, row)
        earlier, fresh = _claim(shop=shop, row=row, wish=wish, acting=acting), True
        if earlier is None:
            raise OperationUnknown  # another one was faster, and is under way
        done = send_operation(shop=shop, row=row, operation=earlier)  # no tx, then its own
    else:
        fresh = False
        done = resolve_operation(shop=shop, row=row, operation=earlier, now=timezone.now())
    if done.state == State.REFUSED:
        raise OperationRejected(done.error)
    if done.state != State.DONE:
        raise OperationUnknown
    row.refresh_from_db()
    return Outcome(row, plan_code_of(row), done.told.get("prorationAmount"), fresh=fresh)


def subscription_of(*, shop_id: str, subscription_id: str) -> Subscription:
    """Raises NotFound, for another shop's too."""
    rows = Subscription.objects.for_shop(shop_id).select_related("version__plan")
    row = rows.filter(subscription_id=subscription_id).first()
    if row is None:
        raise NotFound("There is no such subscription.")
    return row


def plan_code_of(row: Subscription) -> str:
    """Empty for a subscription to something else than a plan of ours."""
    return row.version.plan.code if row.version is not None else ""


# ---------------------------------------------------------------- before Stripe
@dataclass(frozen=True, slots=True)
class Prepared:
    """The request as it will be stored, and what is told of it."""

    params: Mapping[str, Any]
    told: Mapping[str, Any]
    preview: InvoicePreview | None = None


def _fresh(shop: ShopContext, row: Subscription) -> Subscription:
    """The row by what Stripe says now: items are replaced by their ids, and staff may have changed them there."""
    try:
        mirror_subscription(shop=shop, account=row.stripe_account, subscription_id=row.subscription_id)  # no tx
    except StripeFailure as failure:
        raise _said(failure) from failure
    return subscription_of(shop_id=shop.shop_id, subscription_id=row.subscription_id)


def _prepare(*, shop: ShopContext, row: Subscription, wish: Wish, operation_id: UUID, now: datetime) -> Prepared:
    """Judges the wish and asks Stripe what it needs to be told. Raises WrongState, UnknownPlan, InvalidRequest."""
    if row.status in OVER:
        raise WrongState(f"The subscription is {row.get_status_display().lower()}.")
    if wish.kind == Kind.RESUME and not (row.cancel_at_period_end or row.cancel_at):
        raise WrongState("The subscription isn't canceled: there is nothing to take back.")
    if wish.kind != Kind.CHANGE:
        return Prepared(ending_params(wish=wish, operation_id=operation_id), {})
    access = access_for_account(shop, row.stripe_account)
    terms = _wanted_terms(shop=shop, access=access, row=row, wish=wish)
    params = change_params(wish=wish, terms=terms, operation_id=operation_id, now=wish.at or now)
    try:
        asked = preview_params(subscription_id=row.subscription_id, params=params)
        preview = preview_invoice(access, params=asked)  # no tx
    except StripeFailure as failure:
        raise _said(failure) from failure
    told = {
        "planId": terms.plan_code,
        "quantity": terms.quantity,
        "prorate": wish.prorate,
        "prorationAmount": preview.prorated if wish.prorate != "none" else 0,
        "from": {"planId": plan_code_of(row), "items": row.items},
    }
    return Prepared(params, told, preview)


def _wanted_terms(*, shop: ShopContext, access: StripeAccess, row: Subscription, wish: Wish) -> NewTerms:
    """Today's terms of the wanted plan, on the one item that the subscription has."""
    if len(row.items) != 1:
        raise WrongState("The subscription has several items: change it at Stripe.")
    (item,) = row.items
    quantity = wish.quantity if wish.quantity is not None else int(item["quantity"] or 1)
    terms: Terms = offered_plan(shop_id=shop.shop_id, code=wish.plan_code, currency=shop.policy.currency)
    if terms.currency != row.currency:
        message = f"The subscription is paid in {row.currency}, this plan in {terms.currency}."
        raise InvalidRequest(message, {"planId": ["Of another currency."]})
    try:
        price_id = price_at_stripe(
            access=access, shop_id=shop.shop_id, terms=terms, locale=shop.policy.default_locale,
            inclusive=shop.policy.tax.inclusive,
        )  # fmt: skip
    except StripeFailure as failure:
        raise _said(failure) from failure
    if (price_id, quantity) == (item["price"], item["quantity"]):
        raise WrongState("The subscription is on these terms already.")
    return NewTerms(item_id=str(item["id"]), price_id=price_id, plan_code=terms.code, quantity=quantity)


def _said(failure: StripeFailure) -> OperationRejected | OperationUnknown:
    """What a question that Stripe didn't answer means: nothing was changed either way."""
    refused = failure.verdict is Verdict.REFUSED
    return OperationRejected(failure.code or failure.kind) if refused else OperationUnknown()


# ---------------------------------------------------------------- one at a time, each once
def _earlier(*, shop_id: str, wish: Wish) -> SubscriptionOperation | None:
    """The operation that the key made before. Raises OperationKeyConflict when it was another one."""
    made = SubscriptionOperation.objects.for_shop(shop_id).filter(idempotency_key=wish.key).first()
    if made is not None and made.digest != wish.digest():
        raise OperationKeyConflict("This idempotency key was used for another operation.")
    return made


def _finish_others(*, shop: ShopContext, row: Subscription) -> None:
    """An earlier operation that nobody has an answer to comes first. Raises OperationUnknown while it has none."""
    under_way = SubscriptionOperation.objects.for_shop(shop.shop_id).filter(
        subscription=row, state__in=SubscriptionOperation.UNDER_WAY
    )
    for operation in under_way:
        left = resolve_operation(shop=shop, row=row, operation=operation, now=timezone.now())
        if left.state in SubscriptionOperation.UNDER_WAY:
            raise OperationUnknown


def _claim(*, shop: ShopContext, row: Subscription, wish: Wish, acting: Actor) -> SubscriptionOperation | None:
    """The operation with the exact request, its first send counted. None when another one was faster."""
    now, operation_id = timezone.now(), uuid7()
    prepared = _prepare(shop=shop, row=row, wish=wish, operation_id=operation_id, now=now)
    operation = SubscriptionOperation(
        id=operation_id,
        shop_id=shop.shop_id,
        subscription=row,
        kind=wish.kind,
        idempotency_key=wish.key,
        digest=wish.digest(),
        stripe_key=f"subscription:{shop.shop_id}:{operation_id}",
        stripe_params=dict(prepared.params),
        told=dict(prepared.told),
        lease_until=now + SENDER_LEASE,
        acting=str(acting),
        reason=wish.reason,
        request_id=bound_request_id(),
        created_at=now,
    )
    try:
        with shop_tx(shop.shop_id):
            operation.save(force_insert=True)
            record_audit(
                shop_id=shop.shop_id,
                acting=acting,
                action=f"subscription.{wish.kind}",
                object_type="subscription",
                object_id=row.pk,
                reason=wish.reason,
                data={"subscription": row.subscription_id, "operation": str(operation_id), **prepared.told},
            )
    except IntegrityError as error:
        if "subscription_operation_" in str(error):
            return None
        raise
    return operation
