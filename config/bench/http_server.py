"""What `bench http` serves: the whole product, and beside it an empty view without any middleware, chosen by a header.

With AS_OWNER in its environment its statements run with the rights of the tables' owner, whom no policy binds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import re_path

from config.bench import AS_OWNER, CPU_SECONDS, instant_stripe


def empty(request: HttpRequest) -> HttpResponse:
    # Without middleware nobody else would set it, and the answer would be sent in chunks.
    return HttpResponse(b"", headers={"Content-Length": "0"})


urlpatterns = [re_path("", empty)]


class EmptyUrls:
    """Sends every request to the empty view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.urlconf = __name__
        return self._get_response(request)


def _application() -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    django.setup()
    instant_stripe.install()
    # As in production: development looks for a static file on disk at every request.
    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = False
    as_owner = bool(os.environ.get(AS_OWNER))
    product = WSGIHandler()
    settings.MIDDLEWARE = [f"{__name__}.EmptyUrls"]
    nothing = WSGIHandler()

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if as_owner:
            connection.execute_wrappers.clear()  # each thread has its own, and what carries the scope is in there
        if environ.get("HTTP_X_BENCH") == CPU_SECONDS:
            start_response("200 OK", [("Content-Length", "0"), (CPU_SECONDS, repr(time.process_time()))])
            return ()
        chosen = nothing if environ.get("HTTP_X_BENCH") == "empty_view" else product
        return chosen(environ, start_response)

    return serve


application = _application()
