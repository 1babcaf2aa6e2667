"""Switches of the control surface that change how the stand-in behaves from now on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import API_VERSION
from .errors import Json

MOST_RETRIES = 20
MODES = ("normal", "hold", "duplicate", "reorder", "drop", "before_response")


CHOICES = {
    "lateChallenge": ("refuse", "succeed"),
    "afterLastRetry": ("cancel", "unpaid", "past_due"),
    "refundStatus": ("succeeded", "pending", "requires_action", "insufficient_funds"),
}


class BadControl(Exception):
    """A control request that can't be understood; answered 400 with this text."""


@dataclass(frozen=True, slots=True)
class Options:
    """`late_challenge`: what happens to a 3-D Secure challenge that is approved after its session expired."""

    tax_rate_percent: float = 0.0
    page_wait_seconds: float = 10.0
    late_challenge: str = "refuse"
    refund_status: str = "succeeded"
    api_version: str = API_VERSION
    webhook_timeout_seconds: float = 20.0
    bank_debit_settles_after_seconds: float | None = None
    # Eight attempts within two weeks, what Stripe recommends to shops; its own days are chosen by a model.
    invoice_retry_days: Sequence[float] = (1, 2, 2, 2, 2, 2, 3)
    after_last_retry: str = "cancel"


@dataclass(frozen=True, slots=True)
class DeliveryMode:
    """How events are handed to the webhook queue. `types` limits it, everything else is delivered normally."""

    mode: str = "normal"
    types: tuple[str, ...] = ()
    twin: bool = False
    seed: int = 0
    delay_seconds: float = 0.0

    def applies_to(self, event_type: str) -> str:
        return self.mode if not self.types or event_type in self.types else "normal"


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def as_json(values: Options | DeliveryMode) -> Json:
    return {camel(name): value for name, value in dataclasses.asdict(values).items()}


def from_json(current: Options, changes: Any) -> Options:
    """`current` with `changes` (camelCase) laid over it. Raises BadControl on unknown names and wrong values."""
    fields = {camel(f.name): f for f in dataclasses.fields(Options)}
    values: dict[str, Any] = {}
    for name, value in changes.items():
        field = fields.get(name)
        if field is None:
            raise BadControl(f"unknown option {name}; there are {', '.join(fields)}")
        values[field.name] = _option(name, value, field.default)
    return dataclasses.replace(current, **values)


def _option(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, str):
        allowed = CHOICES.get(name)
        if not isinstance(value, str) or (allowed and value not in allowed):
            raise BadControl(f"{name} must be {'one of ' + ', '.join(allowed) if allowed else 'a text'}")
        return value
    if isinstance(default, tuple):
        if not isinstance(value, list) or len(value) > MOST_RETRIES:
            raise BadControl(f"{name} must be a list of up to {MOST_RETRIES} numbers")
        return [number(item, name, high=60) for item in value]
    if value is None and default is None:
        return None
    return number(value, name, high=86_400)


def number(value: Any, name: str, *, low: float = 0, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadControl(f"{name} must be a number from {low} to {high}")
    return float(value)


def delivery_mode(values: Json) -> DeliveryMode:
    """Read `POST deliveries`. Raises BadControl."""
    unknown = set(values) - {"mode", "types", "twin", "seed", "delaySeconds"}
    if unknown:
        raise BadControl(f"unknown member {', '.join(sorted(unknown))}")
    mode, types, twin, seed = (
        values.get("mode"),
        values.get("types", []),
        values.get("twin", False),
        values.get("seed", 0),
    )
    if mode not in MODES:
        raise BadControl(f"mode must be one of {', '.join(MODES)}")
    if not isinstance(types, list) or not all(isinstance(item, str) for item in types):
        raise BadControl("types must be a list of event types")
    if not isinstance(twin, bool) or isinstance(seed, bool) or not isinstance(seed, int):
        raise BadControl("twin must be true or false, seed an integer")
    delay = number(values.get("delaySeconds", 0), "delaySeconds", high=86_400)
    return DeliveryMode(mode, tuple(types), twin, seed, delay)
