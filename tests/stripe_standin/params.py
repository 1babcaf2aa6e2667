"""The request check: may these parameters be sent to this endpoint?

Two layers: the shape, from the SDK's typed parameters (`schema.py`), then the limits and cross-field rules that the
documentation has and the types don't (`semantics.py`). A refused request was never executed and is never remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from . import schema, semantics
from .errors import ApiError, Json


@dataclass(frozen=True, slots=True)
class Problem:
    """`param` in Stripe's spelling, `line_items[0][price_data][currency]`."""

    param: str
    code: str
    message: str

    def as_error(self) -> ApiError:
        return ApiError(400, self.message, param=self.param, code=self.code)


CODES = {
    "missing": "parameter_missing",
    "extra_forbidden": "parameter_unknown",
    "int_type": "parameter_invalid_integer",
    "int_from_float": "parameter_invalid_integer",
}


def check(endpoint: str, params: Json, *, now: int, wire: bool = False) -> list[Problem]:
    """Problems of `params` for an SDK endpoint such as `checkout.sessions.create`; none means it may be executed."""
    return _read(endpoint, params, now=now, wire=wire)[1]


def read_form(endpoint: str, params: Json, *, now: int) -> Json:
    """A decoded form with its numbers and booleans as such. Raises ApiError(400) with the first problem.

    Unknown names come first: they are what a caller should read.
    """
    values, problems = _read(endpoint, params, now=now, wire=True)
    if problems:
        raise min(problems, key=lambda problem: problem.code != "parameter_unknown").as_error()
    return values


def _read(endpoint: str, params: Json, *, now: int, wire: bool) -> tuple[Json, list[Problem]]:
    problems = [
        Problem(key, "parameter_unknown", f"Received unknown parameter: {key}. It is an option of the client.")
        for key in sorted(schema.OPTION_KEYS & set(params))
    ]
    body = {key: value for key, value in params.items() if key not in schema.OPTION_KEYS}
    if not wire:
        body = _without_none(body)  # the SDK never sends these, at any depth
    try:
        values: Json = schema.adapter(endpoint, wire=wire).validate_python(body)
    except ValidationError as exc:
        return {}, problems + _shape_problems(endpoint, body, exc)
    if problems:
        return {}, problems
    return values, [Problem(*found) for found in semantics.findings(endpoint, values, now)]


def _shape_problems(endpoint: str, body: Json, exc: ValidationError) -> list[Problem]:
    grouped: dict[str, list[tuple[Any, Any]]] = {}
    for error in exc.errors(include_url=False):
        path, value = _locate(error["loc"], body, missing=error["type"] == "missing")
        grouped.setdefault(path, []).append((error, value))
    # One wrong value fails in every branch of a union; only the deepest place says something.
    deepest = [path for path in grouped if not any(o != path and o.startswith(path + "[") for o in grouped)]
    return [_shape_problem(endpoint, path, grouped[path]) for path in deepest]


def _shape_problem(endpoint: str, path: str, errors: list[tuple[Any, Any]]) -> Problem:
    telling = ("missing", "extra_forbidden", "literal_error")
    error, value = next(((e, v) for kind in telling for e, v in errors if e["type"] == kind), errors[0])
    kind = error["type"]
    if path == "payment_method_types" and endpoint.split(".")[0] in ("payment_intents", "setup_intents"):
        message = f"{path} can no longer be sent; filter with allowed_payment_method_types instead."
        return Problem(path, "payment_method_types_no_longer_supported", message)
    code = CODES.get(kind, "parameter_invalid")
    if kind == "extra_forbidden":
        return Problem(path, code, f"Received unknown parameter: {path}")
    if kind == "missing":
        return Problem(path, code, f"Missing required param: {path}.")
    if kind == "literal_error":
        return Problem(path, code, f"Invalid {path}: must be one of {error['ctx']['expected']}, was {value!r}")
    if kind == "int_type":
        return Problem(path, code, f"Invalid integer: {value!r} ({path})")
    if value == "":
        return Problem(path, "parameter_invalid_empty", f"Invalid {path}: an empty value can't be sent here")
    hints = "; ".join(dict.fromkeys(str(e["msg"]) for e, _ in errors))
    return Problem(path, code, f"Invalid {path}: {value!r}. {hints}")


def _locate(location: tuple[int | str, ...], params: Any, *, missing: bool) -> tuple[str, Any]:
    """pydantic's location as Stripe's bracket path, and the value there.

    Union branches leave labels of their own in the location; walking the data itself tells them apart.
    """
    path, current = "", params
    for depth, part in enumerate(location):
        if isinstance(part, int) and isinstance(current, list) and part < len(current):
            path, current = f"{path}[{part}]", current[part]
        elif isinstance(part, str) and isinstance(current, dict):
            absent = missing and depth == len(location) - 1
            if part in current or absent:
                path, current = (f"{path}[{part}]" if path else part), current.get(part)
    return path, current


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value
