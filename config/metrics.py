"""/metrics: the process's own counters, every process's where they share a folder, and the apps' database gauges."""

from __future__ import annotations

import os
from hmac import compare_digest

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from tenants.errors import Forbidden
from tenants.metrics import database_registry

LOOPBACK = frozenset({"127.0.0.1", "::1"})
# A proxy on the same machine makes the whole world look like loopback; any of these betrays one.
FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")


@require_safe
def expose(request: HttpRequest) -> HttpResponse:
    """The text format. Raises Forbidden unless the caller has METRICS_TOKEN or sits on this machine."""
    if not may_scrape(request):
        raise Forbidden("Metrics need the token, or a direct connection from this machine.")
    return HttpResponse(
        generate_latest(_process_registry()) + generate_latest(database_registry), content_type=CONTENT_TYPE_LATEST
    )


def may_scrape(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if settings.METRICS_TOKEN and scheme.lower() == "bearer":
        return compare_digest(token.strip().encode(), settings.METRICS_TOKEN.encode())
    # A unix socket has no peer address, and nothing off this machine reaches it.
    peer = request.META.get("REMOTE_ADDR", "")
    return peer in LOOPBACK and not any(name in request.META for name in FORWARDED)


def _process_registry() -> CollectorRegistry:
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return REGISTRY
    shared = CollectorRegistry()
    MultiProcessCollector(shared)
    return shared
