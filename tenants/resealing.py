"""Rotation of CREDENTIAL_KEYS: everything sealed with an older key is sealed anew with the newest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from tenants.models import AlertWebhook, ShopCredential, WebhookSecret
from tenants.sealing import SealError, known_keys, seal, unseal

Keeper = ShopCredential | WebhookSecret | AlertWebhook
MODELS: tuple[type[Keeper], ...] = (ShopCredential, WebhookSecret, AlertWebhook)


@dataclass(frozen=True, slots=True)
class Rotation:
    """`due` rows were sealed with an older key, `done` are sealed anew, `failed` names those no key opens."""

    due: int
    done: int
    failed: tuple[str, ...]


def reseal_all(
    *, dry_run: bool = False, batch: int = 100, progress: Callable[[int, int], None] = lambda done, due: None
) -> Rotation:
    """Seals anew, `batch` rows per transaction; each row says which key made it, so that a repeat goes on where an
    interrupted run ended. A dry run opens everything and writes nothing. Raises SealError without a key.
    """
    if not known_keys():
        raise SealError("CREDENTIAL_KEYS is not set.")
    due = sum(stale(model).count() for model in MODELS)
    done, failed = 0, list[str]()
    for model in MODELS:
        last: int | str | None = None
        while True:
            with transaction.atomic():
                left = stale(model) if last is None else stale(model).filter(pk__gt=last)
                rows = list(left.order_by("pk").select_for_update()[:batch])
                for row in rows:
                    try:
                        _reseal(row, dry_run)
                        done += 1
                    except SealError as error:
                        failed.append(f"{model._meta.verbose_name} {row.pk} ({row.account}): {error}")
            if not rows:
                break
            last = rows[-1].pk
            progress(done, due)
    return Rotation(due, done, tuple(failed))


def stale(model: type[Keeper]) -> QuerySet[Any]:
    """Rows that another key than the newest sealed."""
    return model._default_manager.exclude(sealed="").exclude(sealed_by=known_keys()[0])


def lost_seals() -> int:
    """How many secrets were sealed with a key that CREDENTIAL_KEYS doesn't hold (any more)."""
    return sum(
        model._default_manager.exclude(sealed="").exclude(sealed_by__in=known_keys()).count() for model in MODELS
    )


def _reseal(row: Keeper, dry_run: bool) -> None:
    sealed = seal(unseal(row.sealed, about=row.about), about=row.about)
    if not dry_run:
        row.sealed, row.sealed_by = sealed.text, sealed.by
        row.save(update_fields=["sealed", "sealed_by"])
