"""Front-door tokens: how a trusted edge proves that its `X-Shop-Id` may be believed (T6).

A token is 256 random bits, shown once and stored as its SHA-256. There is no slow hash: what protects a password is
that each guess costs time, what protects this is that there are 2^256 of them, and this one is checked on every request
of the edge. The digests are compared in constant time, all of them, whatever the first comparison said.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from tenants.audit import Actor, record_audit
from tenants.database import as_system
from tenants.errors import HostsUnavailable, WrongState
from tenants.metrics import FRONT_DOOR_TOKEN_REFUSED
from tenants.models import FrontDoorToken
from tenants.refusals import Refusals

log = structlog.get_logger(__name__)

PREFIX = "fdt_"
"""Lets scanners of source code and logs recognise one that leaked."""

LONGEST = 128
SHOWN_AGAIN_FOR = timedelta(minutes=1)
"""How long a repeated click still gets the token that it made."""

USED_EVERY_SECONDS = 60.0
"""How exactly the time of last use is kept: one write per token, process and minute."""

KEEP_WHEN_AWAY_SECONDS = 60.0
RETRY_SECONDS = 1.0
WAIT_FOR_REFRESH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """The one moment at which the token itself is known."""

    row: FrontDoorToken
    token: str


@transaction.atomic
def issue_front_door_token(*, label: str, reason: str, acting: Actor, nonce: str = "") -> IssuedToken:
    """Makes a token and puts it into a free slot. Raises WrongState while two are valid.

    With a `nonce` of 256 random bits it is one token per nonce: a second click gets the one that the first click made,
    which a browser shows of the two, and after a minute WrongState.
    """
    token = PREFIX + (_drawn_from(nonce) if nonce else secrets.token_urlsafe(32))
    if again := _issued_before(token, acting):
        return again
    taken = set(FrontDoorToken.objects.filter(slot__isnull=False).values_list("slot", flat=True))
    slot = next((slot for slot in FrontDoorToken.SLOTS if slot not in taken), None)
    full = WrongState("Two tokens are valid. Revoke the one that the edge no longer sends, then issue another.")
    if slot is None:
        raise full
    try:
        with transaction.atomic():
            row = FrontDoorToken.objects.create(
                label=label, digest=_digest(token), slot=slot, created_at=timezone.now(), created_by=str(acting)
            )
    except IntegrityError as error:  # somebody else took the slot meanwhile, or the first click did
        if again := _issued_before(token, acting):
            return again
        raise full from error
    _audit(row, "issued", reason, acting)
    return IssuedToken(row, token)


def _drawn_from(nonce: str) -> str:
    """Random to whoever lacks either the nonce, which is random itself, or SECRET_KEY."""
    digest = salted_hmac("tenants.tokens.issue", nonce, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _issued_before(token: str, acting: Actor) -> IssuedToken | None:
    """The token of a click a moment ago. Raises WrongState for one that was longer ago, somebody else's or ended."""
    row = FrontDoorToken.objects.filter(digest=_digest(token)).first()
    if row is None:
        return None
    if not row.is_valid or row.created_by != str(acting) or timezone.now() - row.created_at > SHOWN_AGAIN_FOR:
        raise WrongState("This page has issued its token before, and doesn't show it again.")
    return IssuedToken(row, token)


@transaction.atomic
def revoke_front_door_token(*, token_id: int, reason: str, acting: Actor) -> FrontDoorToken:
    """Ends a token for good, on every process within settings.FRONT_DOOR_TOKEN_SECONDS. Raises WrongState when it
    has ended before.
    """
    row = FrontDoorToken.objects.select_for_update().get(pk=token_id)
    if not row.is_valid:
        raise WrongState("This token was revoked before.")
    row.slot, row.revoked_at, row.revoked_by = None, timezone.now(), str(acting)
    row.save(update_fields=["slot", "revoked_at", "revoked_by"])
    _audit(row, "revoked", reason, acting)
    return row


