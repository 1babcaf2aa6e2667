"""Endpoints through the product's whole stack, beside an empty view on the same server.

Each case takes turns with the empty view, and with the same endpoint on a second server whose statements run as the
tables' owner, whom no policy binds: what row-level security costs a request is the difference of those two. A
checkout's session is made by a Stripe that takes no time (instant_stripe.py), each time for a new customer; events
come as Stripe sends them (events.py). Beside the rates stands the server's own CPU time per request, which others' work
disturbs less; PostgreSQL's isn't in it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median
from typing import Final

from django.utils import timezone

from config.bench import AS_OWNER, CPU_SECONDS, instant_stripe
from config.bench.events import SECRET as SIGNING_SECRET
from config.bench.events import Requests, handled_events, stored_events
from config.bench.hold_callers import Took
from config.bench.hold_stage import PAST, SHOP_ID, catalog, stage
from config.bench.report import Row, percentile
from config.bench.serving import connected, serving
from tenants.models import Host, ServiceToken
from tenants.service_tokens import PREFIX, secret_digest

HOSTNAME: Final = "bench-holds.localhost"
HOOKS: Final = "bench-hooks.localhost"
EMPTY: Final = "empty_view"
AS_OWNER_CASE: Final = "_as_owner"
TOKEN_ID: Final = "be0c" * 4
SECRET: Final = "bench" * 8 + "ing"
TOKEN: Final = f"{PREFIX}{TOKEN_ID}_{SECRET}"
ANOTHER: Final = b"f" * 32
"""Stands in a request for what has to be another one each time: as long, so that its length stays what it says."""
CALLERS: Final = (1, 8)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A request that is repeated as it is. An endpoint more is a row more in ENDPOINTS.

    `body` goes along as JSON, `lines` says how many a cart in it has; `by_token`: the caller holds a service token;
    `by_key`: it sends an idempotency key, another one each time.
    """

    case: str
    method: str
    path: str
    body: object = None
    lines: int = 0
    by_token: bool = False
    by_key: bool = False

    def before(self, port: int, wanted: int) -> None:
        """Nothing has to be there before it is asked."""

    def requests(self, *, empty: bool) -> Requests:
        request = self.request(empty=empty)
        return lambda: request.replace(ANOTHER, uuid.uuid4().hex.encode())

    def request(self, *, empty: bool) -> bytes:
        body = b"" if self.body is None else json.dumps(self.body).encode()
        head = [f"{self.method} {self.path} HTTP/1.1", f"Host: {HOSTNAME}", "Accept: */*"]
        if body:
            head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        if self.by_token:
            head.append(f"Authorization: Bearer {TOKEN}")
        if self.by_key:
            head.append(f"Idempotency-Key: {ANOTHER.decode()}")
        if empty:
            head.append(f"X-Bench: {EMPTY}")
        return "\r\n".join([*head, "", ""]).encode() + body


def _items(count: int) -> dict[str, object]:
    return {"items": [{"sku": f"bench-{number}", "quantity": 1} for number in range(1, count + 1)]}


ARTICLES: Final = 30
"""Sold by the events' checkouts in turn: buyers of one alone would wait for each other's commits."""


def _checkout(items: dict[str, object], lines: int = 1) -> Endpoint:
    return Endpoint("checkout", "POST", "/api/checkout-session", items, lines=lines, by_key=True)


