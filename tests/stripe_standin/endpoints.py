"""Webhook endpoints: who wants which account's events, and how a payload is signed for them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`accounts` empty: every account that no other endpoint names. `events` are types or patterns like `charge.*`."""

    id: str
    url: str
    secrets: tuple[str, ...]
    accounts: tuple[str, ...] = ()
    events: tuple[str, ...] = ("*",)

    def wants(self, event_type: str) -> bool:
        return any(fnmatchcase(event_type, pattern) for pattern in self.events)


def interested(endpoints: Sequence[Endpoint], *, account: str, event_type: str) -> list[Endpoint]:
    """The endpoints an event goes to: those of its account, else those without an account."""
    own = [endpoint for endpoint in endpoints if account in endpoint.accounts]
    chosen = own or [endpoint for endpoint in endpoints if not endpoint.accounts]
    return [endpoint for endpoint in chosen if endpoint.wants(event_type)]


def signature(payload: bytes, secrets: Sequence[str], at: int) -> str:
    """The `Stripe-Signature` header: one `v1` per secret, so that a receiver can roll from one to the next."""
    signed = str(at).encode() + b"." + payload
    digests = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={at}", *(f"v1={digest}" for digest in digests)])
