"""One unit of work: what a request or a payment reads, changes and announces, committed together or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import ids
from .errors import ApiError, Json, missing_object
from .store import Record

if TYPE_CHECKING:
    from .engine import Engine


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose objects are meant, by whose key. The page and the ticker have no request of the API behind them."""

    account: str
    platform: str
    request_id: str | None = None
    idempotency_key: str | None = None

    @property
    def connected(self) -> bool:
        return self.account != self.platform

    @classmethod
    def owner_of(cls, record: Record) -> Caller:
        return cls(account=record.account, platform=record.platform)


NOUNS = {
    "checkout.session": "checkout.session",
    "payment_intent": "payment_intent",
    "balance_transaction": "balance transaction",
    "payment_method": "PaymentMethod",
    "shipping_rate": "shipping rate",
    "tax_rate": "tax rate",
}


@dataclass(slots=True)
class Unit:
    engine: Engine
    caller: Caller
    now: int
    events: list[Record] = field(default_factory=list)
    inline: list[int] = field(default_factory=list)  # deliveries that must be sent before the answer is
    _seen: dict[tuple[str, str], Record] = field(default_factory=dict)

    def get(self, kind: str, object_id: str) -> Record | None:
        """The caller's object; every `get` of it within the unit returns the same record."""
        key = (kind, object_id)
        if key not in self._seen:
            record = self.engine.store.get(self.caller.account, kind, object_id)
            if record is None:
                return None
            self._seen[key] = record
        return self._seen[key]

    def need(self, kind: str, object_id: str, *, param: str | None = None) -> Record:
        """As `get`; a missing one is 404, or 400 naming `param` where the id was a parameter."""
        record = self.get(kind, object_id)
        if record is None:
            noun = NOUNS.get(kind, kind)
            raise missing_object(noun, object_id, param=param or "id", status=400 if param else 404)
        return record

    def add(self, kind: str, body: Json, *, hidden: Json | None = None, due_at: int | None = None) -> Record:
        """Store a new object of the caller's account."""
        record = Record(self.caller.account, self.caller.platform, kind, body, hidden or {}, due_at)
        self.save(record)
        return record

    def save(self, record: Record) -> None:
        self.engine.store.put(record)
        self._seen[(record.kind, record.id)] = record

    def remove(self, record: Record) -> None:
        self.engine.store.delete(record)
        self._seen.pop((record.kind, record.id), None)

    def select(self, kind: str, path: str, value: str) -> list[Record]:
        """The caller's objects whose member `path` has this value, oldest first."""
        where = f"account = ? AND kind = ? AND json_extract(body, '$.{path}') = ?"
        found = self.engine.store.select(where, (self.caller.account, kind, value), newest_first=False)
        return [self._seen.setdefault((kind, record.id), record) for record in found]

    def announce(self, event_type: str, record: Record, *, previous: Json | None = None) -> Record:
        """Make an event showing the object as it is now, and plan its deliveries."""
        event = self._event(event_type, record.body, previous)
        mode = self.engine.queue.mode
        if mode.twin and mode.applies_to(event_type) == "duplicate":
            self._event(event_type, record.body, previous)
        return event

    def _event(self, event_type: str, shown: Json, previous: Json | None) -> Record:
        data: Json = {"object": json.loads(json.dumps(shown))}
        if previous is not None:
            data["previous_attributes"] = previous
        body: Json = {
            "id": ids.new_id("evt"),
            "object": "event",
            "api_version": self.engine.options.api_version,
            "created": self.now,
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": self.caller.request_id, "idempotency_key": self.caller.idempotency_key},
            "type": event_type,
        }
        if self.caller.connected:
            body["account"] = self.caller.account
        event = Record(self.caller.account, self.caller.platform, "event", body)
        self.inline += self.engine.queue.plan_locked(event, inline=self.caller.request_id is not None)
        self.save(event)
        self.events.append(event)
        return event

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Undo everything that is done inside, events included; the clock of the unit too."""
        events, inline, now = len(self.events), len(self.inline), self.now
        self.engine.store.rehearse()
        try:
            yield
        finally:
            self.engine.store.undo_rehearsal()
            self._seen.clear()
            self.now = now
            del self.events[events:], self.inline[inline:]

    @contextmanager
    def undone_on_refusal(self) -> Iterator[None]:
        """Undo the changes made inside when it raises, unless the refusal says that they stay (a declined card)."""
        self.engine.store.mark()
        events, inline = len(self.events), len(self.inline)
        try:
            yield
        except Exception as exc:
            if not (isinstance(exc, ApiError) and exc.keeps_changes):
                self.engine.store.undo_to_mark()
                self._seen.clear()
                del self.events[events:], self.inline[inline:]
            raise
        finally:
            self.engine.store.unmark()
