"""Stripe object → shop (W3, second step). Filled whenever an object is made or seen; never overwritten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection
from django.utils import timezone

from tenants.postgres.direct import run


@dataclass(frozen=True, slots=True)
class StripeScope:
    """Where an object id means something: a Stripe account, in live or in test mode."""

    livemode: bool
    account: str


def record_ownership(*, scope: StripeScope, shop_id: str, objects: Iterable[tuple[str, str]], source: str) -> None:
    """Remembers `(kind, object_id)` pairs as the shop's, in one statement; what is already known stays as it is."""
    known = [(kind, object_id) for kind, object_id in objects if object_id]
    if not known:
        return
    now = timezone.now()
    place = "(%s, %s, %s, %s, %s, %s, %s)"
    run(
        "INSERT INTO tenants_stripeobject (livemode, account, object_id, kind, shop_id, source, created_at)"  # noqa: S608
        f" VALUES {', '.join([place] * len(known))} ON CONFLICT DO NOTHING",
        [
            value
            for kind, object_id in known
            for value in (scope.livemode, scope.account, object_id, kind, shop_id, source, now)
        ],
    )


def owner_of(*, scope: StripeScope, object_ids: Iterable[str]) -> set[str]:
    """Shops that own any of the objects: empty when none is known, more than one when they contradict."""
    return set(owners_of(scope=scope, object_ids=object_ids).values())


def owners_of(*, scope: StripeScope, object_ids: Iterable[str]) -> dict[str, str]:
    """Object → shop, for those that are known."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT object_id, shop_id FROM tenants_stripeobject"
            " WHERE livemode = %s AND account = %s AND object_id = ANY(%s)",
            [scope.livemode, scope.account, [i for i in object_ids if i]],
        )
        return dict(cursor.fetchall())
