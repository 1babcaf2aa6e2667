"""Callers in processes of their own: as many interpreters as a server has, each with its threads and connections."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Turn:
    """What a caller does for `seconds`: places holds by `way`, without a pause."""

    way: str
    lines: int
    hot: bool
    skus: int
    seconds: float


@dataclass(slots=True)
class Took:
    """`times`: seconds of every call. `placed`: calls that made a hold; the others were refused as busy."""

    placed: int = 0
    seconds: float = 0.0
    times: list[float] = field(default_factory=list)


class Callers:
    """`processes` x `threads` that wait for turns; made by `started`."""

    def __init__(self, ends: Sequence[Connection]) -> None:
        self._ends = ends

    def take(self, turn: Turn) -> Took:
        """One turn of all callers at once. Raises RuntimeError when one of them fails."""
        for end in self._ends:
            end.send(turn)
        total = Took()
        for end in self._ends:
            if not end.poll(PATIENCE_SECONDS):
                raise RuntimeError(f"No answer from the callers of {turn}.")
            answer = end.recv()
            if not isinstance(answer, Took):
                raise RuntimeError(f"The callers failed under {turn}: {answer}")
            total.placed += answer.placed
            total.seconds = max(total.seconds, answer.seconds)
            total.times += answer.times
        return total


@contextlib.contextmanager
def started(processes: int, threads: int) -> Iterator[Callers]:
    """Fresh interpreters, because a forked one would share this one's database connection. They end with the block."""
    context = multiprocessing.get_context("spawn")
    ends, children = [], []
    try:
        for _ in range(processes):
            mine, theirs = context.Pipe()
            child = context.Process(target=_serve, args=(theirs, threads), daemon=True)
            child.start()
            theirs.close()
            ends.append(mine)
            children.append(child)
        yield Callers(ends)
    finally:
        for end in ends:
            end.close()
        for child in children:  # between turns there is nothing that an interpreter's own end would save
            child.kill()
            child.join()


def _serve(end: Connection, threads: int) -> None:
    # Late: this module is imported before Django is set up.
    import django

    django.setup()
    from config.bench.hold_turns import serve

    serve(end, threads)