def _audit(row: FrontDoorToken, what: str, reason: str, acting: Actor) -> None:
    record_audit(
        shop_id=None,
        acting=acting,
        action=f"front_door_token.{what}",
        object_type="front_door_token",
        object_id=row.pk,
        reason=reason,
        data={"label": row.label},
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class TokenRing:
    """One process's copy of the valid digests: two at most, never older than settings.FRONT_DOOR_TOKEN_SECONDS while
    PostgreSQL answers. Requests without a token never come here.
    """

    def __init__(self) -> None:
        self._refreshing = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Drops the copy and every count: the next caller reads the table."""
        self._valid: tuple[tuple[int, str], ...] | None = None
        self._read_at = 0.0
        self._failed_at: float | None = None
        self._used_at: dict[int, float] = {}
        self._refusals = Refusals(FRONT_DOOR_TOKEN_REFUSED, "front_door_token_refused")

    def admits(self, token: str, *, shop_label: str) -> bool:
        """Whether `token` is one of the valid ones. False is counted under `shop_label` and logged once a minute.

        Raises HostsUnavailable when PostgreSQL is away and no recent copy is known.
        """
        found: int | None = None
        # What can't be one of ours never reaches the database, first request of the process included.
        if token.startswith(PREFIX) and len(token) <= LONGEST:
            offered = _digest(token)
            for token_id, digest in self._current():
                if hmac.compare_digest(offered, digest):
                    found = token_id
        if found is None:
            self._refusals.note(shop_label)
            return False
        self._mark_used(found)
        return True

    def _current(self) -> tuple[tuple[int, str], ...]:
        now = time.monotonic()
        life = settings.FRONT_DOOR_TOKEN_SECONDS
        valid, age = self._valid, now - self._read_at
        if valid is not None and age < life / 2:
            return valid
        # From half of its life on one thread refreshes and the others go on; past its life they wait for it, briefly.
        goes_on = valid is not None and (age < life or self._failed_at is not None)
        if self._refreshing.acquire(timeout=0.0 if goes_on else WAIT_FOR_REFRESH_SECONDS):
            try:
                self._refresh(now)
            finally:
                self._refreshing.release()
        if self._valid is None or time.monotonic() - self._read_at > KEEP_WHEN_AWAY_SECONDS:
            raise HostsUnavailable("The tokens are out of reach at the moment. Nothing was changed; try again.")
        return self._valid

    def _refresh(self, asked_at: float) -> None:
        """Called under the lock. A failure leaves the last copy in force and is not tried again at once."""
        if self._read_at > asked_at:  # by the thread that we waited for
            return
        started = time.monotonic()
        if self._failed_at is not None and started - self._failed_at < RETRY_SECONDS:
            return
        try:
            with as_system():
                self._valid = tuple(FrontDoorToken.objects.filter(slot__isnull=False).values_list("pk", "digest"))
        except DatabaseError as error:
            log.warning("front_door_tokens_not_read", error=type(error).__name__)
            self._failed_at = time.monotonic()
            connection.close_if_unusable_or_obsolete()
        else:
            # The moment before the question, not after the answer: a slow answer is an old one.
            self._read_at, self._failed_at = started, None
            self._used_at = {pk: self._used_at[pk] for pk, _ in self._valid if pk in self._used_at}

    def _mark_used(self, token_id: int) -> None:
        now = time.monotonic()
        if now - self._used_at.get(token_id, -USED_EVERY_SECONDS) < USED_EVERY_SECONDS:
            return
        self._used_at[token_id] = now
        moment = timezone.now()
        older = Q(last_used_at__isnull=True) | Q(last_used_at__lt=moment - timedelta(seconds=USED_EVERY_SECONDS))
        try:
            with as_system():
                FrontDoorToken.objects.filter(older, pk=token_id).update(last_used_at=moment)
        except DatabaseError as error:  # a date for staff to read is no reason to refuse a customer
            log.warning("front_door_token_use_not_kept", error=type(error).__name__)
            connection.close_if_unusable_or_obsolete()


token_ring = TokenRing()
