"""The webhook queue: kept in the store, emptied by threads, retried until it is answered with 2xx.

Deliveries run on the machine's real time, signatures too: moving the stand-in's clock by a day must not make a
receiver refuse a signature as too old.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from . import endpoints, transport
from .endpoints import Endpoint
from .errors import Json
from .options import DeliveryMode, Options
from .store import Record, Store

WORKERS = 16
MAX_TRIES = 12
MAX_BACKOFF = 60.0
COLUMNS = "id, event, type, account, endpoint, state, tries"


@dataclass(frozen=True, slots=True)
class Delivery:
    id: int
    event: str
    type: str
    account: str
    endpoint: str
    state: str
    tries: int


def backoff(tries: int) -> float:
    """Seconds until the next try after `tries` failed ones: 1, 2, 4 ... 60."""
    return float(min(MAX_BACKOFF, 2 ** (tries - 1)))


class Queue:
    """Methods named `*_locked` expect the engine's lock (and, for writes, its transaction); the others take it."""

    def __init__(self, store: Store, lock: threading.RLock, options: Callable[[], Options]) -> None:
        self.endpoints: list[Endpoint] = []
        self.mode = DeliveryMode()
        self._store = store
        self._lock = lock
        self._options = options
        self._wakeup = threading.Condition(lock)
        self._answered: dict[str, threading.Event] = {}
        self._on_the_way = 0
        self._stopping = False

    # Life

    def start(self) -> None:
        with self._lock, self._store.transaction():
            # A killed process may have been answered or not; Stripe would send again as well.
            self._store.db.execute("UPDATE deliveries SET state = 'pending' WHERE state = 'sending'")
        for number in range(WORKERS):
            threading.Thread(target=self._work, name=f"webhook-{number}", daemon=True).start()

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
            self._wakeup.notify_all()

    def wake(self, workers: int = WORKERS) -> None:
        """As many as there is work for: all of them looking for one delivery costs more than the delivery."""
        with self._lock:
            self._wakeup.notify(workers)

    def quiet(self, seconds: float) -> bool:
        """After the tables were emptied: let go of who waits, and wait until nothing old is on its way any more."""
        with self._lock:
            for signal in self._answered.values():
                signal.set()
        until = time.monotonic() + seconds
        while self._on_the_way and time.monotonic() < until:
            time.sleep(0.01)
        return not self._on_the_way

    # Planning

    def plan_locked(self, event: Record, *, inline: bool) -> list[int]:
        """Write the deliveries of a new event. Returns those that the caller itself must send before it answers."""
        kind = str(event.body["type"])
        mode = self.mode.applies_to(kind)
        wanted = endpoints.interested(self.endpoints, account=event.account, event_type=kind)
        now_for_caller = mode == "before_response" and inline
        state = {"hold": "held", "reorder": "held", "drop": "dropped"}.get(mode, "pending")
        rows = [
            self._insert(event, endpoint, "sending" if now_for_caller else state)
            for endpoint in wanted
            for _ in range(2 if mode == "duplicate" else 1)
        ]
        event.body["pending_webhooks"] = len(wanted)
        return rows if now_for_caller else []

    def _insert(self, event: Record, endpoint: Endpoint, state: str) -> int:
        cursor = self._store.db.execute(
            "INSERT INTO deliveries (event, type, account, endpoint, state, tries, next_at)"
            " VALUES (?, ?, ?, ?, ?, 0, ?)",
            (event.id, event.body["type"], event.account, endpoint.id, state, time.time() + self.mode.delay_seconds),
        )
        return int(cursor.lastrowid or 0)

    # Sending

    def deliver_now(self, ids: Iterable[int]) -> list[Json]:
        """Send these deliveries one after the other, in this order, and wait for each answer."""
        done: list[Json] = []
        for delivery_id in ids:
            with self._lock, self._store.transaction():
                sql = f"UPDATE deliveries SET state = 'sending' WHERE id = ? RETURNING {COLUMNS}"
                found = self._store.db.execute(sql, (delivery_id,)).fetchall()
            for row in found:
                answer = self._send(Delivery(*row))
                done.append({"delivery": delivery_id, "event": row[1], "type": row[2], "status": answer.status})
        return done

    def flush(self, *, order: str, seed: int, wait: bool) -> list[Json]:
        """Send what is held: `fifo`, `reverse` or `random` by seed. Without `wait` the workers do it, in any order."""
        with self._lock, self._store.transaction():
            sql = "SELECT id FROM deliveries WHERE state = 'held' ORDER BY id"
            held = [int(row[0]) for row in self._store.db.execute(sql)]
            state = "sending" if wait else "pending"
            self._store.db.execute("UPDATE deliveries SET state = ? WHERE state = 'held'", (state,))
        ordered = arrange(held, order=order, seed=seed)
        if wait:
            return self.deliver_now(ordered)
        self.wake()
        return [{"delivery": delivery_id} for delivery_id in ordered]

    def redeliver(self, event: Record) -> list[Json]:
        """Send an event again at once, whatever the delivery mode says."""
        wanted = endpoints.interested(self.endpoints, account=event.account, event_type=event.body["type"])
        with self._lock, self._store.transaction():
            ids = [self._insert(event, endpoint, "sending") for endpoint in wanted]
        return self.deliver_now(ids)

    def wait_answered(self, event_id: str, timeout: float) -> bool:
        """Wait until some try of the event was answered, or failed; False when `timeout` seconds pass first."""
        signal = threading.Event()
        with self._lock:
            sql = "SELECT tries, state FROM deliveries WHERE event = ? AND state IN ('pending', 'sending')"
            if not any(tries == 0 for tries, _ in self._store.db.execute(sql, (event_id,)).fetchall()):
                return True
            signal = self._answered.setdefault(event_id, signal)
        answered = signal.wait(timeout)
        with self._lock:
            self._answered.pop(event_id, None)
        return answered

    def _work(self) -> None:
        while True:
            delivery = self._claim()
            if delivery is None:
                return
            self._send(delivery)

    def _claim(self) -> Delivery | None:
        """The next delivery that is due; blocks until there is one, None when the queue stops."""
        with self._lock:
            while not self._stopping:
                found = self._store.db.execute(
                    "UPDATE deliveries SET state = 'sending' WHERE id = (SELECT id FROM deliveries"
                    " WHERE state = 'pending' AND next_at <= ? ORDER BY next_at, id LIMIT 1)"
                    f" RETURNING {COLUMNS}",
                    (time.time(),),
                ).fetchall()
                if found:
                    return Delivery(*found[0])
                self._wakeup.wait(self._until_next_due())
            return None

    def _until_next_due(self) -> float:
        sql = "SELECT MIN(next_at) FROM deliveries WHERE state = 'pending'"
        due = self._store.db.execute(sql).fetchone()[0]
        return 5.0 if due is None else min(5.0, max(0.01, due - time.time()))

    def _send(self, delivery: Delivery) -> transport.Answer:
        with self._lock:
            event = self._store.get(delivery.account, "event", delivery.event)
            endpoint = next((e for e in self.endpoints if e.id == delivery.endpoint), None)
            options = self._options()
            self._on_the_way += 1
        if event is None or endpoint is None:
            answer = transport.Answer(None, "the event or its endpoint is gone", 0.0)
        else:
            shown = event.body | {"api_version": options.api_version}
            payload = json.dumps(shown, separators=(",", ":"), ensure_ascii=False).encode()
            headers = {
                "Content-Type": "application/json; charset=utf-8",
                "User-Agent": "Stripe/1.0 (stand-in)",
                "Stripe-Signature": endpoints.signature(payload, endpoint.secrets, int(time.time())),
            }
            answer = transport.post(endpoint.url, payload, headers, options.webhook_timeout_seconds)
        self._record(delivery, answer)
        return answer

    def _record(self, delivery: Delivery, answer: transport.Answer) -> None:
        tries = delivery.tries + 1
        state = "delivered" if answer.delivered else ("failed" if tries >= MAX_TRIES else "pending")
        with self._lock, self._store.transaction():
            db = self._store.db
            changed = db.execute(
                "UPDATE deliveries SET state = ?, tries = ?, next_at = ? WHERE id = ?",
                (state, tries, time.time() + backoff(tries), delivery.id),
            )
            if changed.rowcount:  # a reset may have emptied the tables meanwhile
                row = (delivery.id, time.time(), answer.status, answer.error, round(answer.seconds, 4))
                db.execute("INSERT INTO tries (delivery, at, status, error, seconds) VALUES (?, ?, ?, ?, ?)", row)
                if answer.delivered:
                    self._count_pending(delivery)
            signal = self._answered.get(delivery.event)
            self._on_the_way -= 1
            self._wakeup.notify()
        if signal:
            signal.set()

    def _count_pending(self, delivery: Delivery) -> None:
        event = self._store.get(delivery.account, "event", delivery.event)
        if event is None:
            return
        sql = "SELECT endpoint, MAX(state = 'delivered') FROM deliveries WHERE event = ? GROUP BY endpoint"
        rows = self._store.db.execute(sql, (delivery.event,)).fetchall()
        event.body["pending_webhooks"] = sum(1 for _, delivered in rows if not delivered)
        self._store.put(event)

    def report(self, *, limit: int = 1_000) -> list[Json]:
        """The newest deliveries, oldest first, with every try."""
        with self._lock:
            sql = f"SELECT {COLUMNS} FROM deliveries ORDER BY id DESC LIMIT ?"
            found = [Delivery(*row) for row in self._store.db.execute(sql, (limit,)).fetchall()]
            return [self._report_locked(delivery) for delivery in reversed(found)]

    def _report_locked(self, delivery: Delivery) -> Json:
        sql = "SELECT at, status, error, seconds FROM tries WHERE delivery = ? ORDER BY id"
        tries = [
            {"at": at, "status": status, "error": error, "seconds": seconds}
            for at, status, error, seconds in self._store.db.execute(sql, (delivery.id,)).fetchall()
        ]
        return {
            "id": delivery.id,
            "event": delivery.event,
            "type": delivery.type,
            "account": delivery.account,
            "endpoint": delivery.endpoint,
            "state": delivery.state,
            "tries": tries,
        }


def arrange(ids: Sequence[int], *, order: str, seed: int) -> list[int]:
    """`random` is the same for the same seed and, from two deliveries on, never the order they were made in."""
    if order == "reverse":
        return list(reversed(ids))
    if order == "fifo":
        return list(ids)
    shuffled = list(ids)
    random.Random(seed).shuffle(shuffled)
    return shuffled if shuffled != list(ids) else [*shuffled[1:], *shuffled[:1]]
