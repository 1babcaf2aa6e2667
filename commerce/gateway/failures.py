"""Stripe's exceptions, read once: what is known after a failed call (stripe.md's table; K4).

The table is closed. What isn't listed is unknown, and unknown is not "no".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

import stripe

from tenants.secrecy import without_secrets


class Verdict(Enum):
    """What a failed call says about the object it was to make."""

    REFUSED = "refused"  # Stripe answered, and this call made nothing
    UNKNOWN = "unknown"  # it may have been made


# One row per class of the package, bases included; one that a later release adds goes by its base until it has a row,
# which tests/commerce/test_gateway_failures.py asks for. Why the rows that aren't obvious are as they are:
# - IdempotencyError: not by this call, but an earlier one under the same key may have made it.
# - RateLimitError: it may be a lock timeout, behind which the first call still runs.
# - CardError: no charge, yet the intent behind it exists.
# - APIError: 409 and 5xx, and whatever isn't JSON, from whichever proxy.
# - APIConnectionError: also where no connection was made. Telling that apart rests on the words of three libraries.
# - The rest belongs to other interfaces (v2, webhooks) or is abstract: none of it answers our calls. The classes of
#   OAuth, which stand for an answer whose `error` is a text, have StripeError for their row.
VERDICTS: Final[Mapping[type[Exception], Verdict]] = {
    stripe.AuthenticationError: Verdict.REFUSED,
    stripe.PermissionError: Verdict.REFUSED,
    stripe.InvalidRequestError: Verdict.REFUSED,
    stripe.IdempotencyError: Verdict.UNKNOWN,
    stripe.RateLimitError: Verdict.UNKNOWN,
    stripe.CardError: Verdict.UNKNOWN,
    stripe.APIError: Verdict.UNKNOWN,
    stripe.APIConnectionError: Verdict.UNKNOWN,
    stripe.SignatureVerificationError: Verdict.UNKNOWN,
    stripe.StripeErrorWithParamCode: Verdict.UNKNOWN,
    stripe.StripeError: Verdict.UNKNOWN,
    stripe.AlreadyCanceledError: Verdict.UNKNOWN,
    stripe.BlockedByStripeError: Verdict.UNKNOWN,
    stripe.CannotProceedError: Verdict.UNKNOWN,
    stripe.CapabilityNotEnabledError: Verdict.UNKNOWN,
    stripe.ControlledByAlternateResourceError: Verdict.UNKNOWN,
    stripe.FeatureNotEnabledError: Verdict.UNKNOWN,
    stripe.FinancialAccountNotOpenError: Verdict.UNKNOWN,
    stripe.FxQuoteNeedsRefreshError: Verdict.UNKNOWN,
    stripe.InsufficientFundsError: Verdict.UNKNOWN,
    stripe.InvalidPaymentMethodError: Verdict.UNKNOWN,
    stripe.InvalidPayoutMethodError: Verdict.UNKNOWN,
    stripe.InvalidVaultedCredentialError: Verdict.UNKNOWN,
    stripe.NotCancelableError: Verdict.UNKNOWN,
    stripe.QuotaExceededError: Verdict.UNKNOWN,
    stripe.RecipientNotNotifiableError: Verdict.UNKNOWN,
    stripe.TemporarySessionExpiredError: Verdict.UNKNOWN,
    stripe.VerificationAttemptFailedError: Verdict.UNKNOWN,
    stripe.VerificationExpiredError: Verdict.UNKNOWN,
    stripe.VerificationNotInitiatedError: Verdict.UNKNOWN,
}

# A refusal is believed only with a status that says no, or without any: the package refused before it sent. So a 409,
# a twin request in flight, stays unknown whatever class the package gives it.
# Source: Stripe's API 2026-10-28.endive, Errors, "HTTP status code summary".
REFUSING_STATUSES: Final = frozenset({None, 400, 401, 403, 404})


@dataclass(slots=True)
class StripeFailure(Exception):
    """A failed Stripe call. `http_status` is None when no answer arrived; `code` and `param` are Stripe's own.

    `intent_id`: the payment intent that a declined card leaves behind.
    """

    verdict: Verdict
    kind: str
    http_status: int | None
    code: str
    param: str
    message: str
    intent_id: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"

    @property
    def not_found(self) -> bool:
        return self.http_status == 404


def classify(error: Exception) -> StripeFailure:
    """The failure that `error` stands for. Anything not in the table, our own surprises included, is unknown."""
    verdict = next((VERDICTS[cls] for cls in type(error).__mro__ if cls in VERDICTS), Verdict.UNKNOWN)
    if getattr(error, "http_status", None) not in REFUSING_STATUSES:
        verdict = Verdict.UNKNOWN
    # `error.code` is None on some classes even when the body has one.
    body = getattr(error, "error", None)
    return StripeFailure(
        verdict=verdict,
        kind=type(error).__name__,
        http_status=getattr(error, "http_status", None),
        code=str(getattr(body, "code", None) or getattr(error, "code", None) or ""),
        param=str(getattr(body, "param", None) or getattr(error, "param", None) or ""),
        message=without_secrets(str(getattr(error, "user_message", None) or error))[:500],
        intent_id=str(getattr(getattr(body, "payment_intent", None), "id", None) or ""),
    )
