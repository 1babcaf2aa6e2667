"""The map of Stripe objects, filled from what the shops' own rows name: for rows that were made before the map knew
them, and for data that was brought in (W7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.db.models import Model, Q

from checkout.models import CheckoutAttempt
from commerce.gateway.client import platform_scope
from commerce.models import Dispute, Invoice, Order, Subscription
from tenants.models import StripeObject
from tenants.ownership import StripeScope, record_ownership

BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class Source:
    """A table, and which of its columns names what kind of object."""

    model: type[Model]
    columns: tuple[tuple[str, str], ...]


SOURCES: Final = (
    Source(
        Order,
        (("checkout.session", "session_id"), ("payment_intent", "payment_intent_id"), ("charge", "charge_id")),
    ),
    Source(CheckoutAttempt, (("checkout.session", "session_id"),)),
    Source(Dispute, (("dispute", "dispute_id"), ("charge", "charge_id"), ("payment_intent", "payment_intent_id"))),
    Source(Subscription, (("subscription", "subscription_id"), ("invoice", "latest_invoice_id"))),
    Source(Invoice, (("invoice", "invoice_id"), ("subscription", "subscription_id"))),
)


@dataclass(frozen=True, slots=True)
class Progress:
    """So far, of one table: rows looked at, of an estimated number; objects that the map didn't have."""

    table: str
    rows: int
    of: int
    added: int


def backfill(*, shop_id: str | None, batch: int = BATCH, tell: Callable[[Progress], None]) -> int:
    """Adds to the map what stored rows name, a batch per transaction; how many objects it didn't have.

    `shop_id` None is every shop. What the map says already stays, so it may be run again, and after a break.
    """
    live, total = platform_scope().livemode, 0
    for source in SOURCES:
        rows, added = 0, 0
        found = source.model._default_manager.all() if shop_id is None else _of(source.model, shop_id)
        of = found.count()
        for chunk in _chunks(source, shop_id, batch):
            rows += len(chunk)
            added += _record(source, chunk, live)
            tell(Progress(str(source.model._meta.verbose_name_plural), rows, of, added))
        total += added
    return total


def _of(model: type[Model], shop_id: str) -> Any:
    return model._default_manager.filter(shop_id=shop_id)


def _chunks(source: Source, shop_id: str | None, batch: int) -> Iterator[list[dict[str, Any]]]:
    """By primary key, so that a table of any size is read once and no cursor stays open."""
    names = ("pk", "shop_id", "stripe_account", *(column for _, column in source.columns))
    after: Any = None
    while True:
        rows = source.model._default_manager.filter(Q() if shop_id is None else Q(shop_id=shop_id))
        chunk = list((rows.filter(pk__gt=after) if after else rows).order_by("pk").values(*names)[:batch])
        if not chunk:
            return
        yield chunk
        after = chunk[-1]["pk"]


@transaction.atomic(durable=True)
def _record(source: Source, chunk: list[dict[str, Any]], live: bool) -> int:
    objects: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in chunk:
        named = [(kind, row[column]) for kind, column in source.columns if row[column]]
        objects.setdefault((row["stripe_account"], row["shop_id"]), []).extend(named)
    added = 0
    for (account, shop_id), named in objects.items():
        scope, ids = StripeScope(live, account), {object_id for _, object_id in named}
        known = StripeObject.objects.filter(livemode=live, account=account, object_id__in=ids).count()
        record_ownership(scope=scope, shop_id=shop_id, objects=named, source="backfill")
        added += len(ids) - known
    return added
