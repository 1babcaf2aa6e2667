"""Form bodies and query strings in Stripe's bracket notation, read back into nested values."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from .errors import Json, bad_request

# Deeper or wider than any of Stripe's own parameters; a bound keeps hostile nesting out of the recursion below.
MAX_DEPTH = 12
MAX_FIELDS = 5_000
# Maps whose keys are the caller's: `metadata[0]` is a key "0", not the first element of a list.
FREE_KEYS = frozenset({"metadata", "currency_options"})


def decode_form(raw: str | bytes) -> Json:
    """`a[b][0][c]=1` -> `{"a": {"b": [{"c": "1"}]}}`; values stay text. Raises ApiError(400) on contradictions."""
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except (UnicodeDecodeError, ValueError) as exc:
        raise bad_request(f"The request body is not a readable form: {exc}") from None
    root: Json = {}
    for key, value in pairs:
        _place(root, key, value)
    return {name: _with_lists(value, name) for name, value in root.items()}


def _place(root: Json, key: str, value: str) -> None:
    parts = [key.split("[", 1)[0], *re.findall(r"\[([^\]]*)\]", key)]
    if len(parts) > MAX_DEPTH:
        raise bad_request(f"Invalid parameter name: {key[:80]} is nested too deeply", param=key[:80])
    current = root
    for part in parts[:-1]:
        below = current.setdefault(part or str(len(current)), {})
        if not isinstance(below, dict):
            raise bad_request(f"Invalid object: {key} is sent both as a value and as a map", param=parts[0])
        current = below
    last = parts[-1] or str(len(current))
    if isinstance(current.get(last), dict):
        raise bad_request(f"Invalid object: {key} is sent both as a value and as a map", param=parts[0])
    current[last] = value


def _with_lists(value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _with_lists(item, key) for key, item in value.items()}
    if inner and name not in FREE_KEYS and all(key.isdecimal() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner
