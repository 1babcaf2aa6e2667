"""Stripe's exceptions, read once: what is known after a failed call (stripe.md's table; K4).

The table is closed. What isn't listed is unknown, and unknown is not "no".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import stripe

from tenants.secrecy import without_secrets


class Verdict(Enum):
    """What a failed call says about the object it was to make."""

    REFUSED = "refused"  # Stripe answered, and this call made nothing
    UNKNOWN = "unknown"  # it may have been made


# Subclasses before their bases. RateLimitError and IdempotencyError derive from other classes in some releases of the
# package, and a 429 may be a lock timeout behind which the first call still runs: both are unknown.
VERDICTS: tuple[tuple[type[stripe.StripeError], Verdict], ...] = (
    (stripe.IdempotencyError, Verdict.UNKNOWN),
    (stripe.RateLimitError, Verdict.UNKNOWN),
    (stripe.AuthenticationError, Verdict.REFUSED),
    (stripe.PermissionError, Verdict.REFUSED),
    (stripe.APIConnectionError, Verdict.UNKNOWN),
    (stripe.InvalidRequestError, Verdict.REFUSED),
)


@dataclass(slots=True)
class StripeFailure(Exception):
    """A failed Stripe call. `http_status` is None when no answer arrived; `code` and `param` are Stripe's own."""

    verdict: Verdict
    kind: str
    http_status: int | None
    code: str
    param: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"

    @property
    def not_found(self) -> bool:
        return self.http_status == 404


def classify(error: Exception) -> StripeFailure:
    """The failure that `error` stands for. Anything not in the table, our own surprises included, is unknown."""
    verdict = Verdict.UNKNOWN
    # A 409 is a twin request in flight, whatever class the package gives it.
    if getattr(error, "http_status", None) != 409:
        verdict = next((v for cls, v in VERDICTS if isinstance(error, cls)), Verdict.UNKNOWN)
    # `error.code` is None on some classes even when the body has one.
    body = getattr(error, "error", None)
    return StripeFailure(
        verdict=verdict,
        kind=type(error).__name__,
        http_status=getattr(error, "http_status", None),
        code=str(getattr(body, "code", None) or getattr(error, "code", None) or ""),
        param=str(getattr(body, "param", None) or getattr(error, "param", None) or ""),
        message=without_secrets(str(getattr(error, "user_message", None) or error))[:500],
    )
