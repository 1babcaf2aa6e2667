"""What the benchmark's gunicorn serves: the same empty view behind different middleware, chosen by a header.

`front_door` is the product's own stack, `floor` the same without the front door, `empty_view` none at all. One process
serves all three, so that they share its warmth, its neighbours and its bad moments.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path

from config.bench import CPU_SECONDS, PATH

FRONT_DOOR = ("tenants.front_door.", "tenants.redirecting.")


def empty(request: HttpRequest) -> HttpResponse:
    # Without middleware nobody else would set it, and the answer would be sent in chunks.
    return HttpResponse(b"", headers={"Content-Length": "0"})


urlpatterns = [path(PATH[1:], empty)]


def _handler(middleware: Sequence[str]) -> WSGIHandler:
    """A handler reads the setting once, when it is made."""
    settings.MIDDLEWARE = list(middleware)
    return WSGIHandler()


def _application() -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    django.setup()
    settings.ROOT_URLCONF = __name__
    # As in production: development looks for a static file on disk at every request, which would flatter the ratio.
    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = False
    product = tuple(settings.MIDDLEWARE)
    handlers: dict[str, Callable[[dict[str, Any], Any], Iterable[bytes]]] = {
        CPU_SECONDS: _tell_cpu,
        "front_door": _handler(product),
        "floor": _handler([name for name in product if not name.startswith(FRONT_DOOR)]),
        "empty_view": _handler(()),
    }
    return lambda environ, start_response: handlers[environ["HTTP_X_BENCH"]](environ, start_response)


def _tell_cpu(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """What this process has spent so far: unlike the clock on the wall it doesn't run while others have the cores."""
    start_response("200 OK", [("Content-Length", "0"), (CPU_SECONDS, repr(time.process_time()))])
    return ()


application = _application()
