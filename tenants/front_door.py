"""The first thing that happens to a request: who asks, on which host, for which shop, and whether they may.

Everything behind it can rely on: a request id, a normalised host, a role, the shop that the host belongs to and no
other, no header that only we may send, a bounded body.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import msgspec
import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils.module_loading import import_string

from tenants.allowlist import ANY_HOST, ANY_SCOPE, UNKNOWN_FAMILY, VERIFICATION_PATH, HostRole, Rule, rule_for
from tenants.callers import ServiceCaller, service_tokens
from tenants.context import ShopContext, bind_shop, new_request_id, request_id_of_lines
from tenants.errors import (
    Forbidden,
    HoldfastError,
    InvalidRequest,
    NotFound,
    ShopConflict,
    ShopExpired,
    ShopRequired,
    TooLarge,
    Unauthenticated,
    UnknownHost,
)
from tenants.front_door_pace import UNKNOWN_HOSTS, keep_pace
from tenants.host_rows import HostEntry
from tenants.hosts import for_request, host_map, normalise_host
from tenants.metrics import NO_SHOP, count_request
from tenants.origin import DEFAULT_PORTS, SAFE_METHODS, from_elsewhere
from tenants.request_line import RequestLine, write
from tenants.shop_id import SHOP_ID_FORM
from tenants.tokens import token_ring

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
API_VERSION = "1"
# Headers that mean something only between our own parts. They are dropped, not refused: a client that sends one gets
# what it would have got without. A trusted edge's are read here first and go no further either: behind this line the
# shop is `request.shop`, and a token in nobody's traceback.
INTERNAL_HEADERS = ("HTTP_X_SHOP", "HTTP_X_FRONT_DOOR", "HTTP_X_HOLDFAST")
DEFAULT_MAX_BYTES = 256 * 1024
QUIET = frozenset({"health", "metrics", "static"})
"""Families that nobody reads line by line, unless they fail."""

NOWHERE = "unknown.invalid"
"""Stands in for a probe's unusable Host header, so that nothing behind the front door has to parse it."""


@dataclass(slots=True)
class Visit:
    """What is known of a request so far; refusals are counted and logged with as much of it as there is."""

    request_id: str
    started: float
    family: str = UNKNOWN_FAMILY
    role: str = ""
    shop: ShopContext | None = None
    caller: ServiceCaller | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of itself in internal headers; worth nothing without a valid token."""

    token: str
    shop_id: str


NO_CLAIM = Claim("", "")


class _NamesShop(msgspec.Struct, rename="camel"):
    shop_id: str | None = None


class FrontDoor:
    """Middleware. Sets `request_id`, `host_role`, `shop` and `caller` on the request and binds the shop while it is
    answered.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.answer: Callable[[HttpRequest, HoldfastError], HttpResponse] = import_string(settings.PROBLEM_ANSWER)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        visit = Visit(request_id=_request_id(request), started=time.perf_counter())
        structlog.contextvars.clear_contextvars()
        lines_before = request_id_of_lines.set(visit.request_id)
        claim = _take_internal_headers(request)
        _publish(request, visit)
        try:
            refusal = self._admit(request, visit, claim)
            with bind_shop(visit.shop):
                response = refusal or self.get_response(request)
                response["X-Request-Id"] = visit.request_id
                response["X-Api-Version"] = API_VERSION
                _account(request, response, visit)
        finally:
            request_id_of_lines.reset(lines_before)
        return response

    def _admit(self, request: HttpRequest, visit: Visit, claim: Claim) -> HttpResponse | None:
        """None to let the request through, else the answer that ends it here."""
        try:
            return self._inspect(request, visit, claim)
        except HoldfastError as error:
            return self.answer(request, error)

    def _inspect(self, request: HttpRequest, visit: Visit, claim: Claim) -> HttpResponse | None:
        rule = rule_for(request.path_info)
        if request.path_info in ANY_HOST:
            visit.family = "health"
            _use_host(request, _named_host(request) or (NOWHERE, None))
            bound_body(request, DEFAULT_MAX_BYTES)
            return None
        try:
            entry, port = _find_host(request)
        except UnknownHost:
            keep_pace(request, scope=UNKNOWN_HOSTS, times=1, now=visit.started)
            raise
        visit.role = entry.role
        visit.shop = for_request(entry, visit.request_id)
        _publish(request, visit)
        vars(request)["host_entry"] = entry
        if rule is None or entry.role not in rule.roles:
            _bound_pace(request, visit, times=1)
            if entry.role is HostRole.PLATFORM and request.path_info == "/":
                return None  # the redirect decision leads to the admin
            raise NotFound("There is nothing at this address.")
        visit.family = rule.family
        try:
            _refuse_nul(request)
            bound_body(request, rule.max_bytes)
            visit.caller = _caller(request, rule, visit)
            if (named := _named_shop(request, claim, visit)) is not None:
                entry = _agreed_entry(named, rule, entry)
                visit.shop = for_request(entry, visit.request_id)
                vars(request)["host_entry"] = entry  # whose mode the redirect decision asks about
            _publish(request, visit)
        finally:
            _bound_pace(request, visit, times=rule.pace)  # refusals count too: guesses at tokens are requests
        _refuse_closed(request, rule, entry)
        _refuse_foreign(request, rule, entry.hostname, port)
        return None


