"""What the front door costs: an empty view with it and without, over HTTP, on the product's own server.

The cases take turns every tenth of a second, so that a busy moment of the machine meets all of them, and the server
tells what each turn cost it in CPU time, which others' work disturbs less. Loopback only; the shop that it needs is
made and removed.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from config.bench import CPU_SECONDS, PATH
from config.bench.report import Row, percentile
from config.bench.serving import connected, serving
from tenants.models import Host, Shop, ShopSettings

SHOP_ID, HOSTNAME = "bench-front-door", "bench-front-door.localhost"
CASES = ("floor", "front_door", "empty_view")
CALLERS = (1, 4)
ROUNDS = 40
TURN_SECONDS = 0.1


@dataclass(slots=True)
class Measured:
    """`rates`: requests per second of each turn. `cpu`: CPU seconds of the server per request, in each turn.
    `times`: seconds of each request.
    """

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


def run(*, rounds: int = ROUNDS) -> list[Row]:
    """About half a minute. `rounds`: turns of each case.

    Raises RuntimeError when the server doesn't start or answers something else than 200.
    """
    with _shop(), serving("config.bench.server:application") as port:
        rows = []
        for callers in CALLERS:
            measured = {case: Measured() for case in CASES}
            for case in CASES:
                _turn(port, case, callers)  # warm
            for _ in range(rounds):
                for case in CASES:
                    before = _cpu_seconds(port)
                    rate, times = _turn(port, case, callers)
                    measured[case].cpu.append((_cpu_seconds(port) - before) / len(times))
                    measured[case].rates.append(rate)
                    measured[case].times.extend(times)
            rows += [_row(case, callers, measured) for case in CASES]
        return rows


def _row(case: str, callers: int, measured: dict[str, Measured]) -> Row:
    mine, floor = measured[case], measured["floor"]
    times = sorted(mine.times)
    return Row(
        case=case,
        callers=callers,
        per_second=median(mine.rates),
        # Of turns side by side: a slow moment slows both.
        ratio_to_floor=median(own / other for own, other in zip(mine.rates, floor.rates, strict=True)),
        p50_ms=percentile(times, 0.50) * 1000,
        p95_ms=percentile(times, 0.95) * 1000,
        p99_ms=percentile(times, 0.99) * 1000,
        cpu_ms=median(mine.cpu) * 1000,
        cpu_ratio_to_floor=median(other / own for own, other in zip(mine.cpu, floor.cpu, strict=True)),
    )


def _turn(port: int, case: str, callers: int) -> tuple[float, list[float]]:
    """`(requests per second, seconds of each)` of `callers` that ask without a pause for TURN_SECONDS."""
    times: list[float] = []
    failures: list[BaseException] = []

    def caller() -> None:
        try:
            times.extend(_ask(port, case))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=caller) for _ in range(callers)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"The server failed under {case}.") from failures[0]
    return len(times) / (time.perf_counter() - started), times


def _ask(port: int, case: str) -> list[float]:
    """One persistent connection. A plain socket costs a tenth of http.client, and the machine's cores are shared."""
    request = _request(case)
    times = []
    with connected(port) as connection:
        over = time.perf_counter() + TURN_SECONDS
        while (asked := time.perf_counter()) < over:
            _answer(connection, request)
            times.append(time.perf_counter() - asked)
    return times


def _cpu_seconds(port: int) -> float:
    """What the server's process has spent so far."""
    with connected(port) as connection:
        head = _answer(connection, _request(CPU_SECONDS)).decode()
    return float(head.partition(f"{CPU_SECONDS}: ")[2].partition("\r\n")[0])


def _request(case: str) -> bytes:
    return f"GET {PATH} HTTP/1.1\r\nHost: {HOSTNAME}\r\nX-Bench: {case}\r\nAccept: */*\r\n\r\n".encode()


def _answer(connection: socket.socket, request: bytes) -> bytes:
    """The head of the answer: there is nothing else, because the view is empty."""
    connection.sendall(request)
    answer = connection.recv(65536)
    while not answer.endswith(b"\r\n\r\n"):
        answer += connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(answer.partition(b"\r\n")[0].decode())
    return answer


@contextlib.contextmanager
def _shop() -> Iterator[None]:
    """A shop with a host for the length of the run."""
    shop, _ = Shop.objects.get_or_create(id=SHOP_ID, defaults={"name": "Benchmark"})
    ShopSettings.objects.get_or_create(shop=shop, defaults={"currency": "EUR", "locales": ["en"]})
    Host.objects.get_or_create(hostname=HOSTNAME, defaults={"role": Host.Role.CANONICAL, "shop": shop})
    try:
        yield
    finally:
        Host.objects.filter(hostname=HOSTNAME).delete()
        shop.delete()
