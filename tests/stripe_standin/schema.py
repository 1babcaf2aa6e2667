"""Strict pydantic schemas made from the SDK's own typed parameters.

Which class types an endpoint's parameters is read from the SDK's service modules, so a new SDK brings its own rules.
A plain `TypeAdapter(SessionCreateParams)` is of no use: it isn't fully defined (names that exist for type checkers
only), and the SDK widens every enumeration to `Literal[...] | str`, so a removed value like ui_mode="hosted" passes.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import sys
import threading
import types
import typing
from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from typing import Any

import typing_extensions as te
from pydantic import BeforeValidator, ConfigDict, TypeAdapter
from stripe._request_options import RequestOptions
from stripe._stripe_object import StripeObject
from stripe._v1_services import _subservices as v1_services

# The SDK lets these be written among the parameters and then sends them as body fields; the API knows none of them.
OPTION_KEYS = frozenset(RequestOptions.__annotations__)

_building = threading.Lock()


def params_class(endpoint: str) -> Any:
    """`checkout.sessions.create` -> `SessionCreateParams`. Raises LookupError for what the SDK doesn't have."""
    *path, method = endpoint.split(".")
    services: dict[str, list[str]] = v1_services
    module: Any = None
    for name in path:
        if name not in services:
            raise LookupError(f"no service {name!r} on the way to {endpoint!r} in this SDK")
        module = import_module(services[name][0])
        services = getattr(module, "_subservices", {})
    tree = ast.parse(inspect.getsource(module))
    origin = {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == method:
            for argument in node.args.args:
                if argument.arg == "params" and argument.annotation is not None:
                    found = re.search(r"(\w+Params)\b", ast.unparse(argument.annotation))
                    if found:
                        return getattr(import_module(str(origin[found.group(1)])), found.group(1))
    raise LookupError(f"{endpoint!r} takes no parameters in this SDK")


@functools.lru_cache(None)
def _built(endpoint: str, wire: bool) -> TypeAdapter[Any]:
    return TypeAdapter(_typed_dict(params_class(endpoint), wire, {}))


def adapter(endpoint: str, *, wire: bool) -> TypeAdapter[Any]:
    """The endpoint's schema; with `wire` it reads numbers and booleans from the text that a form carries."""
    with _building:  # two first requests at once must not both spend the build time
        return _built(endpoint, wire)


def _read_int(value: object) -> object:
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?\d{1,30}", value) else value


def _read_bool(value: object) -> object:
    # The SDK writes booleans inside lists in Python's spelling.
    known = {"true": True, "false": False, "True": True, "False": False}
    return known.get(value, value) if isinstance(value, str) else value


def _read_decimal(value: object) -> object:
    return Decimal(value) if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value) else value


def _read_float(value: object) -> object:
    return float(value) if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value) else value


WIRE_READERS: dict[Any, Callable[[object], object]] = {int: _read_int, bool: _read_bool, float: _read_float}


def _strict(hint: Any, wire: bool, memo: dict[Any, Any]) -> Any:
    origin, arguments = te.get_origin(hint), te.get_args(hint)
    if te.is_typeddict(hint):
        return _typed_dict(hint, wire, memo)
    if origin is typing.Union or origin is types.UnionType:
        return _strict_union(arguments, wire, memo)
    if origin is list:
        return list[_strict(arguments[0], wire, memo)]  # type: ignore[misc]
    if origin is dict:
        return dict[str, _strict(arguments[1], wire, memo)]  # type: ignore[misc]
    if hint is Decimal:  # the SDK encodes str(Decimal); a numeric string is the same bytes
        return te.Annotated[Decimal, BeforeValidator(_read_decimal)]
    if wire and hint in WIRE_READERS:
        return te.Annotated[hint, BeforeValidator(WIRE_READERS[hint])]
    return hint


def _strict_union(members: tuple[Any, ...], wire: bool, memo: dict[Any, Any]) -> Any:
    """Drop the members that only widen: SDK objects, and the `str` beside an enumeration (but not beside `""`)."""
    kept = [member for member in members if not _is_sdk_object(member)]
    if any(te.get_origin(m) is te.Literal and any(value != "" for value in te.get_args(m)) for m in kept):
        kept = [member for member in kept if member is not str]
    return typing.Union[tuple(_strict(member, wire, memo) for member in kept)]  # noqa: UP007


def _is_sdk_object(hint: Any) -> bool:
    candidate = te.get_origin(hint) or hint
    return inspect.isclass(candidate) and issubclass(candidate, StripeObject)


def _typed_dict(cls: Any, wire: bool, memo: dict[Any, Any]) -> Any:
    if cls not in memo:
        # Inherited RequestOptions annotations name types that are imported for type checkers only.
        names = {"StripeContext": str, **vars(typing), **vars(sys.modules[cls.__module__])}
        hints = te.get_type_hints(cls, globalns=names, include_extras=True)
        dropped = OPTION_KEYS if _extends(cls, RequestOptions) else frozenset()
        fields: dict[str, Any] = {}
        for name, hint in hints.items():
            if name in dropped:
                continue
            wrapper: Any = te.get_origin(hint)
            wrapped = wrapper is te.NotRequired or wrapper is te.Required
            inner = _strict(te.get_args(hint)[0] if wrapped else hint, wire, memo)
            fields[name] = inner if name in cls.__required_keys__ else te.NotRequired[inner]
        make: Any = te.TypedDict  # called, not declared: the fields are known at run time only
        strict = make(cls.__name__, fields)
        strict.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
        memo[cls] = strict
    return memo[cls]


def _extends(cls: Any, base: Any) -> bool:
    """Whether a TypedDict inherits from another: they leave no trace in the MRO, only in `__orig_bases__`."""
    return any(b is base or _extends(b, base) for b in getattr(cls, "__orig_bases__", ()) if b is not cls)
