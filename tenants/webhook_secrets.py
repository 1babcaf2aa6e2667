"""Signing secrets of webhook endpoints: added, rolled with an overlap, removed at once; read for every delivery."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from tenants.audit import Actor, record_audit
from tenants.errors import CredentialsRefused, NotFound
from tenants.models import ShopCredential, WebhookSecret
from tenants.ownership import StripeScope
from tenants.sealing import SealError, seal, unseal
from tenants.staff import StaffScope

log = structlog.get_logger(__name__)
Scope = WebhookSecret.Scope

# A delivery tries all that may have signed it, so they are few: two endpoints, each being rolled, twice over.
MOST_ACTIVE = 8
# Stripe keeps an old secret alive for 24 hours at most. Source: Stripe, "Roll endpoint signing secrets".
LONGEST_OVERLAP_HOURS = 72
# A busy endpoint doesn't write a row per event.
USED_EVERY = timedelta(minutes=1)

SIGNING_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]{12,200}\Z")
NO_SIGNING_SECRET = "A signing secret begins with whsec_; Stripe shows it on the endpoint's page."  # noqa: S105


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """One secret to try. `connect`: it proves that the platform's Stripe sent the event, for whichever account."""

    secret: str = field(repr=False)
    scope: StripeScope
    connect: bool = False
    row_id: int | None = None


def shop_secrets(*, shop_id: str, livemode: bool) -> list[SigningSecret]:
    """What may verify an event of the shop's own account. One query."""
    return list(_opened(_active(timezone.now()).filter(scope=Scope.SHOP, shop_id=shop_id, livemode=livemode)))


def platform_secrets(*, livemode: bool, connect: bool) -> list[SigningSecret]:
    """The platform account's beside the settings', and with `connect` those of its connect endpoints. One query."""
    scopes = [Scope.PLATFORM, Scope.CONNECT] if connect else [Scope.PLATFORM]
    return list(_opened(_active(timezone.now()).filter(scope__in=scopes, livemode=livemode)))


def note_use(row_id: int) -> None:
    """Remembers, to the minute, that a secret verified an event."""
    now = timezone.now()
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - USED_EVERY)
    WebhookSecret.objects.filter(stale, pk=row_id).update(last_used_at=now)


def _active(now: datetime) -> QuerySet[WebhookSecret]:
    lasting = Q(active_until__isnull=True) | Q(active_until__gt=now)
    return WebhookSecret.objects.filter(lasting, active_from__lte=now).exclude(sealed="")


def _opened(rows: QuerySet[WebhookSecret]) -> Iterator[SigningSecret]:
    # Per scope at most MOST_ACTIVE were let in; the slice holds whoever wrote them.
    for row in rows.order_by("-id")[: 2 * MOST_ACTIVE]:
        try:
            secret = unseal(row.sealed, about=row.about)
        except SealError as error:
            log.error("webhook_secret_unusable", secret_id=row.pk, reason=str(error))
            continue
        yield SigningSecret(secret, StripeScope(row.livemode, row.account), row.scope == Scope.CONNECT, row.pk)


# ---------------------------------------------------------------- verbs
@transaction.atomic
def add_shop_secret(*, shop_id: str, secret: str, reason: str, acting: Actor) -> WebhookSecret:
    """Takes the signing secret of an endpoint at the shop's own account. Audited. Raises CredentialsRefused."""
    own = ShopCredential.objects.for_shop(shop_id).filter(status=ShopCredential.Status.ACTIVE).first()
    if own is None:
        raise CredentialsRefused("The shop sells on the platform's account: its events arrive there.")
    scope = StripeScope(own.livemode, own.account)
    row = WebhookSecret(scope=Scope.SHOP, shop_id=shop_id, livemode=scope.livemode, account=scope.account)
    return _add(row, secret=secret, reason=reason, acting=acting)


