"""An event as received: read strictly, or refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from commerce.gateway.signatures import Signer
from tenants.storable import storable
from webhooks.errors import SignatureRefused

ACCOUNT = re.compile(r"acct_[A-Za-z0-9_]{1,59}\Z")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What every event carries, and its object as it was when the event was made. `account` is the verified one,
    empty under a connect endpoint's secret where the event names none.
    """

    event_id: str
    type: str
    account: str
    livemode: bool
    api_version: str
    created_at: datetime
    object: Mapping[str, Any]
    payload: Mapping[str, Any]
    written: str = ""
    """The payload as text that PostgreSQL takes; empty for an event that was stored before."""

    @property
    def object_id(self) -> str:
        return str(self.object.get("id") or "")


def claimed_account(payload: Mapping[str, Any]) -> str:
    """The event's top-level `account`; empty where there is none or it is no account's id."""
    named = payload.get("account")
    return named if isinstance(named, str) and ACCOUNT.match(named) else ""


def read_envelope(body: bytes, *, signer: Signer) -> Envelope:
    """The event in a body that `signer` signed. Raises SignatureRefused for anything but a snapshot."""
    try:
        payload, written = _payload(body.decode())
        event_object = payload["data"]["object"]
        if not isinstance(event_object, dict) or not isinstance(payload["livemode"], bool):
            raise TypeError("not a snapshot event")
        return Envelope(
            event_id=_text(payload["id"], 255),
            type=_text(payload["type"], 80),
            account=signer.scope_of(claimed_account(payload)).account,
            livemode=payload["livemode"],
            api_version=str(payload.get("api_version") or "")[:40],
            created_at=datetime.fromtimestamp(int(payload["created"]), UTC),
            object=event_object,
            payload=payload,
            written=written,
        )
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise SignatureRefused("The body is not an event.") from error


def _payload(text: str) -> tuple[Any, str]:
    """The body's value, and a text of it that PostgreSQL takes: the body itself, unless there is something in it that
    means more here than there. Only an escape brings in what a text column can't hold, and only a fraction or an
    exponent a number that is out of range there. Raises ValueError for NaN and for what overflows to infinity.
    """
    fractions: list[str] = []

    def fraction(raw: str) -> Any:
        fractions.append(raw)
        return json.loads(raw)

    payload = json.loads(text, parse_float=fraction, parse_constant=_refuse_constant)
    if not fractions and "\\u" not in text:
        return payload, text
    payload = storable(payload)
    return payload, json.dumps(payload, allow_nan=False)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number.")


def _text(value: object, longest: int) -> str:
    # Stripe's ids and types are ASCII; a replaced character would make two of them one.
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isascii():
        raise TypeError("not an id")
    return value
