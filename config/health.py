"""Liveness and readiness (B5).

`/healthz` says that the process answers, and asks nobody: a restart cures nothing that is wrong elsewhere. `/readyz`
says whether this process can work right now, asks each time, and so recovers by itself.
"""

from __future__ import annotations

from collections.abc import Callable

import redis
import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

log = structlog.get_logger(__name__)

STATEMENT_TIMEOUT_MS = 1_000
REDIS_SECONDS = 1.0

_migrated = False
"""Set once, for the life of the process: code and schema belong together, and the question costs many queries."""


@require_safe
def alive(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """200 when database, Redis and schema are there; else 503 that names which isn't, without saying why."""
    checks: dict[str, str] = {}
    # The schema is asked for only where the database answered.
    for name, check in (("database", _database), ("migrations", _migrations), ("redis", _redis)):
        skipped = name == "migrations" and checks["database"] != "ok"
        checks[name] = "unknown" if skipped else _outcome(name, check)
    good = all(outcome == "ok" for outcome in checks.values())
    response = JsonResponse(
        {
            "type": "about:blank",
            "title": "Ready" if good else "Not ready",
            "status": 200 if good else 503,
            "checks": checks,
            "requestId": getattr(request, "request_id", ""),
        },
        status=200 if good else 503,
        content_type="application/json" if good else "application/problem+json",
    )
    response["Cache-Control"] = "no-store"
    if not good:
        response["Retry-After"] = "2"
    return response


def _outcome(name: str, check: Callable[[], bool]) -> str:
    try:
        return "ok" if check() else "behind"
    except (DatabaseError, redis.RedisError, OSError) as error:
        # The connection itself may be what is broken: the next probe makes a new one.
        connection.close_if_unusable_or_obsolete()
        log.warning("not_ready", check=name, error=type(error).__name__)
        return "away"


def _database() -> bool:
    """Bounded by connect_timeout when the server is gone and by a statement timeout when it hangs."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(STATEMENT_TIMEOUT_MS)])
        cursor.execute("SELECT 1")
    return True


def _migrations() -> bool:
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated


def _redis() -> bool:
    client = redis.Redis.from_url(
        settings.REDIS_LIMITS_URL, socket_connect_timeout=REDIS_SECONDS, socket_timeout=REDIS_SECONDS
    )
    with client:
        return bool(client.ping())
