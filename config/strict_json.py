"""JSON as the contract means it: UTF-8, no duplicate keys, no NaN, nothing a database column couldn't hold."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import IO, Any

from django.http import UnreadablePostError
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from tenants.errors import TooLarge

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
LARGEST_INTEGER = 2**63 - 1


class StrictJSONParser(BaseParser):
    """Refuses what other parsers let pass silently, so that two readers of one body never see two different carts."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        _require_utf8_json(media_type or "")
        try:
            raw = stream.read(MAX_BYTES + 1)
        except UnreadablePostError as error:
            raise ParseError("The request body broke off.") from error
        if len(raw) > MAX_BYTES:
            raise TooLarge(f"The request body is over {MAX_BYTES} bytes.")
        return parse_strictly(raw)


def parse_strictly(raw: bytes) -> Any:
    """The value of a JSON text. Raises ParseError with a sentence that names the fault, never quoting the body."""
    try:
        text = raw.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise ParseError("The body is not valid UTF-8.") from error
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object_without_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_bounded,
        )
    except json.JSONDecodeError as error:
        raise ParseError(f"The body is not valid JSON (line {error.lineno}, column {error.colno}).") from error
    except RecursionError as error:
        raise ParseError(f"The body is nested deeper than {MAX_DEPTH} levels.") from error
    _check_tree(value, look_at_strings="\\u" in text)
    return value


def _require_utf8_json(content_type: str) -> None:
    essence, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charset = next((p.partition("=")[2].strip('"') for p in parameters if p.startswith("charset=")), "utf-8")
    # DRF would take application/* as well: a wildcard is for Accept, never for a body.
    if essence != "application/json" or charset not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType(content_type)


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ParseError("An object in the body has the same key twice.")
    return result


def _refuse_constant(name: str) -> None:
    raise ParseError(f"{name} is not a JSON number.")


def _finite(raw: str) -> float:
    # 1e999 is well-formed JSON and infinite: Python's parser lets it through without asking parse_constant.
    value = float(raw)
    if not math.isfinite(value):
        raise ParseError("A number in the body is out of range.")
    return value


def _bounded(raw: str) -> int:
    if len(raw) > 20 or abs(value := int(raw)) > LARGEST_INTEGER:
        raise ParseError("A number in the body is out of range.")
    return value


def _check_tree(value: Any, *, look_at_strings: bool) -> None:
    """Bounds the depth. Only an escape brings in NUL or half a surrogate pair, which PostgreSQL can't store."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        if look_at_strings:
            _check_strings(level)
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise ParseError(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return (*node.keys(), *node.values())
    return node if isinstance(node, list) else ()


def _check_strings(nodes: list[Any]) -> None:
    for node in nodes:
        if isinstance(node, str) and ("\0" in node or any("\ud800" <= char <= "\udfff" for char in node)):
            raise ParseError("A text in the body has a character that can't be stored.")


class AlwaysJSON(DefaultContentNegotiation):
    """JSON whatever `Accept` says: an API with one format has nothing to negotiate, and 406 helps nobody."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)
