"""Shape of input, once: a parsed JSON body becomes a frozen, typed value or a 400 that names the field."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from rest_framework.request import Request

from tenants.errors import InvalidRequest

T = TypeVar("T")


def read_input(request: Request, kind: type[T]) -> T:
    """The request's JSON body as `kind`, a msgspec struct declared with `forbid_unknown_fields`.

    Raises InvalidRequest with the offending path in `fields`; the parser has refused NaN and duplicate keys before.
    """
    return convert_input(request.data, kind)


def convert_input(data: object, kind: type[T]) -> T:
    """`data` as `kind`, strictly: no coercion between types. Raises InvalidRequest."""
    try:
        return msgspec.convert(data, kind, strict=True)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        field = path.rstrip("`").lstrip(".") or "body"
        raise InvalidRequest("The request body is not valid.", {field: [message]}) from error
