"""Taking records over: each kept as it came, judged, and answered for by itself; a second time it does nothing more.

A record that names an order of ours is compared with it and changes nothing; one that names none becomes an order.
Where it contradicts what is here, or itself, it is refused and waits for staff.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from commerce import metrics
from commerce.gateway.client import access_of
from commerce.ledger.postings import post_capture_within
from commerce.orders.models import Order, OrderLine
from commerce.reconciliation.errors import ReconciliationRejected
from commerce.reconciliation.models import ReconciliationRecord
from commerce.reconciliation.normalising import CANCELED, CONFIRMED, LONGEST_ID, Refused, Sale, normalise
from tenants.audit import Actor, record_audit
from tenants.context import ShopContext
from tenants.database import as_system, shop_tx
from tenants.errors import InvalidRequest, NotFound, WrongState
from tenants.ownership import StripeScope, owner_of, record_ownership

log = structlog.get_logger(__name__)

State = ReconciliationRecord.State
MOST_RECORDS: Final = 500
"""In one request. It is answered within the time that a server gives one."""

NOT_OURS: Final = "Is not this shop's."

# Where our order is, for a record that says it is over: a payment that was given back was one.
SAME: Final[Mapping[str, frozenset[str]]] = {
    CONFIRMED: frozenset({Order.Status.CONFIRMED, Order.Status.REVIEW, Order.Status.REFUNDED}),
    CANCELED: frozenset({Order.Status.CANCELED, Order.Status.FAILED}),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one record. `external_id` as it came, None where it named none; `fields`: why it was refused."""

    record_id: UUID
    external_id: str | None
    state: str
    normalised: bool
    order_id: UUID | None = None
    fields: dict[str, list[str]] = field(default_factory=dict)


def reconcile(*, shop: ShopContext, source: str, records: Sequence[Any], acting: Actor) -> list[Outcome]:
    """Takes over each of `records` in a transaction of its own, in their order. Asks nobody outside.

    Raises ReconciliationRejected, with all of them kept, when every one is refused.
    """
    scope = access_of(shop).scope
    told_apart = _told_twice(records)
    outcomes = []
    for record in records:
        twice = _external_id(record) in told_apart
        outcomes.append(_receive(shop, source, record, scope=scope, acting=acting, twice=twice))
    if outcomes and all(outcome.state == State.REJECTED for outcome in outcomes):
        raise ReconciliationRejected(
            "Every record was refused. They are kept, and staff can correct them.",
            {
                f"records[{at}]{'.' + member if member else ''}": why
                for at, outcome in enumerate(outcomes)
                for member, why in outcome.fields.items()
            },
        )
    return outcomes


def correct_record(
    *, shop: ShopContext, record_id: UUID, corrected: Mapping[str, Any], reason: str, acting: Actor
) -> Outcome:
    """Judges a refused record once more, as staff have corrected it. Audited; what arrived is kept beside it.

    Raises NotFound, WrongState for one that isn't refused, and InvalidRequest, with nothing changed, when it would
    still be.
    """
    scope = access_of(shop).scope
    foreign = _foreign(shop.shop_id, scope, corrected)
    with shop_tx(shop.shop_id):
        row = _refused(shop.shop_id, record_id)
        try:
            outcome = _judge(shop, row, corrected, scope=scope, older_forms=True, wrong=foreign)
        except Refused as refusal:
            raise InvalidRequest(_in_a_sentence(refusal.fields), refusal.fields) from refusal
        row.corrected = dict(corrected)
        row.save(update_fields=["corrected"])
        record_audit(
            shop_id=shop.shop_id, acting=acting, action="reconciliation.corrected",
            object_type="commerce.reconciliationrecord", object_id=row.pk, reason=reason,
            data={"order": str(outcome.order_id), "outcome": outcome.state},
        )  # fmt: skip
    return outcome


def dismiss_record(*, shop_id: str, record_id: UUID, reason: str, acting: Actor) -> None:
    """Puts a refused record aside for good. Audited. Raises NotFound, WrongState."""
    with shop_tx(shop_id):
        row = _refused(shop_id, record_id)
        row.state, row.decided_at = State.DISMISSED, timezone.now()
        row.save(update_fields=["state", "decided_at"])
        record_audit(
            shop_id=shop_id, acting=acting, action="reconciliation.dismissed",
            object_type="commerce.reconciliationrecord", object_id=row.pk, reason=reason,
        )  # fmt: skip


def _refused(shop_id: str, record_id: UUID) -> ReconciliationRecord:
    """Locked. Raises NotFound, WrongState."""
    row = ReconciliationRecord.objects.for_shop(shop_id).select_for_update().filter(pk=record_id).first()
    if row is None:
        raise NotFound("There is no such record.")
    if row.state != State.REJECTED:
        raise WrongState(f"It isn't refused: {row.get_state_display().lower()}.")
    return row


