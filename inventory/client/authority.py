"""The client itself: one method per verb of the authority, one deadline per call, waits between tries included."""

from __future__ import annotations

import json
import os
import re
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID, uuid4

from inventory.client.answers import (
    Available,
    Item,
    RemoteHold,
    Unreadable,
    Validation,
    read_availability,
    read_hold,
    read_json,
    read_shortage,
    read_validation,
)
from inventory.client.backoff import CAP_MS, FIRST_MS, TRIES, delay_before_ms
from inventory.client.errors import (
    AuthorityBusy,
    AuthorityConflict,
    AuthorityDenied,
    AuthorityError,
    AuthorityInvalid,
    AuthorityShort,
    AuthorityTimeout,
    AuthorityUnavailable,
)
from inventory.client.transport import Answer, BrokenAnswer, Call, Deadline, ask

TIMEOUT_MS: Final = 5_000
LONGEST_TIMEOUT_MS: Final = 120_000
RETRY_HEADER: Final = "X-Busy-Retry"
"""Says of a repeat how often the stock was busy before; the authority counts the repeats that succeed."""

JSON_TYPES: Final = ("application/json", "application/problem+json")
# Status → error and its code, where an answer has no problem document to say it.
REFUSALS: Final[Mapping[int, tuple[type[AuthorityError], str]]] = {
    400: (AuthorityInvalid, ""),
    401: (AuthorityDenied, "unauthenticated"),
    403: (AuthorityDenied, "forbidden"),
    404: (AuthorityInvalid, ""),
    405: (AuthorityInvalid, ""),
    409: (AuthorityConflict, ""),
    410: (AuthorityInvalid, ""),
    413: (AuthorityInvalid, ""),
    415: (AuthorityInvalid, ""),
    422: (AuthorityInvalid, ""),
    429: (AuthorityBusy, "rate_limited"),
    504: (AuthorityTimeout, "inventory_timeout"),
}
T = TypeVar("T")


