"""What can go wrong between a caller and the authority. Whatever isn't understood is an error, never an "ok"."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inventory.client.answers import Short


class AuthorityError(Exception):
    """`code` and `status` are the contract's; a caller that speaks HTTP may answer with them as they are.

    `retry_after_ms` is when a repeat makes sense, where the authority said so. `idempotency_key` is the key of a hold
    whose placing failed: a repeat with it can't hold twice, whatever became of the first try.
    """

    code = "service_unavailable"
    status = 503

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        status: int | None = None,
        retry_after_ms: int | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(detail)
        self.code = code or type(self).code
        self.status = status or type(self).status
        self.retry_after_ms = retry_after_ms
        self.request_id = request_id
        self.idempotency_key: str | None = None


class AuthorityUnavailable(AuthorityError):
    """Out of reach, broken, or it said what no authority says. Nothing is known about what it did."""


class AuthorityTimeout(AuthorityUnavailable):
    """The deadline passed without a whole answer. Nothing is known about what it did."""

    code = "inventory_timeout"
    status = 504


class AuthorityDenied(AuthorityError):
    """The token is missing, unknown, revoked, of another shop or without the scope."""

    code = "unauthenticated"
    status = 401


class AuthorityBusy(AuthorityError):
    """`inventory_busy` after the last try, or `rate_limited` at the first. Nothing was done."""

    code = "inventory_busy"
    status = 429


class AuthorityConflict(AuthorityError):
    """The authority refused because of how things are: another request under this key, a hold that has ended."""

    code = "conflict"
    status = 409


class AuthorityShort(AuthorityConflict):
    """Not enough stock for a hold; nothing was held. `insufficient` are the lines that are short."""

    code = "inventory_insufficient"

    def __init__(self, detail: str, *, insufficient: tuple[Short, ...], request_id: str = "") -> None:
        super().__init__(detail, request_id=request_id)
        self.insufficient = insufficient


class AuthorityInvalid(AuthorityError):
    """The request makes no sense to the authority: a defect of the caller, or a hold or shop that isn't there."""

    code = "invalid_request"
    status = 400
