"""The stand-in's heart: one lock, one store, one clock, and the rule that state changes only inside `run`."""

from __future__ import annotations

import dataclasses
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from .clock import Clock
from .deliveries import Queue
from .endpoints import Endpoint
from .faults import Faults
from .options import DeliveryMode, Options
from .settlement import Settlement
from .store import Record, Store
from .unit import Caller, Unit

T = TypeVar("T")
TICK_SECONDS = 0.5
RESET_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Ran(Generic[T]):
    """What a unit of work returned, and the events that it made."""

    value: T
    events: Sequence[Record]

    def event(self, *types: str) -> Record | None:
        return next((event for event in self.events if event.body["type"] in types), None)


class Engine:
    """Serialises every change. The lock is never held while a fault sleeps or a webhook is on its way."""

    def __init__(self, data: Path | None, default_endpoint: Endpoint | None) -> None:
        self.lock = threading.RLock()
        self.store = Store(data)
        self.base_url = ""
        self.options = Options()
        self.clock = Clock()
        self.faults = Faults()
        self.queue = Queue(self.store, self.lock, lambda: self.options)
        self._default_endpoint = default_endpoint
        self._lapse: dict[str, Callable[[Unit, Record], None]] = {}
        self._stopping = threading.Event()
        self._restore()

    def _restore(self) -> None:
        saved = self.store.setting
        self.clock.set_offset(float(saved("clock") or 0.0))
        self.options = Options(**(saved("options") or {}))
        mode = saved("mode") or {}
        self.queue.mode = DeliveryMode(**(mode | {"types": tuple(mode.get("types", ()))}))
        extra = [
            Endpoint(e["id"], e["url"], tuple(e["secrets"]), tuple(e["accounts"]), tuple(e["events"]))
            for e in saved("endpoints") or []
        ]
        self.queue.endpoints = [*([self._default_endpoint] if self._default_endpoint else []), *extra]
        self.settlements = {name: Settlement(**found) for name, found in (saved("settlements") or {}).items()}

    def on_due(self, kind: str, lapse: Callable[[Unit, Record], None]) -> None:
        """Say what happens to objects of this kind when the clock reaches their `due_at`."""
        self._lapse[kind] = lapse

    def start(self) -> None:
        self.queue.start()
        threading.Thread(target=self._tick, name="ticker", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self.queue.stop()
        with self.lock:
            self.store.settle()

    def run(self, caller: Caller, work: Callable[[Unit], T]) -> Ran[T]:
        """Run `work` as one committed unit; what the clock made due happens before it, as its own units."""
        with self.lock:
            self.lapse_due()
            with self.store.transaction():
                unit = Unit(self, caller, self.clock.now())
                value = work(unit)
            if unit.events:
                self.queue.wake(2 * len(unit.events))
        if unit.inline:
            self.queue.deliver_now(unit.inline)
        return Ran(value, tuple(unit.events))

    def lapse_due(self) -> int:
        """Do what the clock has reached, in its order and each at its own second: an hour after a renewal comes its
        invoice, although the clock went on by a year at once. Returns how many objects that were.
        """
        lapsed = 0
        with self.lock:
            while found := self.store.due(self.clock.now()):
                with self.store.transaction():
                    for record in found:
                        self._lapse_one(record)
                lapsed += len(found)
            if lapsed:
                self.queue.wake()
        return lapsed

    def _lapse_one(self, found: Record) -> None:
        assert found.due_at is not None
        unit = Unit(self, Caller.owner_of(found), found.due_at)
        record = unit.get(found.kind, found.id)
        # Another object of the same second may have changed this one already.
        if record is None or record.due_at != found.due_at:
            return
        record.due_at = None
        unit.save(record)
        try:
            with unit.undone_on_refusal():
                self._lapse[record.kind](unit, record)
        except Exception:
            # One object that can't go on must not stop the clock for all others; it is looked at no more.
            traceback.print_exc(file=sys.stderr)

    def _tick(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            with self.lock:
                if not self._stopping.is_set():
                    self.lapse_due()

    # Settings, kept so that a restarted stand-in goes on as it was told

    def advance_clock(self, seconds: float) -> None:
        with self.lock:
            self._keep("clock", self.clock.advance(seconds))
        self.lapse_due()

    def set_options(self, options: Options) -> None:
        with self.lock:
            self.options = options
            self._keep("options", dataclasses.asdict(options))

    def set_mode(self, mode: DeliveryMode) -> None:
        with self.lock:
            self.queue.mode = mode
            self._keep("mode", dataclasses.asdict(mode))

    def set_endpoints(self, extra: Sequence[Endpoint]) -> None:
        """Endpoints beside the one of the command line."""
        with self.lock:
            self._keep("endpoints", [dataclasses.asdict(endpoint) for endpoint in extra])
            self.queue.endpoints = [*([self._default_endpoint] if self._default_endpoint else []), *extra]

    def settle_in(self, settlement: Settlement) -> None:
        """From now on; what is booked stays as it is."""
        with self.lock:
            self.settlements[settlement.account] = settlement
            self._keep("settlements", {name: dataclasses.asdict(found) for name, found in self.settlements.items()})

    def convert(self, account: str, amount: int, currency: str) -> tuple[int, str, float | None]:
        """An amount as it reaches this account's balance, and at which rate; within a unit of work."""
        settlement = self.settlements.get(account)
        return settlement.convert(amount, currency) if settlement else (amount, currency, None)

    def _keep(self, name: str, value: object) -> None:
        with self.store.transaction():
            self.store.set_setting(name, value)

    def reset(self) -> None:
        """Forget everything: objects, results, deliveries, faults, options, clock.

        A delivery on its way is awaited, so that a receiver emptied afterwards sees nothing of the time before.
        """
        with self.lock:
            with self.store.transaction():
                self.store.wipe()
            self.faults.clear()
            self._restore()
        self.queue.quiet(RESET_SECONDS)
