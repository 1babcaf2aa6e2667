"""Stripe object → shop (W3, second step). Filled whenever an object is made or seen; never overwritten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tenants.models import StripeObject


@dataclass(frozen=True, slots=True)
class StripeScope:
    """Where an object id means something: a Stripe account, in live or in test mode."""

    livemode: bool
    account: str


def record_ownership(*, scope: StripeScope, shop_id: str, objects: Iterable[tuple[str, str]], source: str) -> None:
    """Remembers `(kind, object_id)` pairs as the shop's, in one statement; what is already known stays as it is."""
    StripeObject.objects.bulk_create(
        [
            StripeObject(
                livemode=scope.livemode,
                account=scope.account,
                object_id=object_id,
                kind=kind,
                shop_id=shop_id,
                source=source,
            )
            for kind, object_id in objects
            if object_id
        ],
        ignore_conflicts=True,
    )


def owner_of(*, scope: StripeScope, object_ids: Iterable[str]) -> set[str]:
    """Shops that own any of the objects: empty when none is known, more than one when they contradict."""
    return set(
        StripeObject.objects.filter(
            livemode=scope.livemode, account=scope.account, object_id__in=[i for i in object_ids if i]
        ).values_list("shop_id", flat=True)
    )
