"""Views that fail in every way there is, at addresses that the allowlist knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError, connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.urls import path
from rest_framework import exceptions as drf
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import health, metrics
from config.urls import handler400, handler403, handler404, handler500
from tenants.context import current_shop, shop_of
from tenants.errors import HoldfastError, InvalidRequest, NotFound

__all__ = ["handler400", "handler403", "handler404", "handler500"]


class Busy(HoldfastError):
    code = "inventory_busy"

    def members(self) -> dict[str, Any]:
        return {"retryAfterMs": 1200}


class Alien(HoldfastError):
    code = "a_code_nobody_knows"


def lost() -> None:
    """The failure that psycopg reports when a server goes away under a query."""
    with connection.cursor() as cursor:
        # Only the login may: neither of the roles that statements run as is its like.
        cursor.execute("SET LOCAL ROLE NONE; SELECT pg_terminate_backend(pg_backend_pid())")


FAILURES: dict[str, Callable[[], BaseException]] = {
    "invalid": lambda: InvalidRequest("No.", {"lines.0.sku": ["Unknown."]}),
    "not_found": lambda: NotFound("No such order."),
    "busy": lambda: Busy("Busy."),
    "alien": lambda: Alien("Secret detail."),
    "http404": lambda: Http404("secret model name"),
    "denied": lambda: PermissionDenied("secret"),
    "suspicious": lambda: SuspiciousOperation("secret"),
    "too_big": lambda: RequestDataTooBig("secret"),
    "defect": lambda: RuntimeError("secret sk_live_123"),
    "interface": lambda: InterfaceError("connection already closed"),
    "unreachable": lambda: OperationalError("could not connect to secret.example.com"),
    "drf_parse": lambda: drf.ParseError("Broken."),
    "drf_auth": lambda: drf.NotAuthenticated(),
    "drf_failed": lambda: drf.AuthenticationFailed("secret"),
    "drf_denied": lambda: drf.PermissionDenied("secret"),
    "drf_not_found": lambda: drf.NotFound("secret"),
    "drf_throttled": lambda: drf.Throttled(wait=7),
    "drf_validation": lambda: drf.ValidationError({"sku": ["Required."]}),
}


def fail(request: Any) -> None:
    kind = request.GET.get("fail")
    if kind == "lost":
        lost()
    if kind:
        raise FAILURES[kind]()


class Probe(APIView):
    def get(self, request: Request) -> Response:
        fail(request)
        shop = shop_of(request._request)
        return Response(
            {
                "shop": shop.shop_id,
                "same": current_shop() == shop,
                "role": request._request.host_role,
                "requestId": shop.request_id,
                "header": request.headers.get("X-Request-Id"),
                "internal": [name for name in request.META if name.startswith(("HTTP_X_SHOP", "HTTP_X_FRONT_DOOR"))],
                "host": request.get_host(),
            }
        )

    def post(self, request: Request) -> Response:
        return Response({"body": request.data})

    def put(self, request: Request) -> Response:
        return Response({"length": len(request._request.body)})


def plain(request: HttpRequest, session_id: str = "") -> HttpResponse:
    """A view outside DRF."""
    fail(request)
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    bare = request.GET.get("status")
    return HttpResponse("bare", status=int(bare)) if bare else JsonResponse({"ok": True})


urlpatterns = [
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("metrics", metrics.expose),
    path("api/cart", Probe.as_view()),
    path("api/order-status", Probe.as_view()),
    path("api/checkout-session", Probe.as_view()),
    path("api/checkout-session/<str:session_id>", plain),
    path("api/stripe-webhook", Probe.as_view()),
    path("api/catalog", plain),
    path("en/page", plain),
    path("admin/", plain),
]
