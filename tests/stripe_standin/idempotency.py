"""Idempotency keys: a request that was executed once is answered from memory ever after, for a day.

The rules are Stripe's (docs.stripe.com/api/idempotent_requests): a result is remembered once execution began, refusals
and failures included; requests that never executed (bad parameters, no key, rate limits, a twin in flight) are not.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from .errors import ApiError, Json

REMEMBERED_SECONDS = 24 * 60 * 60
MAX_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Key:
    """`scope` is the account: the same key means something else for another one."""

    scope: str
    text: str
    fingerprint: str


def fingerprint(method: str, path: str, params: Json) -> str:
    canonical = json.dumps([method, path, params], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def mismatch(key: Key) -> ApiError:
    return ApiError(
        400,
        "Keys for idempotent requests can only be used with the same parameters and the same endpoint they were first "
        f"used with. Use another key than '{key.text}' to send a different request.",
        type="idempotency_error",
    )


def in_use(key: Key) -> ApiError:
    return ApiError(
        409,
        f"Another request with the idempotency key '{key.text}' is being processed right now. Repeat it later.",
        code="idempotency_key_in_use",
    )


def too_long() -> ApiError:
    return ApiError(400, f"An idempotency key has up to {MAX_LENGTH} characters.", code="idempotency_key_too_long")


@dataclass(slots=True)
class InFlight:
    """Keys whose request is running. In memory on purpose: what was running when the process died, runs no more."""

    _keys: set[tuple[str, str]] = field(default_factory=set)

    def claim(self, key: Key) -> None:
        """Take the key, until `release`. Raises ApiError(409) when it is taken. Call with the engine's lock held."""
        if (key.scope, key.text) in self._keys:
            raise in_use(key)
        self._keys.add((key.scope, key.text))

    def release(self, key: Key) -> None:
        self._keys.discard((key.scope, key.text))
