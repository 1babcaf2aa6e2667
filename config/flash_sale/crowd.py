"""What buyers do: look, put it into the cart, check out, and then pay, walk away or click twice.

Threads with the standard library's HTTP: a buyer mostly waits, and no dependency of the project is a client for many.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from config.flash_sale.visitor import Answer, Visitor
from inventory.client.backoff import FIRST_MS, TRIES, delay_before_ms

CARD: Final = "4242424242424242"
BUSY: Final = frozenset({"inventory_busy", "payment_unknown", "rate_limited"})
"""Answers after which the same request is sent again, later."""
CONFIRMED_WITHIN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Habit:
    """How a buyer behaves. `double_click`: sends the checkout twice at once; `pays`: else the session is left open."""

    double_click: bool
    pays: bool


@dataclass(slots=True)
class Tally:
    """What the crowd lived through. `times`: seconds by step; `sessions`: the ids that each buyer was answered."""

    times: dict[str, list[float]] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    sessions: list[frozenset[str]] = field(default_factory=list)
    busy: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def took(self, step: str, answer: Answer) -> Answer:
        with self.lock:
            self.times.setdefault(step, []).append(answer.seconds)
            self.answers[f"{step} {answer.status}" + (f" {answer.code}" if answer.status >= 400 else "")] += 1
        return answer

    def waited(self, step: str, seconds: float) -> None:
        with self.lock:
            self.times.setdefault(step, []).append(seconds)


class LeftOver(Exception):
    """The buyer can't go on; `outcome` says why."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Sale:
    """Where and what is sold. `until`: the monotonic moment at which every buyer goes home."""

    port: int
    host: str
    page: str
    sku: str
    standin_port: int
    until: float


def habits(count: int, *, dice: random.Random) -> list[Habit]:
    """One in five clicks twice; three in four of those who get a session pay it."""
    return [Habit(double_click=dice.random() < 0.2, pays=dice.random() < 0.75) for _ in range(count)]


def address_of(number: int) -> str:
    """An address of its own for every buyer, from the range that RFC 2544 keeps for such tests (198.18.0.0/15)."""
    return f"198.{18 + number // 65_536}.{number // 256 % 256}.{number % 256}"


def run(sale: Sale, plans: Sequence[Habit], tell: Callable[[str], None], *, seed: int) -> Tally:
    """All buyers at once; ends when the last one has. `tell` gets a line of progress about every second."""
    tally, start = Tally(), threading.Event()
    dice = [random.Random(seed + number) for number in range(len(plans))]  # noqa: S311  jitter, not secrets
    threads = [
        threading.Thread(target=_live, args=(sale, habit, number, dice[number], start, tally))
        for number, habit in enumerate(plans)
    ]
    for thread in threads:
        thread.start()
    start.set()
    while any(thread.is_alive() for thread in threads):
        with tally.lock:
            done = dict(sorted(tally.outcomes.items()))
        tell(f"{sum(done.values())} of {len(plans)} buyers done" + "".join(f", {n} {name}" for name, n in done.items()))
        over = time.monotonic() + 1
        for thread in threads:
            thread.join(max(0.0, over - time.monotonic()))
    return tally


def _live(sale: Sale, habit: Habit, number: int, dice: random.Random, start: threading.Event, tally: Tally) -> None:
    visitor = Visitor(sale.port, sale.host, address_of(number), sale.until)
    start.wait()
    try:
        outcome = _buy(sale, habit, visitor, dice, tally)
    except LeftOver as left:
        outcome = left.outcome
    except TimeoutError:
        outcome = "out of time"
    except (OSError, http.client.HTTPException) as error:
        outcome = f"lost the connection ({type(error).__name__})"
    with tally.lock:
        tally.outcomes[outcome] += 1


def _buy(sale: Sale, habit: Habit, visitor: Visitor, dice: random.Random, tally: Tally) -> str:
    _expect(tally.took("product", visitor.call("GET", sale.page)), 200, "product")
    _expect(tally.took("cart", visitor.call("POST", "/api/cart", {"sku": sale.sku, "quantity": 1})), 200, "cart")
    tries = 2 if habit.double_click else 1
    answers = _at_once([lambda: _check_out(sale, visitor, dice, tally) for _ in range(tries)])
    sessions = frozenset(str(answer.json()["sessionId"]) for answer in answers if answer.status in {200, 201})
    with tally.lock:
        tally.sessions.append(sessions)
    if not sessions:
        codes = {answer.code for answer in answers}
        if codes == {"inventory_insufficient"}:
            return "sold out"
        return "gave up, busy" if codes & BUSY else f"refused: {', '.join(sorted(codes))}"
    if not habit.pays:
        return "walked away"
    return _pay(sale, visitor, min(sessions), tally)


def _check_out(sale: Sale, visitor: Visitor, dice: random.Random, tally: Tally) -> Answer:
    """As the project's clients do it: the server's pause first, then doubled, with jitter, few tries (I4)."""
    for attempt in range(TRIES):
        answer = tally.took("checkout", visitor.call("POST", "/api/checkout-session", {}))
        if answer.code not in BUSY or attempt == TRIES - 1:
            break
        with tally.lock:
            tally.busy += 1
        first = int(answer.json().get("retryAfterMs") or FIRST_MS)
        _pause(sale, delay_before_ms(attempt, first_ms=first, jitter=dice.random) / 1000)
    return answer


def _pay(sale: Sale, visitor: Visitor, session: str, tally: Tally) -> str:
    """Through the stand-in's control surface, as its hosted page would; then the thank-you page's polling."""
    page = Visitor(sale.standin_port, "127.0.0.1", visitor.address, sale.until)
    body = {"card": CARD, "email": "buyer@example.com", "name": "Kim"}
    began = time.monotonic()
    answer = page.call("POST", f"/_control/sessions/{session}/pay", body)
    state = str(answer.json().get("state", answer.status))
    if state != "complete":
        return f"payment {state}"
    while time.monotonic() < began + CONFIRMED_WITHIN_SECONDS:
        told = tally.took("order-status", visitor.call("GET", f"/api/order-status?session_id={session}"))
        if told.json().get("status") == "confirmed":
            tally.waited("pay to confirmed", time.monotonic() - began)
            return "bought"
        _pause(sale, int(told.json().get("retryAfterMs", 500)) / 1000)
    return "paid, not confirmed in time"


def _expect(answer: Answer, status: int, step: str) -> None:
    if answer.status != status:
        raise LeftOver(f"refused at {step}: {answer.code}")


def _pause(sale: Sale, seconds: float) -> None:
    if time.monotonic() + seconds > sale.until:
        raise LeftOver("out of time")
    time.sleep(seconds)


def _at_once(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """A double click: the same cookies, the same moment. Raises what the first call that failed raised."""
    if len(calls) == 1:
        return [calls[0]()]
    results: list[Answer] = []
    failures: list[Exception] = []

    def run_one(call: Callable[[], Answer]) -> None:
        try:
            results.append(call())
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run_one, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results
