"""Errors that callers can act on. Each has a stable `code`; its HTTP status is decided in config/problems.py alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class HoldfastError(Exception):
    """Base of every expected error.

    `detail` is one sentence for a person. `members()` are the problem document's extra members, named by the contract.
    """

    code: ClassVar[str]

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def members(self) -> dict[str, Any]:
        return {}


class InvalidRequest(HoldfastError):
    """Malformed or contradicting input; `fields` maps a path in the body to what is wrong there."""

    code = "invalid_request"

    def __init__(self, detail: str, fields: Mapping[str, Sequence[str]] | None = None) -> None:
        super().__init__(detail)
        self.fields = {path: list(messages) for path, messages in (fields or {}).items()}

    def members(self) -> dict[str, Any]:
        return {"fields": self.fields} if self.fields else {}


class ShopConflict(HoldfastError):
    """Header, host and body name different shops."""

    code = "shop_conflict"


class ShopRequired(HoldfastError):
    """A shop-scoped operation was reached without a shop. There is no default shop."""

    code = "shop_required"


class ShopExpired(HoldfastError):
    """Commerce on an expired or landing-only host, or for a shop that is closed to new business."""

    code = "shop_expired"


class Unauthenticated(HoldfastError):
    """No service token where one is needed, or one that opens nothing; which of its faults it has is not told."""

    code = "unauthenticated"


class Forbidden(HoldfastError):
    code = "forbidden"


class NotFound(HoldfastError):
    """Unknown object, or another shop's: the caller can't tell which."""

    code = "not_found"


class UnknownHost(HoldfastError):
    code = "unknown_host"


class WrongState(HoldfastError):
    """What was asked for isn't possible in the state that the thing is in."""

    code = "wrong_state"


class HostsUnavailable(HoldfastError):
    """No recent copy of the host table or of the front door's tokens, and PostgreSQL is away: fail closed."""

    code = "inventory_unavailable"

    def members(self) -> dict[str, Any]:
        return {"retryAfterMs": 2_000}


class RateLimited(HoldfastError):
    """The caller asks more often than it may. Nothing was done; `retry_after_ms` says when to come again."""

    code = "rate_limited"

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__("Too many requests from your address. Wait a moment, then try again.")
        self.retry_after_ms = retry_after_ms

    def members(self) -> dict[str, Any]:
        return {"retryAfterMs": self.retry_after_ms}


class TooLarge(HoldfastError):
    code = "too_large"


class TenantMismatch(HoldfastError):
    """An event of one shop on another shop's host, or metadata that disagrees with the ownership map."""

    code = "tenant_mismatch"


class CredentialsRefused(HoldfastError):
    """Keys, an account or a webhook secret that the shop can't have; the detail says why, and quotes no secret."""

    code = "wrong_state"


class CredentialsUnusable(HoldfastError):
    """The shop's own Stripe account can't be used from here. Nothing falls back to another account."""

    code = "payment_rejected"

    def members(self) -> dict[str, Any]:
        return {"reason": "credentials_unusable"}
