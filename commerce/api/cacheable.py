"""Public documents that may be kept for a moment, and are asked for again by their ETag."""

from __future__ import annotations

import hashlib

import msgspec
from django.http import HttpResponse


def cacheable(document: object, *, if_none_match: str, seconds: int) -> HttpResponse:
    """`document` as JSON with an ETag, or 304 where `if_none_match` has it. Anybody may keep it for `seconds`."""
    body = msgspec.json.encode(document)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    response = HttpResponse(content_type="application/json", status=200)
    if _matches(if_none_match, etag):
        response = HttpResponse(status=304)
        del response["Content-Type"]
    else:
        response.content = body
    response["ETag"] = etag
    response["Cache-Control"] = f"public, max-age={seconds}"
    return response


def _matches(header: str, etag: str) -> bool:
    """RFC 9110, section 13.1.2: weak comparison with any tag of the list, or `*`."""
    return header.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in header.split(","))