def _receive(shop: ShopContext, source: str, record: Any, *, scope: StripeScope, acting: Actor, twice: bool) -> Outcome:
    wrong = {"externalId": ["The request names it twice, with different content."]} if twice else {}
    wrong |= _foreign(shop.shop_id, scope, record)
    try:
        with shop_tx(shop.shop_id):
            return _receive_within(shop, source, record, scope=scope, acting=acting, wrong=wrong)
    except IntegrityError:
        # Somebody else has just taken over the same sale: it is here, and a second look finds it.
        pass
    try:
        with shop_tx(shop.shop_id):
            return _receive_within(shop, source, record, scope=scope, acting=acting, wrong=wrong)
    except IntegrityError:
        # An order that this shop doesn't see has the session.
        wrong = {"sessionId": [NOT_OURS]}
    with shop_tx(shop.shop_id):
        return _receive_within(shop, source, record, scope=scope, acting=acting, wrong=wrong)


def _foreign(shop_id: str, scope: StripeScope, record: Any) -> dict[str, list[str]]:
    """Members of the record that name an object of Stripe's which another shop is known to own."""
    if not isinstance(record, Mapping):
        return {}
    with as_system():  # a shop's own scope doesn't see what others own
        return {
            member: [NOT_OURS]
            for member in ("sessionId", "paymentIntentId")
            if isinstance(named := record.get(member), str) and owner_of(scope=scope, object_ids=[named]) - {shop_id}
        }


def _receive_within(
    shop: ShopContext,
    source: str,
    record: Any,
    *,
    scope: StripeScope,
    acting: Actor,
    wrong: Mapping[str, list[str]],
) -> Outcome:
    """`wrong`: what speaks against the record before anybody has read it."""
    now = timezone.now()
    row, fresh = (
        ReconciliationRecord.objects.for_shop(shop.shop_id)
        .select_for_update()
        .get_or_create(
            shop_id=shop.shop_id,
            source=source,
            external_id=_external_id(record),
            payload_digest=_digest(record),
            defaults={
                "payload": record,
                "state": State.REJECTED,
                "reasons": {"": ["Not judged yet."]},
                "received_by": str(acting),
                "request_id": shop.request_id[:64],
                "received_at": now,
                "decided_at": now,
            },
        )
    )
    if row.state in {State.APPLIED, State.UNCHANGED}:
        return _outcome(row, State.UNCHANGED)
    if row.state == State.DISMISSED:
        return _outcome(row, State.REJECTED, {"": ["Staff have put this record aside."]})
    try:
        older_forms = settings.RECONCILIATION_MIGRATION_WINDOW
        outcome = _judge(shop, row, record, scope=scope, older_forms=older_forms, wrong=wrong)
    except Refused as refusal:
        row.reasons, row.decided_at = refusal.fields, now
        row.save(update_fields=["reasons", "decided_at"])
        outcome = _outcome(row, State.REJECTED, refusal.fields)
    if fresh:
        metrics.RECONCILIATION_RECORDS.labels(shop.shop_id, outcome.state).inc()
        if outcome.normalised:
            metrics.RECONCILIATION_NORMALISED.labels(shop.shop_id).inc()
    return outcome


def _judge(
    shop: ShopContext,
    row: ReconciliationRecord,
    record: Any,
    *,
    scope: StripeScope,
    older_forms: bool,
    wrong: Mapping[str, list[str]],
) -> Outcome:
    """Decides `row` by what `record` says and writes what follows. Raises Refused, with nothing written."""
    sale = normalise(record, older_forms=older_forms)
    if wrong:
        raise Refused(wrong)
    if row.external_id and row.external_id != sale.external_id:
        raise Refused({"externalId": [f"It came as {row.external_id}, and stays that."]})
    row.external_id = sale.external_id
    order = _known_order(shop.shop_id, row.source, sale)
    now = timezone.now()
    if order is None:
        order = _create_order(shop, row, sale, scope=scope, now=now)
        row.state = State.APPLIED
    else:
        _compare(order, sale)
        row.state = State.UNCHANGED
    row.order_id, row.normalised, row.reasons, row.decided_at = order.pk, sale.normalised, {}, now
    row.save(update_fields=["external_id", "state", "order", "normalised", "reasons", "decided_at"])
    return _outcome(row, row.state)


