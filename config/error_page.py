"""The page a person sees when a request fails.

Written here rather than as a template: it must come up when the database, the session or the static files don't. Its
one style sheet is inline and allowed by its hash, for this answer alone.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape

from django.http import HttpResponse

STYLE = (
    "body{font:1rem/1.6 system-ui,sans-serif;margin:0;color:#1f2937;background:#f9fafb}"
    "main{max-width:34rem;margin:18vh auto 0;padding:0 1.5rem}"
    "h1{font-size:1.5rem;line-height:1.25;margin:.25rem 0 .75rem}"
    "p{margin:.5rem 0}small,.status{color:#6b7280}a{color:#1d4ed8}"
    "@media(prefers-color-scheme:dark){body{color:#e5e7eb;background:#111827}small,.status{color:#9ca3af}a{color:#93c5fd}}"
)
STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def error_page(*, status: int, title: str, detail: str, request_id: str) -> HttpResponse:
    """A short page of its own, without anything else of the site; `request_id` is what support will ask for."""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f'<p class="status">{status}</p><h1>{escape(title)}</h1><p>{escape(detail)}</p>'
        f'<p><a href="/">Back to the start page</a></p><p><small>Request {escape(request_id)}</small></p>'
        "</main></body></html>"
    )
    response = HttpResponse(page, status=status)
    response["Content-Security-Policy"] = POLICY
    return response
