"""Error → HTTP, in one table. Nothing else in the project decides a status.

A problem document (RFC 9457) is what every caller but a browser gets, for every failure: our own errors, DRF's,
Django's, and defects. Its text never comes from an exception that isn't ours: those may quote SQL, addresses or keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from rest_framework import exceptions as drf

from config.error_page import error_page
from tenants.errors import HoldfastError

log = structlog.get_logger(__name__)

PROBLEM_JSON = "application/problem+json"


class Problem(NamedTuple):
    """`error` is the older name that some callers still match on; it equals the code where there is none."""

    status: int
    title: str
    error: str = ""


# Every row of the contract's table of errors. A code that isn't here is a defect: it answers as internal_error.
PROBLEMS: Mapping[str, Problem] = {
    "invalid_request": Problem(400, "The request is not valid"),
    "shop_conflict": Problem(400, "The request names different shops"),
    "variant_conflict": Problem(400, "The variant key contradicts the attributes"),
    "shop_required": Problem(400, "A shop is required"),
    "webhook_signature": Problem(400, "The signature is missing or wrong"),
    "unknown_sku": Problem(400, "Unknown SKU"),
    "not_purchasable": Problem(400, "Not for sale"),
    "amount_too_small": Problem(400, "The amount is below the minimum"),
    "unauthenticated": Problem(401, "Authentication is required"),
    "forbidden": Problem(403, "Not allowed"),
    "tenant_mismatch": Problem(403, "Another shop's event"),
    "not_found": Problem(404, "Not found"),
    "unknown_host": Problem(404, "Unknown host"),
    "method_not_allowed": Problem(405, "Method not allowed"),
    "inventory_insufficient": Problem(409, "Not enough stock", "insufficient_stock"),
    "PRICE_CHANGED": Problem(409, "A price has changed"),
    "idempotency_conflict": Problem(409, "The idempotency key was used for another request"),
    "hold_in_checkout": Problem(409, "A checkout owns this hold"),
    "hold_not_active": Problem(409, "The hold is finished"),
    "coupon_rejected": Problem(409, "The coupon can't be used"),
    "refund_exceeds_payment": Problem(409, "More than what is left to refund"),
    "rental_unavailable": Problem(409, "Not available in this period"),
    "wrong_state": Problem(409, "Not possible in this state"),
    "shop_expired": Problem(410, "The shop is closed"),
    "too_large": Problem(413, "The request is too large"),
    "unsupported_media_type": Problem(415, "Unsupported media type"),
    "reconciliation_rejected": Problem(422, "The record is ambiguous"),
    "rate_limited": Problem(429, "Too many requests"),
    "inventory_busy": Problem(429, "The stock is busy, try again"),
    "internal_error": Problem(500, "An error of ours"),
    "payment_rejected": Problem(502, "The payment provider refused", "checkout_failed"),
    "payment_unknown": Problem(503, "The outcome is unknown, repeat the same request"),
    "inventory_unavailable": Problem(503, "The inventory is out of reach"),
    "tenant_unresolvable": Problem(503, "No shop can be resolved for this event"),
}

# What a bare status means when some part of Django answered with it instead of raising one of our errors.
CODE_OF_STATUS: Mapping[int, str] = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    410: "shop_expired",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
}

INTERNAL_DETAIL = "Something went wrong on our side. Quote the request id when you report it."
AWAY_DETAIL = "The service can't reach its database at the moment. Repeat the same request."
AWAY_RETRY_MS = 2_000


def problem(request: HttpRequest, code: str, detail: str, members: Mapping[str, Any] | None = None) -> HttpResponse:
    """The answer for `code`: a page where a person browses, else a problem document. Never cacheable.

    `members` are the document's extra members; `retryAfterMs` among them becomes `Retry-After`, in whole seconds.
    """
    row = PROBLEMS.get(code)
    if row is None:
        log.error("problem_without_a_row", code=code)
        code, detail, members, row = "internal_error", INTERNAL_DETAIL, None, PROBLEMS["internal_error"]
    shop = getattr(request, "shop", None)
    request_id = getattr(request, "request_id", "")
    extra = dict(members or {})
    retry_ms = extra.get("retryAfterMs")
    if code == "inventory_busy" and retry_ms is not None:
        extra["retryAfter"] = retry_ms  # the older name, same value
    if reads_pages(request):
        response = error_page(status=row.status, title=row.title, detail=detail, request_id=request_id)
    else:
        document = {
            **extra,
            "type": f"urn:holdfast:problem:{code}",
            "title": row.title,
            "status": row.status,
            "detail": detail,
            # Without the query: it may carry a session id, which opens an order.
            "instance": request.path,
            "code": code,
            "error": row.error or code,
            "shopId": shop.shop_id if shop else None,
            "requestId": request_id,
        }
        response = HttpResponse(
            json.dumps(document, ensure_ascii=False, default=str), status=row.status, content_type=PROBLEM_JSON
        )
    response["Cache-Control"] = "no-store"
    if retry_ms is not None:
        response["Retry-After"] = str(max(1, -(-int(retry_ms) // 1000)))
    if row.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def is_api(request: HttpRequest) -> bool:
    return request.path == "/api" or request.path.startswith("/api/")


def reads_pages(request: HttpRequest) -> bool:
    """Whether a person is looking: a browser asks for HTML in so many words, every program gets JSON."""
    return not is_api(request) and "text/html" in request.headers.get("accept", "")


def answer_error(request: HttpRequest, error: HoldfastError) -> HttpResponse:
    """The answer to one of our own errors. The front door finds this through settings.PROBLEM_ANSWER."""
    return problem(request, error.code, error.detail, error.members())


def database_away(error: BaseException) -> bool:
    """Whether `error` means that PostgreSQL is out of reach, starting or stopping, rather than a defect of ours."""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    state = getattr(error.__cause__, "sqlstate", None)
    # None: the connection failed before the server could say anything. 08: connection; 57P0x: shutdown and start-up.
    return state is None or state.startswith(("08", "57P0")) or state == "53300"


def _drf_throttled(error: drf.Throttled) -> tuple[str, str, dict[str, Any]]:
    return "rate_limited", "Too many requests.", {"retryAfterMs": int(getattr(error, "wait", None) or 1) * 1000}


def _drf_invalid(error: drf.ValidationError) -> tuple[str, str, dict[str, Any]]:
    fields = error.detail if isinstance(error.detail, dict) else {"body": error.detail}
    return "invalid_request", "The request body is not valid.", {"fields": fields}


# First match wins, so that a subclass stands above its base.
TRANSLATIONS: tuple[tuple[type[Exception], Callable[[Any], tuple[str, str, dict[str, Any]]]], ...] = (
    (drf.Throttled, _drf_throttled),
    (drf.ValidationError, _drf_invalid),
    (drf.ParseError, lambda e: ("invalid_request", str(e.detail), {})),
    (drf.UnsupportedMediaType, lambda e: ("unsupported_media_type", "Send application/json in UTF-8.", {})),
    (drf.MethodNotAllowed, lambda e: ("method_not_allowed", "This address does not take that method.", {})),
    (drf.NotAuthenticated, lambda e: ("unauthenticated", "Credentials are required.", {})),
    (drf.AuthenticationFailed, lambda e: ("unauthenticated", "The credentials were refused.", {})),
    (drf.PermissionDenied, lambda e: ("forbidden", "The caller may not do this.", {})),
    (drf.NotFound, lambda e: ("not_found", "There is no such thing here.", {})),
    (Http404, lambda e: ("not_found", "There is no such thing here.", {})),
    (PermissionDenied, lambda e: ("forbidden", "The caller may not do this.", {})),
    (RequestDataTooBig, lambda e: ("too_large", "The request body is too large.", {})),
    (TooManyFieldsSent, lambda e: ("too_large", "The form has too many fields.", {})),
    (UnreadablePostError, lambda e: ("invalid_request", "The request body broke off.", {})),
    (SuspiciousOperation, lambda e: ("invalid_request", "The request was refused.", {})),
)


def answer_known(request: HttpRequest, error: BaseException) -> HttpResponse | None:
    """The answer to an error that has one; None for a defect, which Django logs and handler500 answers."""
    if isinstance(error, HoldfastError):
        return answer_error(request, error)
    for kind, translate in TRANSLATIONS:
        if isinstance(error, kind):
            return problem(request, *translate(error))
    if database_away(error):
        return problem(request, "inventory_unavailable", AWAY_DETAIL, {"retryAfterMs": AWAY_RETRY_MS})
    return None


def answer_exception(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """DRF's handler. None lets a defect rise to Django, so that there is one place where a 500 is logged."""
    request: HttpRequest = context["request"]._request
    return answer_known(request, error)


