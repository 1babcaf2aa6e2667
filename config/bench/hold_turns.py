"""Inside a calling process: threads that keep their database connections from turn to turn."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

from config.bench.hold_callers import Took, Turn
from config.bench.hold_ways import WAYS, cart, scope_of
from inventory.errors import InventoryBusy


def serve(end: Connection, threads: int) -> None:
    """Answers turns until the other end closes the pipe."""
    with ThreadPoolExecutor(threads) as pool:
        while True:
            try:
                turn = end.recv()
            except (EOFError, OSError):
                return
            # Nobody begins before everybody is there: so each thread takes exactly one part of the turn.
            together = threading.Barrier(threads)
            parts = [pool.submit(_calls, turn, together) for _ in range(threads)]
            try:
                found = [part.result() for part in parts]
            except Exception as error:
                end.send(f"{type(error).__name__}: {error}")
                continue
            end.send(
                Took(
                    placed=sum(part.placed for part in found),
                    seconds=max(part.seconds for part in found),
                    times=[second for part in found for second in part.times],
                )
            )


def _calls(turn: Turn, together: threading.Barrier) -> Took:
    took = Took()
    place = WAYS[turn.way]
    chance = random.Random()  # noqa: S311 (which article, not a secret)
    together.wait(60)
    began = time.perf_counter()
    over = began + turn.seconds
    with scope_of(turn.way):
        while (asked := time.perf_counter()) < over:
            lines = cart(chance, lines=turn.lines, skus=turn.skus, hot=turn.hot)
            try:
                place(lines)
                took.placed += 1
            except InventoryBusy:
                pass
            took.times.append(time.perf_counter() - asked)
    took.seconds = time.perf_counter() - began
    return took