BUYERS: Final = tuple(
    _checkout({"items": [{"sku": f"bench-{number}", "quantity": 1}]}) for number in range(1, ARTICLES + 1)
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Events at the webhook. `settles`: of checkouts that were begun before; else of a type that nothing handles."""

    case: str
    settles: bool = False
    lines: int = 0
    sessions: deque[str] = field(default_factory=deque)
    buyers: Iterator[Requests] = field(
        default_factory=lambda: itertools.cycle([buyer.requests(empty=False) for buyer in BUYERS])
    )

    def before(self, port: int, wanted: int) -> None:
        """Begins as many checkouts as a turn may settle, by the product's own endpoint."""
        if not self.settles or len(self.sessions) >= wanted:
            return
        with connected(port) as connection:
            while len(self.sessions) < wanted:
                begun = json.loads(_answer(connection, next(self.buyers)() or b""))
                self.sessions.append(begun["sessionId"])

    def requests(self, *, empty: bool) -> Requests:
        if self.settles:
            return handled_events(HOOKS, self.sessions, empty=empty)
        return stored_events(HOOKS, empty=empty)


ENDPOINTS: Final = (
    Endpoint("hold", "POST", "/api/inventory/holds", _items(1), lines=1, by_token=True),
    Endpoint("hold", "POST", "/api/inventory/holds", _items(3), lines=3, by_token=True),
    Endpoint("validate", "POST", "/api/inventory/validate", _items(3), lines=3, by_token=True),
    Endpoint("availability", "GET", "/api/inventory/availability?sku=bench-1&sku=bench-2&sku=bench-3"),
    Endpoint("cart", "GET", "/api/cart"),
    _checkout(_items(1)),
    _checkout(_items(3), lines=3),
    Delivery("webhook"),
    Delivery("webhook_handled", settles=True, lines=1),
)
CASES: Final = tuple(dict.fromkeys(endpoint.case for endpoint in ENDPOINTS))


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: about two minutes as it is. `checkouts`: how many a turn of the webhook may settle;
    `warming`: rounds that don't count.
    """

    rounds: int = 12
    warming: int = 1
    callers: Sequence[int] = CALLERS
    turn_seconds: float = 0.2
    skus: int = 999
    past: int = PAST
    checkouts: int = 60


MEASURED: Final = {
    "STRIPE_API_BASE": instant_stripe.BASE,
    "STRIPE_WEBHOOK_SECRETS": SIGNING_SECRET,
    "CHECKOUT_RATE_LIMIT_ENABLED": "false",
    "INVENTORY_LOCK_TIMEOUT_MS": "5000",
}
"""The servers' surroundings: none of it asks too often, and none is busy where others' work keeps a lock for long."""


def chosen(only: Collection[str]) -> list[Endpoint | Delivery]:
    """The endpoints of the cases in `only`, in the order of all."""
    return [endpoint for endpoint in ENDPOINTS if endpoint.case in only]


def run(size: Size | None = None, *, only: Collection[str] = CASES) -> list[Row]:
    """The rows of the cases in `only`. Raises RuntimeError when a server doesn't start or answers something else than a
    success.
    """
    size = size or Size()
    with (
        stage(skus=size.skus, past=size.past),
        catalog(skus=ARTICLES),
        _door(),
        serving("config.bench.http_server:application", **MEASURED) as product,
        serving("config.bench.http_server:application", **MEASURED, **{AS_OWNER: "1"}) as as_owner,
    ):
        return [
            row
            for callers in size.callers
            for endpoint in chosen(only)
            for row in _case(endpoint, callers, product=product, as_owner=as_owner, size=size)
        ]


def _case(endpoint: Endpoint | Delivery, callers: int, *, product: int, as_owner: int, size: Size) -> list[Row]:
    asked = {
        EMPTY: (product, endpoint.requests(empty=True)),
        endpoint.case: (product, endpoint.requests(empty=False)),
        endpoint.case + AS_OWNER_CASE: (as_owner, endpoint.requests(empty=False)),
    }
    turns: dict[str, list[Took]] = {case: [] for case in asked}
    cpu: dict[str, list[float]] = {case: [] for case in asked}
    for number in range(size.warming + size.rounds):
        for case, (port, following) in asked.items():
            if case != EMPTY:
                endpoint.before(product, size.checkouts)
            spent = _cpu_seconds(port)
            took = _turn(port, following, callers, size.turn_seconds)
            if number >= size.warming:
                turns[case].append(took)
                cpu[case].append((_cpu_seconds(port) - spent) / max(1, took.placed))
    rates = {case: [took.placed / took.seconds for took in taken] for case, taken in turns.items()}
    rows = []
    for case, taken in turns.items():
        times = sorted(second for took in taken for second in took.times)
        rows.append(
            Row(
                case=case,
                callers=callers,
                lines=endpoint.lines,
                per_second=median(rates[case]),
                # Of turns side by side: a slow moment slows both.
                ratio_to_floor=median(mine / floor for mine, floor in zip(rates[case], rates[EMPTY], strict=True)),
                p50_ms=percentile(times, 0.50) * 1000,
                p95_ms=percentile(times, 0.95) * 1000,
                p99_ms=percentile(times, 0.99) * 1000,
                cpu_ms=median(cpu[case]) * 1000,
                cpu_ratio_to_floor=median(floor / mine for mine, floor in zip(cpu[case], cpu[EMPTY], strict=True)),
            )
        )
    return rows


def _turn(port: int, following: Requests, callers: int, seconds: float) -> Took:
    """`callers` that ask without a pause, each on a connection that it keeps."""
    times: list[float] = []
    failures: list[BaseException] = []

    def caller() -> None:
        try:
            with connected(port) as connection:
                over = time.perf_counter() + seconds
                while time.perf_counter() < over and (request := following()) is not None:
                    asked = time.perf_counter()
                    _answer(connection, request)
                    times.append(time.perf_counter() - asked)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=caller) for _ in range(callers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError("The server failed.") from failures[0]
    return Took(placed=len(times), seconds=time.perf_counter() - began, times=times)


def _cpu_seconds(port: int) -> float:
    """What the server's process has spent so far."""
    asked = f"GET / HTTP/1.1\r\nHost: {HOSTNAME}\r\nX-Bench: {CPU_SECONDS}\r\n\r\n".encode()
    with connected(port) as connection:
        connection.sendall(asked)
        head = connection.recv(65536).decode()
    return float(head.partition(f"{CPU_SECONDS}: ")[2].partition("\r\n")[0])


def _answer(connection: socket.socket, request: bytes) -> bytes:
    """Reads one whole answer; its body. Raises RuntimeError when it is no success, or of no known length."""
    connection.sendall(request)
    answer = connection.recv(65536)
    while b"\r\n\r\n" not in answer:
        answer += _more(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 2"):
        raise RuntimeError(f"{head.partition(bytes([13]))[0].decode()}: {body[:300].decode(errors='replace')}")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"), None)
    if length is None:
        raise RuntimeError("An answer without a length.")
    while len(body) < length:
        body += _more(connection)
    return body


def _more(connection: socket.socket) -> bytes:
    more = connection.recv(65536)
    if not more:
        raise RuntimeError("The server closed the connection.")
    return more


@contextlib.contextmanager
def _door() -> Iterator[None]:
    """Names for the measured shop and for Stripe, and a service token that opens its inventory."""
    now = timezone.now()
    ServiceToken.objects.create(
        id=TOKEN_ID,
        shop_id=SHOP_ID,
        label="Benchmark",
        scopes=[ServiceToken.Scope.INVENTORY_READ, ServiceToken.Scope.INVENTORY_HOLD],
        digest=secret_digest(TOKEN_ID, SECRET),
        created_at=now,
        secret_at=now,
        expires_at=now + timedelta(days=1),
    )
    Host.objects.create(shop_id=SHOP_ID, hostname=HOSTNAME, role=Host.Role.CANONICAL)
    Host.objects.get_or_create(hostname=HOOKS, role=Host.Role.HOOKS)
    try:
        yield
    finally:
        Host.objects.filter(hostname=HOOKS).delete()
        Host.objects.filter(shop_id=SHOP_ID).delete()
        ServiceToken.objects.filter(shop_id=SHOP_ID).delete()
