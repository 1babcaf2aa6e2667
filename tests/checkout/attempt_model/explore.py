"""Breadth first through every state that can be reached: the first trace to a violation is a shortest one."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tests.checkout.attempt_model.invariants import NEVER_AT_REST, violations, violations_at_rest, violations_of_step
from tests.checkout.attempt_model.protocol import Protocol
from tests.checkout.attempt_model.surroundings import happenings
from tests.checkout.attempt_model.world import Attempt, Bounds, World, first_world

# (who, verb, what, attempt): made into words only where somebody reads them
Step: TypeAlias = tuple[str, str, str, int]
# (verb, state before, state after, outcome after); the state before a claim is ""
Transition: TypeAlias = tuple[str, str, str, str]


@dataclass(slots=True)
class Exploration:
    """What was found. `complete` is false when the limit or the first violation ended the search early."""

    bounds: Bounds
    complete: bool = False
    states: int = 0
    at_rest: int = 0
    violated: dict[str, list[str]] = field(default_factory=dict)
    transitions: set[Transition] = field(default_factory=set)


def steps(world: World, protocol: Protocol) -> Iterator[tuple[Step, World]]:
    """Every step from `world`. Processes of one kind are interchangeable, so they are kept in order."""
    for who, processes in (("tab", world.tabs), ("worker", world.workers)):
        for position, process in enumerate(processes):
            if position and process == processes[position - 1]:
                continue
            for verb, what, moved, then in protocol.moves(world, process, tab=who == "tab"):
                others = processes[:position] + processes[position + 1 :]
                ordered = tuple(sorted((*others, then)))
                after = moved._replace(tabs=ordered) if who == "tab" else moved._replace(workers=ordered)
                yield (who, verb, what, then.attempt if then.attempt else process.attempt), after
    for what, after in happenings(world, protocol.bounds):
        yield ("", "", what, 0), after


def explore(
    bounds: Bounds, breaks: Sequence[str] = (), *, limit: int = 2_000_000, stop_at_first: bool = False
) -> Exploration:
    """Visits up to `limit` states. With `stop_at_first`, ends with the first violation found."""
    search = _Search(Protocol(bounds, frozenset(breaks)), limit)
    found = Exploration(bounds)
    position = 0
    collecting = gc.isenabled()
    gc.disable()  # millions of tuples without cycles: looking for some again and again takes half the time
    try:
        while position < len(search.worlds) and not (stop_at_first and found.violated):
            _visit(search, position, found)
            position += 1
        found.complete = position == len(search.worlds) and not search.cut_off
        if found.complete and (stuck := search.first_that_never_rests()) is not None:
            found.violated.setdefault(NEVER_AT_REST, search.trace(stuck))
    finally:
        if collecting:
            gc.enable()
    found.states, found.at_rest = len(search.worlds), len(search.resting)
    return found


class _Search:
    def __init__(self, protocol: Protocol, limit: int) -> None:
        self.protocol, self.limit, self.cut_off = protocol, limit, False
        start = first_world(protocol.bounds)
        self.worlds = [start]
        self.number = {start: 0}
        self.parent: list[tuple[int, Step | None]] = [(0, None)]
        self.backwards: list[list[int]] = [[]]
        self.resting: list[int] = []

    def reach(self, world: World, origin: int, step: Step) -> bool:
        """Notes a way to `world`; whether it is the first one."""
        known = self.number.get(world)
        is_new = known is None
        if known is None:
            if len(self.worlds) >= self.limit:
                self.cut_off = True
                return False
            known = self.number[world] = len(self.worlds)
            self.worlds.append(world)
            self.parent.append((origin, step))
            self.backwards.append([])
        self.backwards[known].append(origin)
        return is_new

    def trace(self, position: int, last: Step | None = None) -> list[str]:
        words = [_in_words(last)] if last else []
        while position:
            position, step = self.parent[position]
            if step is not None:
                words.append(_in_words(step))
        return words[::-1]

    def first_that_never_rests(self) -> int | None:
        """The first state from which no way leads to rest: a livelock, found backwards from the resting states."""
        calm, todo = set(self.resting), list(self.resting)
        while todo:
            for origin in self.backwards[todo.pop()]:
                if origin not in calm:
                    calm.add(origin)
                    todo.append(origin)
        return next((n for n in range(len(self.worlds)) if n not in calm), None)


def _visit(search: _Search, position: int, found: Exploration) -> None:
    world, bounds = search.worlds[position], search.protocol.bounds
    moved = False
    for step, after in steps(world, search.protocol):
        if after == world:
            continue
        moved = True
        wrong: list[str] = []
        if search.reach(after, position, step):
            wrong += violations(after, bounds)
        if after.attempts is not world.attempts:
            wrong += violations_of_step(world, after, bounds)
            _note_transitions(step[1], world.attempts, after.attempts, found)
        for violated in wrong:
            if violated not in found.violated:
                found.violated[violated] = search.trace(position, step)
    if not moved:
        search.resting.append(position)
        for violated in violations_at_rest(world):
            found.violated.setdefault(violated, search.trace(position))


def _note_transitions(verb: str, before: Sequence[Attempt], after: Sequence[Attempt], found: Exploration) -> None:
    for index, attempt in enumerate(after):
        state, outcome = (before[index].state, before[index].outcome) if index < len(before) else ("", "")
        if (state, outcome) != (attempt.state, attempt.outcome):
            found.transitions.add((verb, state, attempt.state, attempt.outcome))


def _in_words(step: Step) -> str:
    who, verb, what, attempt = step
    return f"{who}, attempt {attempt}: {f'{verb}: ' if verb else ''}{what}" if who else what
