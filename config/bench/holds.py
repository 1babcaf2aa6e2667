"""Holds: the verb as shipped, against pgbench with the same statement and against the classic way with the ORM.

All ways take turns in every round, on the same stock, so that a busy moment of the machine meets all of them. After
every case the stock is counted: each hold that a caller believes in is there and whole, and no unit was lost or made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from config.bench import floor
from config.bench.hold_callers import Callers, Took, Turn, started
from config.bench.hold_stage import PAST, SKUS, counted, prove, stage
from config.bench.hold_ways import WAYS
from config.bench.report import Row, percentile

FLOOR = "pgbench"
CALLERS = ((1, 1), (2, 8), (2, 32))
"""Processes and threads in each."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. Two minutes and a half as it is; a test takes less. `warming`: rounds that don't count."""

    rounds: int = 5
    warming: int = 1
    turn_seconds: float = 0.5
    floor_seconds: int = 1
    skus: int = SKUS
    past: int = PAST
    callers: Sequence[tuple[int, int]] = CALLERS


def run(size: Size | None = None) -> list[Row]:
    """Raises RuntimeError when stock isn't conserved, NoPgbenchError without pgbench."""
    size = size or Size()
    floor.pgbench()  # before anything is made, should it be missing
    rows: list[Row] = []
    with stage(skus=size.skus, past=size.past):
        for processes, threads in size.callers:
            with started(processes, threads) as callers:
                for hot in (False, True):
                    for lines in (1, 3):
                        rows += _case(callers, processes * threads, lines=lines, hot=hot, size=size)
    return rows


def _case(callers: Callers, how_many: int, *, lines: int, hot: bool, size: Size) -> list[Row]:
    before = counted()
    placed = 0
    turns: dict[str, list[Took]] = {case: [] for case in (FLOOR, *WAYS)}
    for number in range(size.warming + size.rounds):
        for case, taken in turns.items():
            if case == FLOOR:
                took = floor.place(lines=lines, hot=hot, skus=size.skus, callers=how_many, seconds=size.floor_seconds)
            else:
                took = callers.take(Turn(case, lines, hot, size.skus, size.turn_seconds))
            placed += took.placed
            if number >= size.warming:
                taken.append(took)
    prove(before, placed=placed, lines=lines)
    rates = {case: [took.placed / took.seconds for took in taken] for case, taken in turns.items()}
    return [_row(case, turns[case], rates, how_many, lines=lines, hot=hot) for case in turns]


def _row(
    case: str, taken: Sequence[Took], rates: dict[str, list[float]], callers: int, *, lines: int, hot: bool
) -> Row:
    times = sorted(second for took in taken for second in took.times)

    def ratio(other: str) -> float:
        # Of turns side by side: a slow moment slows both.
        return median(mine / theirs for mine, theirs in zip(rates[case], rates[other], strict=True))

    return Row(
        case=case,
        lines=lines,
        hot=hot,
        callers=callers,
        per_second=median(rates[case]),
        ratio_to_floor=ratio(FLOOR),
        ratio_to_classic=ratio("classic"),
        p50_ms=percentile(times, 0.50) * 1000,
        p95_ms=percentile(times, 0.95) * 1000,
        p99_ms=percentile(times, 0.99) * 1000,
    )
