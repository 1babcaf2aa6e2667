"""The way past the middleware of pages, for requests that have no session, no form and no language.

Machines ask most of what is asked here, and what Django does for pages is a quarter of what such a request costs. Which
they are is said where every route is (`Rule.bare` in tenants/allowlist.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation

from tenants.allowlist import rule_for

Answering = Callable[[HttpRequest], HttpResponse]


class ShortWay:
    """Middleware. Stands before all that only pages need, behind all that guards every request; does itself what
    answers to programs need of the rest: a length, no frame, and no language of the request that the thread had before.
    """

    def __init__(self, get_response: Answering) -> None:
        self.get_response = get_response
        self._view: Final = innermost(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        rule = rule_for(request.path_info)
        if rule is None or not rule.bare:
            return self.get_response(request)
        translation.deactivate()
        response = self._view(request)
        if not response.streaming:
            response.headers.setdefault("Content-Length", str(len(response.content)))
        response.headers.setdefault("X-Frame-Options", settings.X_FRAME_OPTIONS)
        return response


def innermost(handler: Answering) -> Answering:
    """What stands behind the last middleware. Django wraps each in a function that answers its exceptions."""
    while (behind := getattr(getattr(handler, "__wrapped__", None), "get_response", None)) is not None:
        handler = behind
    return handler
