"""Every route of the project, from the resolver, so that a new one is tried without anybody thinking of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver


def routes() -> list[tuple[str, URLPattern]]:
    """`(route as it is written, pattern)` of everything that can be asked for."""
    return list(_walk(get_resolver().url_patterns, ""))


def _walk(patterns: Sequence[Any], prefix: str) -> Iterator[tuple[str, URLPattern]]:
    for entry in patterns:
        route = f"{prefix}{entry.pattern}"
        if isinstance(entry, URLResolver):
            yield from _walk(entry.url_patterns, route)
        else:
            yield route, entry
