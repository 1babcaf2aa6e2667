"""Service tokens: issued, rotated, revoked; and how a request's token is checked (contracts, "Who is calling").

`hfs_<id>_<secret>`: a public id of 16 hexadecimal digits, by which the row is found, and 256 random bits. Of the secret
only an HMAC is kept, keyed with the id so that a digest copied to another row opens nothing. No slow hash: nobody
guesses 2^256, and this is computed for every request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from tenants.audit import Actor, record_audit
from tenants.errors import InvalidRequest, NotFound, WrongState
from tenants.models import ServiceToken, Shop
from tenants.staff import StaffScope

PREFIX: Final = "hfs_"
FORM: Final = re.compile(r"hfs_([0-9a-f]{16})_([A-Za-z0-9_-]{43})\Z", re.ASCII)
LONGEST_OVERLAP_HOURS: Final = 72
LONGEST_LIFE_DAYS: Final = 730


@dataclass(frozen=True, slots=True)
class IssuedServiceToken:
    """The one moment at which the token itself is known."""

    row: ServiceToken
    token: str


def secret_digest(token_id: str, secret: str) -> str:
    """What is kept of a secret."""
    return hmac.new(token_id.encode(), secret.encode(), hashlib.sha256).hexdigest()


@transaction.atomic
def issue_service_token(
    *,
    shop_id: str | None,
    label: str,
    scopes: Collection[str],
    reason: str,
    acting: Actor,
    days: int | None = None,
    secret: str | None = None,
    token_id: str | None = None,
) -> IssuedServiceToken:
    """Makes a token for one shop, or with None for the platform. Audited.

    `days` until it expires, 1 to 730; None: not by itself. `secret` and `token_id` are for the demonstration, whose
    tokens are the same at every start. Raises InvalidRequest, and NotFound for a shop that doesn't exist.
    """
    chosen = sorted(set(scopes))
    if not chosen or not set(chosen) <= set(ServiceToken.Scope.values):
        raise InvalidRequest("A token has at least one of the known scopes.", {"scopes": ["Unknown, or none."]})
    if days is not None and not 1 <= days <= LONGEST_LIFE_DAYS:
        raise InvalidRequest(f"A token lives for 1 to {LONGEST_LIFE_DAYS} days.", {"days": ["Out of bounds."]})
    if shop_id is not None and not Shop.objects.filter(pk=shop_id).exists():
        raise NotFound("There is no such shop.")
    now = timezone.now()
    public, private = token_id or secrets.token_hex(8), secret or secrets.token_urlsafe(32)
    row = ServiceToken.objects.create(
        id=public,
        shop_id=shop_id,
        label=label,
        scopes=chosen,
        digest=secret_digest(public, private),
        created_at=now,
        created_by=str(acting),
        expires_at=None if days is None else now + timedelta(days=days),
    )
    _audit(row, "issued", reason, acting, scopes=chosen, expires_at=_shown(row.expires_at))
    return IssuedServiceToken(row, f"{PREFIX}{public}_{private}")


@transaction.atomic
def rotate_service_token(
    *, token_id: str, scope: StaffScope, overlap_hours: int, reason: str, acting: Actor
) -> IssuedServiceToken:
    """Gives the token a new secret; the one it had works for `overlap_hours` more, 0 to 72. Audited.

    Raises InvalidRequest, NotFound also outside the caller's `scope`, and WrongState for a token that has ended or has
    two secrets already.
    """
    if not 0 <= overlap_hours <= LONGEST_OVERLAP_HOURS:
        raise InvalidRequest(
            f"Both can work for at most {LONGEST_OVERLAP_HOURS} hours.", {"overlap_hours": ["0 to 72."]}
        )
    row, now = _valid(token_id, scope), timezone.now()
    if row.has_older(now):
        raise WrongState("Two secrets work already. End the older one first.")
    secret = secrets.token_urlsafe(32)
    _forget_older(row)
    if overlap_hours:
        row.older_digest, row.older_until = row.digest, now + timedelta(hours=overlap_hours)
        row.older_used_at = row.last_used_at
    row.digest, row.last_used_at = secret_digest(row.pk, secret), None
    row.save(update_fields=["digest", "last_used_at", "older_digest", "older_until", "older_used_at"])
    _audit(row, "rotated", reason, acting, older_until=_shown(row.older_until))
    return IssuedServiceToken(row, f"{PREFIX}{row.pk}_{secret}")


@transaction.atomic
def end_older_secret(*, token_id: str, scope: StaffScope, reason: str, acting: Actor) -> ServiceToken:
    """Ends the secret that was replaced before its time. Audited. Raises NotFound, WrongState."""
    row = _valid(token_id, scope)
    if not row.has_older():
        raise WrongState("Only one secret works.")
    _forget_older(row)
    row.save(update_fields=["older_digest", "older_until", "older_used_at"])
    _audit(row, "older_secret_ended", reason, acting)
    return row


@transaction.atomic
def revoke_service_token(*, token_id: str, scope: StaffScope, reason: str, acting: Actor) -> ServiceToken:
    """Ends a token for good, on every process within settings.SERVICE_TOKEN_SECONDS. Audited.

    Raises NotFound, and WrongState for one that was revoked before.
    """
    row = _found(token_id, scope)
    if row.revoked_at is not None:
        raise WrongState("This token was revoked before.")
    _forget_older(row)
    row.digest, row.revoked_at, row.revoked_by = "", timezone.now(), str(acting)
    row.save(update_fields=["digest", "older_digest", "older_until", "older_used_at", "revoked_at", "revoked_by"])
    _audit(row, "revoked", reason, acting)
    return row


def _found(token_id: str, scope: StaffScope) -> ServiceToken:
    row = scope.rows(ServiceToken.objects.select_for_update(), "shop").filter(pk=token_id).first()
    if row is None:
        raise NotFound("There is no such service token.")
    return row


def _valid(token_id: str, scope: StaffScope) -> ServiceToken:
    row = _found(token_id, scope)
    if not row.is_valid():
        raise WrongState("This token has ended. Issue another.")
    return row


def _forget_older(row: ServiceToken) -> None:
    row.older_digest, row.older_until, row.older_used_at = "", None, None


def _shown(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _audit(row: ServiceToken, what: str, reason: str, acting: Actor, **data: Any) -> None:
    record_audit(
        shop_id=row.shop_id,
        acting=acting,
        action=f"service_token.{what}",
        object_type="service_token",
        object_id=row.pk,
        reason=reason,
        data={"label": row.label, **{name: value for name, value in data.items() if value is not None}},
    )