def _known_order(shop_id: str, source: str, sale: Sale) -> Order | None:
    """The order of ours that the record names, by any of its names. Raises Refused when they name several."""
    names: dict[str, Q] = {
        "orderNumber": Q(number=sale.order_number),
        "sessionId": Q(session_id=sale.session_id),
        "paymentIntentId": Q(payment_intent_id=sale.payment_intent_id),
    }
    given = {"orderNumber": sale.order_number, "sessionId": sale.session_id, "paymentIntentId": sale.payment_intent_id}
    found: dict[str, Order] = {}
    for member, question in names.items():
        if given[member] and (order := Order.objects.for_shop(shop_id).filter(question).first()):
            found[member] = order
    before = (
        ReconciliationRecord.objects.for_shop(shop_id)
        .filter(source=source, external_id=sale.external_id, state=State.APPLIED)
        .select_related("order")
        .first()
    )
    if before is not None and before.order is not None:
        found["externalId"] = before.order
    if len({order.pk for order in found.values()}) > 1:
        raise Refused({member: [f"Names order {order.number}."] for member, order in found.items()})
    return next(iter(found.values()), None)


def _compare(order: Order, sale: Sale) -> None:
    """Raises Refused for every statement of the record that the order contradicts."""
    wrong: dict[str, list[str]] = {}
    if order.currency != sale.currency:
        wrong["currency"] = [f"Order {order.number} is in {order.currency}."]
    for name in sorted(sale.stated):
        ours = getattr(order, f"{name}_amount")
        if ours != sale.amounts[name]:
            wrong[name] = [f"Order {order.number} says {ours}, the record {sale.amounts[name]}, in minor units."]
    if order.status not in SAME[sale.status]:
        wrong["status"] = [f"Order {order.number} is {order.get_status_display().lower()}."]
    for member, ours, theirs in (
        ("sessionId", order.session_id or "", sale.session_id),
        ("paymentIntentId", order.payment_intent_id, sale.payment_intent_id),
    ):
        if theirs and ours and ours != theirs:
            wrong[member] = [f"Order {order.number} has another one."]
    if wrong:
        raise Refused(wrong)


def _create_order(
    shop: ShopContext, row: ReconciliationRecord, sale: Sale, *, scope: StripeScope, now: datetime
) -> Order:
    """The order as it was, with its own time; what was paid is in the journal from now on."""
    confirmed = sale.status == CONFIRMED
    order = Order.objects.create(
        id=uuid7(),
        shop_id=shop.shop_id,
        status=sale.status,
        source=row.source,
        currency=sale.currency,
        **{f"{name}_amount": amount for name, amount in sale.amounts.items()},
        expected_total_amount=sale.amounts["total"],
        stripe_account=scope.account,
        session_id=sale.session_id or None,
        payment_intent_id=sale.payment_intent_id,
        email=sale.email,
        customer_name=sale.name,
        phone=sale.phone,
        request_id=shop.request_id[:64],
        created_at=sale.created_at,
        confirmed_at=sale.created_at if confirmed else None,
        closed_at=None if confirmed else sale.created_at,
    )
    OrderLine.objects.bulk_create(
        OrderLine(
            shop_id=shop.shop_id,
            order=order,
            position=position,
            sku=line.sku,
            variant_key=line.sku,
            title=line.sku,
            quantity=line.quantity,
            unit_amount=line.unit_amount,
            line_amount=line.unit_amount * line.quantity,
        )
        for position, line in enumerate(sale.lines)
    )
    if confirmed:
        reference = sale.session_id or f"{row.source}:{sale.external_id}"
        post_capture_within(order=order, reference=reference, charge_id="", now=now, request_id=order.request_id)
    record_ownership(
        scope=scope,
        shop_id=shop.shop_id,
        objects=[("checkout.session", sale.session_id), ("payment_intent", sale.payment_intent_id)],
        source="reconciliation",
    )
    return order


def _outcome(row: ReconciliationRecord, state: str, fields: dict[str, list[str]] | None = None) -> Outcome:
    return Outcome(row.pk, row.external_id or None, state, row.normalised, row.order_id, fields or {})


def _external_id(record: Any) -> str:
    """As the record names itself; empty where it doesn't, or not with something that could be a name."""
    named = record.get("externalId") if isinstance(record, dict) else None
    return named.strip() if isinstance(named, str) and len(named) <= LONGEST_ID else ""


def _digest(record: Any) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _told_twice(records: Sequence[Any]) -> set[str]:
    """External ids under which one request tells different things."""
    told: dict[str, set[str]] = {}
    for record in records:
        told.setdefault(_external_id(record), set()).add(_digest(record))
    return {external_id for external_id, digests in told.items() if external_id and len(digests) > 1}


def _in_a_sentence(fields: Mapping[str, list[str]]) -> str:
    return " ".join(f"{member}: {' '.join(why)}" for member, why in fields.items())
