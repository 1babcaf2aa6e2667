"""Service tokens: issued, rotated, revoked; and how a request's token is checked (contracts, "Who is calling").

`hfs_<id>_<secret>`: a public id of 16 hexadecimal digits, by which the row is found, and 256 random bits. Of the secret
only an HMAC is kept, keyed with the id so that a digest copied to another row opens nothing. No slow hash: nobody
guesses 2^256, and this is computed for every request.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from tenants.audit import Actor, record_audit
from tenants.errors import Forbidden, InvalidRequest, NotFound, WrongState
from tenants.models import ServiceToken, Shop
from tenants.staff import StaffScope

PREFIX: Final = "hfs_"
FORM: Final = re.compile(r"hfs_([0-9a-f]{16})_([A-Za-z0-9_-]{43})\Z", re.ASCII)
LONGEST_OVERLAP_HOURS: Final = 72
LONGEST_LIFE_DAYS: Final = 730
LONGEST_LABEL: Final = 60
SHOWN_AGAIN_FOR: Final = timedelta(minutes=1)
"""How long a repeated click still gets what it made."""

SHOWN_BEFORE: Final = "This page has made its secret before, and doesn't show it again."


@dataclass(frozen=True, slots=True)
class IssuedServiceToken:
    """The one moment at which the token itself is known."""

    row: ServiceToken
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Material:
    """What a token is made of."""

    token_id: str
    secret: str = field(repr=False)


def fresh_material() -> Material:
    return Material(secrets.token_hex(8), secrets.token_urlsafe(32))


def material_drawn_from(nonce: str) -> Material:
    """The same for the same `nonce`, which has 256 random bits: two clicks on one page make one token. Random to
    whoever lacks either the nonce or SECRET_KEY.
    """
    public = salted_hmac("tenants.service_tokens.id", nonce, algorithm="sha256").hexdigest()[:16]
    return Material(public, secret_drawn_from(nonce))


def secret_drawn_from(nonce: str) -> str:
    """The secret half of `material_drawn_from`, for a token that gets another."""
    digest = salted_hmac("tenants.service_tokens.secret", nonce, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def secret_digest(token_id: str, secret: str) -> str:
    """What is kept of a secret."""
    return hmac.new(token_id.encode(), secret.encode(), hashlib.sha256).hexdigest()


@transaction.atomic
def issue_service_token(
    *,
    shop_id: str | None,
    scope: StaffScope,
    label: str,
    scopes: Collection[str],
    reason: str,
    acting: Actor,
    days: int | None = None,
    made_of: Material | None = None,
) -> IssuedServiceToken:
    """Makes a token for one shop, or with None for the platform. Audited.

    `days` until it expires, 1 to 730; None: not by itself. `made_of` is for callers that may ask twice: what a moment
    ago was made of it, by the same person and with the same wishes, is answered again.

    Raises InvalidRequest, NotFound for a shop that doesn't exist or is outside the caller's `scope`, Forbidden for the
    platform's without being its staff, and WrongState for material that was used before.
    """
    chosen = _checked(shop_id, scope, label, scopes, days)
    made_of = made_of or fresh_material()
    wanted = ServiceToken(
        id=made_of.token_id,
        shop_id=shop_id,
        label=label,
        scopes=chosen,
        digest=secret_digest(made_of.token_id, made_of.secret),
        created_by=str(acting),
        secret_by=str(acting),
        created_at=(now := timezone.now()),
        secret_at=now,
        expires_at=None if days is None else now + timedelta(days=days),
    )
    try:
        with transaction.atomic():
            wanted.save(force_insert=True)
    except IntegrityError as error:
        row = scope.rows(ServiceToken.objects.select_for_update(), "shop").filter(pk=made_of.token_id).first()
        if row is None:
            raise
        if _wishes(row) != _wishes(wanted):
            raise WrongState(SHOWN_BEFORE) from error
        return _shown_again(row, made_of.secret, acting)
    _audit(wanted, "issued", reason, acting, scopes=chosen, expires_at=_shown(wanted.expires_at))
    return IssuedServiceToken(wanted, f"{PREFIX}{wanted.pk}_{made_of.secret}")


@transaction.atomic
def rotate_service_token(
    *,
    token_id: str,
    scope: StaffScope,
    overlap_hours: int,
    reason: str,
    acting: Actor,
    secret: str | None = None,
    replacing: datetime | None = None,
) -> IssuedServiceToken:
    """Gives the token a new secret; the one it had works for `overlap_hours` more, 0 to 72. Audited.

    `secret` is for callers that may ask twice, as `made_of` is when issuing; `replacing` is then the `secret_at` that
    they saw, without which a page that was left open could bring an older secret back.

    Raises InvalidRequest, NotFound also outside the caller's `scope`, and WrongState for a token that has ended, has
    two secrets already, or got another one since.
    """
    if not 0 <= overlap_hours <= LONGEST_OVERLAP_HOURS:
        raise InvalidRequest(
            f"Both can work for at most {LONGEST_OVERLAP_HOURS} hours.", {"overlap_hours": ["0 to 72."]}
        )
    row, now = _valid(token_id, scope), timezone.now()
    if secret is not None and row.digest == secret_digest(row.pk, secret):
        return _shown_again(row, secret, acting)
    if replacing is not None and row.secret_at != replacing:
        raise WrongState("It has got another secret since this page was opened. Look at it again.")
    if row.has_older(now):
        raise WrongState("Two secrets work already. End the older one first.")
    secret = secret or secrets.token_urlsafe(32)
    _forget_older(row)
    if overlap_hours:
        row.older_digest, row.older_until = row.digest, now + timedelta(hours=overlap_hours)
        row.older_used_at = row.last_used_at
    row.digest, row.last_used_at = secret_digest(row.pk, secret), None
    row.secret_at, row.secret_by = now, str(acting)
    row.save(
        update_fields=[
            "digest", "last_used_at", "secret_at", "secret_by", "older_digest", "older_until", "older_used_at",
        ]
    )  # fmt: skip
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


def _checked(
    shop_id: str | None, scope: StaffScope, label: str, scopes: Collection[str], days: int | None
) -> list[str]:
    """The scopes, each once. Raises what `issue_service_token` says."""
    chosen = sorted(set(scopes))
    if not chosen or not set(chosen) <= set(ServiceToken.Scope.values):
        raise InvalidRequest("A token has at least one of the known scopes.", {"scopes": ["Unknown, or none."]})
    if not label.strip() or len(label) > LONGEST_LABEL:
        raise InvalidRequest(f"A label has 1 to {LONGEST_LABEL} characters.", {"label": ["Empty, or too long."]})
    if days is not None and not 1 <= days <= LONGEST_LIFE_DAYS:
        raise InvalidRequest(f"A token lives for 1 to {LONGEST_LIFE_DAYS} days.", {"days": ["Out of bounds."]})
    if shop_id is None and not scope.is_platform:
        raise Forbidden("A token for every shop is the platform's to issue.")
    if shop_id is not None and not (scope.sees(shop_id) and Shop.objects.filter(pk=shop_id).exists()):
        raise NotFound("There is no such shop.")
    return chosen


def _wishes(row: ServiceToken) -> tuple[object, ...]:
    """What was asked for when the token was made."""
    life = None if row.expires_at is None else row.expires_at - row.created_at
    return row.shop_id, row.label, row.scopes, life


def _shown_again(row: ServiceToken, secret: str, acting: Actor) -> IssuedServiceToken:
    """The answer to a click a moment ago. Raises WrongState for one that was longer ago, somebody else's or undone."""
    same = row.digest == secret_digest(row.pk, secret) and row.secret_by == str(acting)
    if not same or timezone.now() - row.secret_at > SHOWN_AGAIN_FOR:
        raise WrongState(SHOWN_BEFORE)
    return IssuedServiceToken(row, f"{PREFIX}{row.pk}_{secret}")


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
