"""Who calls with a service token: checked once, by the front door, against a copy that is two seconds old at most."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from tenants.audit import Actor
from tenants.database import as_system
from tenants.errors import HostsUnavailable, Unauthenticated
from tenants.host_cache import Kept, Memory
from tenants.metrics import SERVICE_TOKEN_REFUSED
from tenants.models import ServiceToken
from tenants.refusals import Refusals
from tenants.service_tokens import FORM, secret_digest

log = structlog.get_logger(__name__)

MOST_TOKENS: Final = 4096
"""Tokens that a process remembers, and as many ids that don't exist: a scan can't push the real ones out."""

USED_EVERY_SECONDS: Final = 60.0
"""How exactly the time of last use is kept: one write per secret and minute, whoever is asked."""

NO_DIGEST: Final = "0" * 64

REFUSED: Final = "The service token was refused."


@dataclass(frozen=True, slots=True)
class ServiceCaller:
    """A valid token's holder. `shop_id` is None for the platform's."""

    token_id: str
    shop_id: str | None
    scopes: frozenset[str]

    @property
    def acting(self) -> Actor:
        return Actor("api", self.token_id)


@dataclass(frozen=True, slots=True)
class KnownToken:
    """What a request's token is compared with. Times of last use are as old as the copy."""

    caller: ServiceCaller
    digest: str
    older_digest: str
    older_until: datetime | None
    expires_at: datetime | None
    last_used_at: datetime | None
    older_used_at: datetime | None


class ServiceTokens:
    """One process's copies, by public id. Nothing is looked up for what doesn't have a token's form."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drops every copy and count."""
        self._known: Memory[KnownToken | None] = Memory(MOST_TOKENS)
        self._unknown: Memory[KnownToken | None] = Memory(MOST_TOKENS)
        self._noted: Memory[None] = Memory(2 * MOST_TOKENS)
        self._refusals = Refusals(SERVICE_TOKEN_REFUSED, "service_token_refused")

    def admit(self, offered: str, *, shop_label: str) -> ServiceCaller:
        """The holder of the token `offered`. Raises Unauthenticated, counted under `shop_label`, and HostsUnavailable
        when PostgreSQL is away.

        Both digests are compared whatever the first comparison said, and something is compared for ids that don't
        exist, so that the time taken tells neither which secret was nearly right nor which ids there are.
        """
        form = FORM.match(offered)
        if form is None:
            raise self._refused(shop_label)
        token_id, secret = form.groups()
        known = self._find(token_id)
        digest = secret_digest(token_id, secret)
        current = hmac.compare_digest(digest, known.digest if known else NO_DIGEST)
        older = hmac.compare_digest(digest, (known.older_digest if known else "") or NO_DIGEST)
        now = timezone.now()
        if known is None or (known.expires_at is not None and known.expires_at <= now):
            raise self._refused(shop_label)
        if not current and not (older and known.older_until is not None and known.older_until > now):
            raise self._refused(shop_label)
        self._note_use(known, current, now)
        return known.caller

    def _find(self, token_id: str) -> KnownToken | None:
        kept = self._known.get(token_id) or self._unknown.get(token_id)
        if kept is not None and kept.age() < settings.SERVICE_TOKEN_SECONDS:
            return kept.value
        asked_at = time.monotonic()  # before the question: a slow answer is an old one
        try:
            found = _read(token_id)
        except DatabaseError as error:
            log.warning("service_tokens_not_read", error=type(error).__name__)
            connection.close_if_unusable_or_obsolete()
            raise HostsUnavailable(
                "The tokens are out of reach at the moment. Nothing was changed; try again."
            ) from error
        home, other = (self._unknown, self._known) if found is None else (self._known, self._unknown)
        other.drop(token_id)
        home.put(token_id, Kept(found, 0, asked_at))
        return found

    def _note_use(self, known: KnownToken, current: bool, now: datetime) -> None:
        """Keeps when the secret was last used, to the minute: staff see which of two may be ended."""
        column = "last_used_at" if current else "older_used_at"
        before: datetime | None = getattr(known, column)
        if before is not None and now - before < timedelta(seconds=USED_EVERY_SECONDS):
            return
        key = f"{known.caller.token_id}:{known.digest if current else known.older_digest}"
        noted = self._noted.get(key)
        if noted is not None and noted.age() < USED_EVERY_SECONDS:
            return
        self._noted.put(key, Kept(None, 0, time.monotonic()))
        secret = {"digest": known.digest} if current else {"older_digest": known.older_digest}
        stale = Q(**{f"{column}__isnull": True}) | Q(**{f"{column}__lt": now - timedelta(seconds=USED_EVERY_SECONDS)})
        try:
            with as_system():
                ServiceToken.objects.filter(stale, pk=known.caller.token_id, **secret).update(**{column: now})
        except DatabaseError as error:  # a date for staff to read is no reason to refuse a caller
            log.warning("service_token_use_not_kept", error=type(error).__name__)
            connection.close_if_unusable_or_obsolete()

    def _refused(self, shop_label: str) -> Unauthenticated:
        """One sentence for every fault: a caller learns neither that an id exists nor what became of it."""
        self._refusals.note(shop_label)
        return Unauthenticated(REFUSED)


def _read(token_id: str) -> KnownToken | None:
    with as_system():  # before any shop is known
        row = ServiceToken.objects.filter(pk=token_id, revoked_at__isnull=True).first()
    if row is None:
        return None
    return KnownToken(
        caller=ServiceCaller(row.pk, row.shop_id, frozenset(row.scopes)),
        digest=row.digest,
        older_digest=row.older_digest,
        older_until=row.older_until,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        older_used_at=row.older_used_at,
    )


service_tokens = ServiceTokens()


def caller_of(request: HttpRequest) -> ServiceCaller:
    """Whoever the front door let in with a service token. Raises Unauthenticated where a route lets others in too."""
    caller: ServiceCaller | None = getattr(request, "caller", None)
    if caller is None:
        raise Unauthenticated("A service token is required.")
    return caller
