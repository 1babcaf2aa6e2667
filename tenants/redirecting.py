"""Applies the redirect decision to every request that the front door let in; stands right behind it."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.module_loading import import_string

from tenants.errors import HoldfastError, NotFound, ShopExpired
from tenants.host_rows import HostEntry
from tenants.hosts import host_facts, mode_at, public_origin
from tenants.redirects import (
    Decision,
    HostFacts,
    Outcome,
    RequestFacts,
    decide,
    escape_target,
    locale_of,
    surely_served,
)


class Redirecting:
    """Middleware. Redirects, landing and expired pages; everything else goes on untouched."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.answer: Callable[[HttpRequest, HoldfastError], HttpResponse] = import_string(settings.PROBLEM_ANSWER)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        entry: HostEntry | None = getattr(request, "host_entry", None)
        if entry is None:
            return self.get_response(request)  # a probe, which names no host
        mode = entry.mode if entry.expires_at is None else mode_at(entry, timezone.now())
        if surely_served(request.path_info, request.META.get("QUERY_STRING", ""), role=entry.kind, mode=mode):
            return self.get_response(request)
        asked, host = request_facts(request), host_facts(entry, timezone.now())
        decision = decide(asked, host)
        match decision.outcome:
            case Outcome.SERVE:
                return self.get_response(request)
            case Outcome.REDIRECT:
                return redirection(decision)
            case Outcome.LANDING | Outcome.EXPIRED:
                return closed_page(request, decision, locale_of(asked, host), host)
            case Outcome.CLOSED:
                return self.answer(request, ShopExpired(decision.why))
            case Outcome.NOWHERE:
                return self.answer(request, NotFound("There is nothing at this address."))


def request_facts(request: HttpRequest) -> RequestFacts:
    return RequestFacts(
        method=request.method or "",
        target=_target(request),
        accept_language=request.META.get("HTTP_ACCEPT_LANGUAGE", ""),
    )


def _target(request: HttpRequest) -> str:
    """Path and query as they were sent, where the server tells (gunicorn does) and means the address being routed.

    The decoded path can't give `%2F` or the letter case of an escape back.
    """
    raw = request.META.get("RAW_URI", "")
    path, _, query = raw.partition("?")
    sent = unquote_to_bytes(path.encode("latin-1", "replace")).decode("utf-8", "replace"), query
    if sent == (request.path_info, request.META.get("QUERY_STRING", "")):
        return escape_target(raw)
    return escape_target(request.get_full_path())


def redirection(decision: Decision) -> HttpResponse:
    """The redirect, never kept unasked: a browser that remembered a 301 would follow it after the domain has moved."""
    response = HttpResponse(status=decision.status)
    response["Location"] = decision.location
    response["Cache-Control"] = "private, no-cache" if decision.by_language else "no-cache"
    if decision.by_language:
        patch_vary_headers(response, ["Accept-Language"])
    return response


def closed_page(request: HttpRequest, decision: Decision, locale: str, host: HostFacts) -> HttpResponse:
    """`landing.html` or `expired.html` in the reader's locale, without a link into a shop that isn't open here."""
    context = {
        "shop": vars(request)["shop"],
        "locale": locale,
        "root": public_origin(host.hostname) + "/",
        "elsewhere": host.canonical if host.canonical != public_origin(host.hostname) else "",
    }
    with translation.override(locale):
        response = render(request, f"storefront/{decision.outcome}.html", context, status=decision.status)
    response["Content-Language"] = locale
    response["Cache-Control"] = "private, no-cache"
    patch_vary_headers(response, ["Accept-Language"])
    return response