def _request_id(request: HttpRequest) -> str:
    """The caller's id when it is well-formed, else a new one; behind this line there is one id, whoever reads it."""
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    request_id = given if REQUEST_ID.match(given) else new_request_id()
    request.META["HTTP_X_REQUEST_ID"] = request_id
    return request_id


def _take_internal_headers(request: HttpRequest) -> Claim:
    """Removes them from the request, and answers what they said."""
    request.__dict__.pop("headers", None)  # Django caches its view of META
    # Nearly no request has any, and one search through all names costs a fifth of a look at each.
    names = "\n".join(request.META)
    for prefix in INTERNAL_HEADERS:
        if prefix in names:
            break
    else:
        return NO_CLAIM
    said = Claim(token=request.META.get("HTTP_X_FRONT_DOOR_TOKEN", ""), shop_id=request.META.get("HTTP_X_SHOP_ID", ""))
    for name in [name for name in request.META if name.startswith(INTERNAL_HEADERS)]:
        del request.META[name]
    return said


def _caller(request: HttpRequest, rule: Rule, visit: Visit) -> ServiceCaller | None:
    """The holder of the request's service token, on routes where one means something; its header goes no further.

    Raises Unauthenticated, also where another caller would do: whoever sends a token wants to be its holder. Raises
    Forbidden for a token that isn't good for this.
    """
    if not rule.scope:
        return None
    scheme, _, offered = request.META.pop("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer":
        if rule.token_only:
            raise Unauthenticated("A service token is required.")
        return None
    caller = service_tokens.admit(offered.strip(), shop_label=visit.shop.shop_id if visit.shop else NO_SHOP)
    structlog.contextvars.bind_contextvars(token=caller.token_id)
    if rule.scope != ANY_SCOPE and rule.scope not in caller.scopes:
        raise Forbidden(f"The service token is not good for {rule.scope}.")
    return caller


def _named_shop(request: HttpRequest, claim: Claim, visit: Visit) -> str | None:
    """The shop that a service token or a trusted edge names, not yet known to exist; None where nobody may.

    A wrong front-door token is like none (T6). Raises ShopConflict and Forbidden when a token names another shop than
    the header or the host.
    """
    caller = visit.caller
    if caller is None:
        if not claim.token:
            return None
        trusted = token_ring.admits(claim.token, shop_label=visit.shop.shop_id if visit.shop else NO_SHOP)
        return claim.shop_id or None if trusted else None
    if caller.shop_id is None:
        return claim.shop_id or (None if visit.shop else _shop_in_body(request))
    if claim.shop_id and claim.shop_id != caller.shop_id:
        raise ShopConflict("The header names another shop than the service token.")
    if visit.shop is not None and visit.shop.shop_id != caller.shop_id:
        raise Forbidden("The service token is another shop's.")
    return caller.shop_id


def _shop_in_body(request: HttpRequest) -> str | None:
    """What a body says that nobody has checked yet: the view refuses what isn't JSON, and compares `shopId` again."""
    if request.method in SAFE_METHODS:
        return None
    try:
        return msgspec.json.decode(request.body, type=_NamesShop).shop_id
    except msgspec.MsgspecError:
        return None
    except UnreadablePostError as error:
        raise InvalidRequest("The request body broke off.") from error


def _agreed_entry(named: str, rule: Rule, entry: HostEntry) -> HostEntry:
    """The host whose shop this request is for, once somebody trusted has named one. On a shop's host they can only
    agree; on others, where there is something to decide, the request counts as one to the named shop's own host.

    Raises ShopConflict, and ShopRequired for a shop that doesn't exist.
    """
    if entry.shop is not None:
        if named != entry.shop.shop_id:
            raise ShopConflict("The header names another shop than the host.")
        return entry
    if not rule.edge_names_shop:
        return entry
    hostname = host_map.canonical_host(named) if re.match(SHOP_ID_FORM, named) else None
    own = host_map.find(hostname) if hostname else None
    if own is None or not own.served or own.shop is None or own.shop.shop_id != named:
        raise ShopRequired("The request names no shop that is served here.")
    return own


def _bound_pace(request: HttpRequest, visit: Visit, *, times: int) -> None:
    """Raises RateLimited; counts under the shop that the request turned out to be for, and under whoever proved to
    hold a service token.
    """
    shop_id = visit.shop.shop_id if visit.shop else None
    keep_pace(
        request,
        scope=shop_id or f"-{visit.role}",
        times=times,
        now=visit.started,
        shop_label=shop_id or NO_SHOP,
        token_id=visit.caller.token_id if visit.caller else "",
    )


def _publish(request: HttpRequest, visit: Visit) -> None:
    vars(request).update(request_id=visit.request_id, host_role=visit.role, shop=visit.shop, caller=visit.caller)


def _named_host(request: HttpRequest) -> tuple[str, int | None] | None:
    """The Host header's name and port; without that header (HTTP/1.0) the server's own name, as Django does."""
    raw = request.META.get("HTTP_HOST")
    return normalise_host(request.META.get("SERVER_NAME", "") if raw is None else raw)


def _use_host(request: HttpRequest, host: tuple[str, int | None]) -> None:
    name, port = host
    request.META["HTTP_HOST"] = name if port is None else f"{name}:{port}"


def _find_host(request: HttpRequest) -> tuple[HostEntry, int | None]:
    """The entry of the request's host. Raises UnknownHost, also for what can't be a host name, and ShopConflict."""
    host = _named_host(request)
    _use_host(request, host or (NOWHERE, None))
    _refuse_other_target(request, host)
    entry = host_map.find(host[0]) if host else None
    if host is None or entry is None or not (entry.served or request.path_info == VERIFICATION_PATH):
        raise UnknownHost("This host name is not served here.")
    return entry, host[1]


def _refuse_other_target(request: HttpRequest, host: tuple[str, int | None] | None) -> None:
    """Raises ShopConflict where the request line is a whole address that names another host than the Host header.

    RFC 9112, 3.2.2: the request line would count. A proxy that went by it and we by the header were two opinions of
    whose request this is; gunicorn passes the line on as RAW_URI.
    """
    target = request.META.get("RAW_URI", "/")
    if target.startswith(("/", "*")):
        return
    authority = target.partition("://")[2].partition("/")[0].partition("?")[0]
    named = normalise_host(authority)
    if named is None or host is None or named[0] != host[0]:
        raise ShopConflict("The request line names another host than the header.")


def _refuse_nul(request: HttpRequest) -> None:
    """Raises InvalidRequest for a NUL in the address: PostgreSQL's text can't hold one, whatever reads it next."""
    if "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
        raise InvalidRequest("The address contains a NUL character.")


def _refuse_closed(request: HttpRequest, rule: Rule, entry: HostEntry) -> None:
    """Raises ShopExpired for new business with a shop that is closed to it; a closed host is the redirect decision's.

    Pages of a closed shop stay up while its host does: a customer who has just paid comes back to one.
    """
    if entry.shop is None or rule.settles:
        return
    if not entry.shop.open_for_business and request.path_info.startswith("/api/"):
        raise ShopExpired("This shop no longer takes orders.")


def _refuse_foreign(request: HttpRequest, rule: Rule, hostname: str, port: int | None) -> None:
    """Raises Forbidden when another site's page made a browser send an unsafe request."""
    if not rule.browsers or request.method in SAFE_METHODS:
        return
    scheme = settings.PUBLIC_SCHEME
    if from_elsewhere(
        origin=request.META.get("HTTP_ORIGIN"),
        fetch_site=request.META.get("HTTP_SEC_FETCH_SITE"),
        scheme=scheme,
        hostname=hostname,
        # A proxy may forward the host with or without the public port.
        ports={port or DEFAULT_PORTS[scheme], settings.PUBLIC_PORT},
    ):
        raise Forbidden("The request came from another site.")


def bound_body(request: HttpRequest, limit: int) -> None:
    """Raises TooLarge for a body over `limit` bytes, before anything reads it.

    A chunked body has no length to look at and Django would take it for empty: it is read here, up to the limit.
    """
    length = request.META.get("CONTENT_LENGTH") or ""
    if length:
        if not length.isascii() or not length.isdigit():
            raise InvalidRequest("Content-Length is not a number.")
        if len(length) > 12 or int(length) > limit:
            raise TooLarge(f"The request body is over {limit} bytes.")
    elif "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        body = request.META["wsgi.input"].read(limit + 1)
        if len(body) > limit:
            raise TooLarge(f"The request body is over {limit} bytes.")
        request.META["CONTENT_LENGTH"] = str(len(body))
        vars(request)["_stream"] = BytesIO(body)


def _account(request: HttpRequest, response: HttpResponse, visit: Visit) -> None:
    """One line and one observation per request. The path goes without its query: a session id opens an order."""
    seconds = time.perf_counter() - visit.started
    shop_id = visit.shop.shop_id if visit.shop else None
    status = response.status_code
    count_request(shop_id=shop_id or NO_SHOP, family=visit.family, status=status, seconds=seconds)
    vars(response)["_has_been_logged"] = True  # Django's own line for errors would repeat this one, without the shop
    quietly = "debug" if visit.family in QUIET else "info"
    write(
        RequestLine(
            method=request.method or "",
            path=request.path,
            family=visit.family,
            role=visit.role,
            status=status,
            ms=round(seconds * 1000, 1),
            shop_id=shop_id,
            request_id=visit.request_id,
            level="warning" if status >= 500 else quietly,
        )
    )