@transaction.atomic
def add_platform_secret(*, scope: StripeScope, connect: bool, secret: str, reason: str, acting: Actor) -> WebhookSecret:
    """Takes the signing secret of an endpoint of the platform's: for its own account's events, or for those of its
    connected accounts. Audited. Raises CredentialsRefused.
    """
    kind = Scope.CONNECT if connect else Scope.PLATFORM
    row = WebhookSecret(scope=kind, livemode=scope.livemode, account=scope.account)
    return _add(row, secret=secret, reason=reason, acting=acting)


@transaction.atomic
def roll_secret(
    *, secret_id: int, scope: StaffScope, secret: str, overlap_hours: int, reason: str, acting: Actor
) -> tuple[WebhookSecret, WebhookSecret]:
    """Puts a new secret beside the old one of the same endpoint; the old one ends after `overlap_hours` (0 to 72).

    Answers the new and the old. Raises CredentialsRefused, and NotFound also outside the caller's `scope`. Audited.
    """
    old = _one(secret_id, scope)
    now = timezone.now()
    if not 0 <= overlap_hours <= LONGEST_OVERLAP_HOURS:
        raise CredentialsRefused(f"Both can work for at most {LONGEST_OVERLAP_HOURS} hours.")
    until = now + timedelta(hours=overlap_hours)
    old.active_until = min(until, old.active_until) if old.active_until else until
    if not overlap_hours:
        old.sealed = old.sealed_by = ""
    old.save(update_fields=["active_until", "sealed", "sealed_by"])
    fresh = WebhookSecret(scope=old.scope, shop_id=old.shop_id, livemode=old.livemode, account=old.account)
    _add(fresh, secret=secret, reason=reason, acting=acting, rolled=old)
    return fresh, old


@transaction.atomic
def remove_secret(*, secret_id: int, scope: StaffScope, reason: str, acting: Actor) -> WebhookSecret:
    """Ends a secret at once and wipes it: the next delivery signed with it is refused. Audited. Raises as roll does."""
    row = _one(secret_id, scope)
    row.active_until, row.sealed, row.sealed_by = timezone.now(), "", ""
    row.save(update_fields=["active_until", "sealed", "sealed_by"])
    _audit(row, "webhook_secret.removed", reason, acting)
    return row


def _one(secret_id: int, scope: StaffScope) -> WebhookSecret:
    row = scope.rows(WebhookSecret.objects.select_for_update(), "shop").filter(pk=secret_id).first()
    if row is None:
        raise NotFound("There is no such webhook secret.")
    if not row.sealed or (row.active_until is not None and row.active_until <= timezone.now()):
        raise CredentialsRefused("This secret has ended.")
    return row


def _add(
    row: WebhookSecret, *, secret: str, reason: str, acting: Actor, rolled: WebhookSecret | None = None
) -> WebhookSecret:
    if not SIGNING_SECRET.match(secret):
        raise CredentialsRefused(NO_SIGNING_SECRET)
    now = timezone.now()
    same = _active(now).filter(scope=row.scope, shop_id=row.shop_id, livemode=row.livemode)
    if same.count() >= MOST_ACTIVE:
        raise CredentialsRefused(f"{MOST_ACTIVE} secrets are active there already. Remove one first.")
    try:
        sealed = seal(secret, about=row.about)
    except SealError as error:
        raise CredentialsRefused(f"{error} Without it no secret can be kept.") from None
    row.sealed, row.sealed_by, row.last_four = sealed.text, sealed.by, secret[-4:]
    row.active_from, row.added_by = now, acting.name
    row.save()
    _audit(row, "webhook_secret.rolled" if rolled else "webhook_secret.added", reason, acting, rolled)
    return row


def _audit(row: WebhookSecret, action: str, reason: str, acting: Actor, rolled: WebhookSecret | None = None) -> None:
    data = {"scope": row.scope, "account": row.account}
    if rolled is not None and rolled.active_until is not None:
        data |= {"rolled": str(rolled.pk), "both_until": rolled.active_until.isoformat(timespec="seconds")}
    record_audit(
        shop_id=row.shop_id,
        acting=acting,
        action=action,
        object_type="webhook_secret",
        object_id=row.pk,
        reason=reason,
        data=data,
    )