class ProblemMiddleware:
    """Our errors raised outside DRF, and bare error answers of Django's own, in the same shape as all others."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code < 400 or reads_pages(request):
            return response
        if "json" in response.get("Content-Type", ""):
            return response
        if not is_api(request) and response.status_code not in CODE_OF_STATUS:
            return response
        return _shaped(request, response)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, HoldfastError) or database_away(error):
            return answer_known(request, error)
        return None  # Http404 and its like have handlers below


def _shaped(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """A problem document in place of a bare answer; `Allow` and the like are kept."""
    fallback = "internal_error" if response.status_code >= 500 else "invalid_request"
    code = CODE_OF_STATUS.get(response.status_code, fallback)
    shaped = problem(request, code, PROBLEMS[code].title + ".")
    shaped.status_code = response.status_code
    for name in ("Allow", "Retry-After", "X-Frame-Options"):
        if name in response:
            shaped[name] = response[name]
    return shaped


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400."""
    return answer_known(request, exception) or problem(request, "invalid_request", "The request was refused.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler403."""
    return problem(request, "forbidden", "You may not do this.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404."""
    return problem(request, "not_found", "There is nothing at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500. Django has logged the traceback already; the answer says nothing of it."""
    return problem(request, "internal_error", INTERNAL_DETAIL)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """CSRF_FAILURE_VIEW. The reason stays in the log: it would tell an attacker what to change."""
    return problem(request, "forbidden", "The form has expired or came from another site. Reload the page.")