class InventoryAuthorityClient:
    """Safe to share between threads: it keeps no connection and no state.

    Every method raises an AuthorityError; see inventory/client/errors.py. `shop_id` is needed with a token of the
    platform, and with any token makes answers about another shop an error. `on_retry_success` is called with the
    method's name and the number of repeats whenever a call succeeded after the stock had been busy.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        token: str | None = None,
        timeout_ms: int | None = None,
        shop_id: str | None = None,
        tries: int = TRIES,
        on_retry_success: Callable[[str, int], None] | None = None,
    ) -> None:
        """Raises ValueError for a configuration that makes no sense; never quotes the token."""
        self._base = _base(os.environ.get("INVENTORY_AUTHORITY_URL", "") if url is None else url)
        self._token = _token(os.environ.get("INVENTORY_AUTHORITY_TOKEN", "") if token is None else token)
        self._timeout_ms = _timeout(os.environ.get("INVENTORY_AUTHORITY_TIMEOUT") if timeout_ms is None else timeout_ms)
        if shop_id is not None and not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", shop_id):
            raise ValueError("shop_id: lower-case letters, digits and hyphens.")
        self._shop_id = shop_id
        self._tries = tries
        self._on_retry_success = on_retry_success
        self._tls = ssl.create_default_context() if self._base.scheme == "https" else None

    def __repr__(self) -> str:
        return f"InventoryAuthorityClient(url={self._base.geturl()!r}, shop_id={self._shop_id!r})"

    def validate(self, items: Iterable[Item]) -> Validation:
        """Whether all of it is there now; nothing is held. What is short is an answer, not an error."""
        asked = _lines(items)
        try:
            return self._do(
                "validate",
                "POST",
                "/api/inventory/validate",
                {"items": [item.as_json() for item in asked]},
                lambda answer: read_validation(answer, asked, self._shop_id),
            )
        except AuthorityShort as short:
            return Validation(ok=False, insufficient=short.insufficient)

    def hold(
        self, items: Iterable[Item], *, ttl_seconds: int | None = None, idempotency_key: str | None = None
    ) -> RemoteHold:
        """Holds all lines or none, for `ttl_seconds` (60 to 3,600; the shop's own time without). AuthorityShort when
        there is not enough. Without an `idempotency_key` the client makes one, so that its own repeats converge; an
        error carries it, so that yours can.
        """
        asked = _lines(items)
        key = idempotency_key or str(uuid4())
        body: dict[str, Any] = {"items": [item.as_json() for item in asked], "idempotencyKey": key}
        if ttl_seconds is not None:
            body["ttlSeconds"] = ttl_seconds
        try:
            return self._do(
                "hold",
                "POST",
                "/api/inventory/holds",
                body,
                lambda answer: read_hold(answer, asked=asked, status=("active", "committed")),
            )
        except AuthorityError as error:
            error.idempotency_key = key
            raise

    def get(self, hold_id: str) -> RemoteHold:
        """The hold as it is now. AuthorityInvalid with code `not_found` where the shop has none of this id."""
        known, path = _hold_path(hold_id)
        return self._do("get", "GET", path, None, lambda answer: read_hold(answer, hold_id=known))

    def extend(self, hold_id: str, *, ttl_seconds: int) -> RemoteHold:
        """Lets it end `ttl_seconds` from now. AuthorityConflict once it has ended."""
        return self._end("extend", hold_id, {"ttlSeconds": ttl_seconds}, "active")

    def commit(self, hold_id: str) -> RemoteHold:
        """Turns it into a sale. Repeating it is harmless; AuthorityConflict when it has ended otherwise."""
        return self._end("commit", hold_id, {}, "committed")

    def release(self, hold_id: str, *, reason: str | None = None) -> RemoteHold:
        """Gives the units back. Repeating it is harmless; AuthorityConflict when it has ended otherwise."""
        return self._end("release", hold_id, {"reason": reason} if reason else {}, "released")

    def availability(self, skus: Iterable[str]) -> tuple[Available, ...]:
        """Every variant of the SKUs: for showing, at most two seconds old, never for selling."""
        path = f"/api/inventory/availability?{urlencode([('sku', sku) for sku in skus])}"
        return self._do("availability", "GET", path, None, lambda answer: read_availability(answer, self._shop_id))

    def health(self) -> None:
        """Returns when the authority can be reached with this token and says that it is well; else raises."""
        self._do("health", "GET", "/api/inventory/health", None, _read_health)

    def _end(self, verb: str, hold_id: str, body: dict[str, Any], status: str) -> RemoteHold:
        known, path = _hold_path(hold_id)
        read = _reader(known, status)
        return self._do(verb, "POST", f"{path}/{verb}", body, read)

    def _do(
        self, verb: str, method: str, path: str, body: dict[str, Any] | None, read: Callable[[Mapping[str, Any]], T]
    ) -> T:
        """Repeats while the stock is busy: nothing has happened then, so that every verb can be repeated."""
        deadline = Deadline.after(self._timeout_ms)
        retries = 0
        while True:
            try:
                found = self._once(method, path, body, read, deadline, retries)
            except AuthorityBusy as busy:
                if busy.code != "inventory_busy" or retries >= self._tries:
                    raise
                first = FIRST_MS if busy.retry_after_ms is None else busy.retry_after_ms
                delay = delay_before_ms(retries, first_ms=first)
                # Longer than anyone should wait, or than this call may take: the caller's to decide about.
                if first > CAP_MS or delay >= _left(deadline):
                    raise
                time.sleep(delay * 0.001)
                retries += 1
            else:
                if retries and self._on_retry_success is not None:
                    self._on_retry_success(verb, retries)
                return found

    def _once(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        read: Callable[[Mapping[str, Any]], T],
        deadline: Deadline,
        retries: int,
    ) -> T:
        data = None if body is None else json.dumps(body).encode()
        call = Call(method, self._base.path + path, data, self._headers(data is not None, retries))
        try:
            answer = ask(self._base, call, deadline, tls=self._tls)
        except TimeoutError as error:
            raise AuthorityTimeout(f"No answer within {self._timeout_ms} ms.") from error
        except (OSError, BrokenAnswer) as error:
            raise AuthorityUnavailable(f"The authority is out of reach: {error}") from error
        if answer.status not in {200, 201}:
            raise refusal(answer)
        try:
            return read(_document(answer))
        except Unreadable as error:
            raise _unreadable(answer, str(error)) from error

    def _headers(self, with_body: bool, retries: int) -> dict[str, str]:
        headers = {"Accept": ", ".join(JSON_TYPES), "User-Agent": "holdfast-inventory-client/1"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if self._shop_id is not None:
            headers["X-Shop-Id"] = self._shop_id
        if with_body:
            headers["Content-Type"] = "application/json"
        if retries:
            headers[RETRY_HEADER] = str(retries)
        return headers


def refusal(answer: Answer) -> AuthorityError:
    """The error that an answer without success stands for: by its problem document, else by its status."""
    kind, code = REFUSALS.get(answer.status, (AuthorityUnavailable, ""))
    try:
        problem = _document(answer)
    except Unreadable:
        problem = {}
    said, detail = problem.get("code"), problem.get("detail")
    request_id = answer.headers.get("x-request-id", "")[:64]
    if isinstance(said, str) and said and problem.get("status") == answer.status:
        if said == AuthorityShort.code and kind is AuthorityConflict:
            try:
                return AuthorityShort(str(detail), insufficient=read_shortage(problem), request_id=request_id)
            except Unreadable as error:
                return _unreadable(answer, str(error))
        code = said
    # Without a word of its own a proxy's 400 or 404 isn't the authority's.
    if not code:
        return _unreadable(answer, "It isn't a problem document.")
    return kind(
        detail if isinstance(detail, str) else f"The authority answered {answer.status}.",
        code=code,
        status=answer.status,
        retry_after_ms=_retry_after(problem, answer),
        request_id=request_id,
    )


def _unreadable(answer: Answer, why: str) -> AuthorityUnavailable:
    detail = f"The authority's answer ({answer.status}) can't be relied on. {why}"
    return AuthorityUnavailable(detail, request_id=answer.headers.get("x-request-id", "")[:64])


def _document(answer: Answer) -> dict[str, Any]:
    if answer.headers.get("content-type", "").partition(";")[0].strip().lower() not in JSON_TYPES:
        raise Unreadable("It isn't JSON.")
    return read_json(answer.body)


def _retry_after(problem: Mapping[str, Any], answer: Answer) -> int | None:
    """Milliseconds, from the document, else from the header's seconds."""
    named = problem.get("retryAfterMs")
    if type(named) is int and named >= 0:
        return named
    header = answer.headers.get("retry-after", "").strip()
    return int(header) * 1_000 if re.fullmatch(r"[0-9]{1,6}", header) else None


def _read_health(answer: Mapping[str, Any]) -> None:
    if answer.get("ok") is not True:
        raise Unreadable("It doesn't say that it is well.")


def _reader(hold_id: str, status: str) -> Callable[[Mapping[str, Any]], RemoteHold]:
    return lambda answer: read_hold(answer, hold_id=hold_id, status=(status,))


def _lines(items: Iterable[Item]) -> Sequence[Item]:
    found = tuple(items)
    if not found or any(type(item.quantity) is not int or item.quantity < 1 for item in found):
        raise AuthorityInvalid("At least one line, each of at least one unit.")
    return found


def _hold_path(hold_id: str) -> tuple[str, str]:
    try:
        known = str(UUID(hold_id))
    except ValueError as error:
        raise AuthorityInvalid("This isn't the id of a hold.") from error
    return known, f"/api/inventory/holds/{quote(known)}"


def _left(deadline: Deadline) -> int:
    try:
        return deadline.left_ms()
    except TimeoutError:
        return 0


def _base(url: str) -> Any:
    try:
        found = urlsplit(url.strip().rstrip("/"))
        wrong = found.scheme not in {"http", "https"} or not found.hostname or (found.port or 1) < 1
    except ValueError:
        wrong = True
    if wrong or found.username is not None or found.query or found.fragment or not url.isascii():
        raise ValueError(
            "INVENTORY_AUTHORITY_URL: expected https://host[:port][/path], without user, query or fragment."
        )
    return found


def _token(token: str) -> str:
    token = token.strip()
    if token and not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ValueError("INVENTORY_AUTHORITY_TOKEN: visible ASCII characters only.")
    return token


def _timeout(given: str | int | None) -> int:
    text = str(TIMEOUT_MS if given is None else given).strip()
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= LONGEST_TIMEOUT_MS:
        raise ValueError(f"INVENTORY_AUTHORITY_TIMEOUT: milliseconds from 1 to {LONGEST_TIMEOUT_MS}.")
    return int(text)
