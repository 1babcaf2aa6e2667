"""One world: a shop, its customers, and so many drawn steps; then everything is left to come to rest."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import time_machine
from django.contrib.auth.models import User

from checkout.attempts import CLOCK_MARGIN
from checkout.new_attempt import LEASE
from tests.checkout.turmoil.company import Company, Role
from tests.checkout.turmoil.stage import Player, Stage
from tests.checkout.turmoil.watch import Watch
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import open_trade
from tests.fixtures.workers import Worker, issue

SESSIONS: Final = "/v1/checkout/sessions"
ON_HAND: Final = 5
AT_ONCE: Final = 5
CARD, CHALLENGE, DECLINED = "4242424242424242", "4000002760003184", "4000000000000002"

# What Stripe and the network may do to the next call, and to which of the three.
FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "drop_before"}, {"kind": "drop_after"}, {"kind": "drop_after"}, {"kind": "half_answer"},
    {"kind": "status", "status": 500, "when": "before"}, {"kind": "status", "status": 500, "when": "after"},
    {"kind": "status", "status": 401, "when": "before"}, {"kind": "status", "status": 400, "when": "before"},
    {"kind": "status", "status": 409, "when": "before"}, {"kind": "html"}, {"kind": "html", "when": "after"},
    {"kind": "rate_limit"}, {"kind": "rate_limit", "code": "lock_timeout"}, {"kind": "reset", "when": "after"},
    {"kind": "latency", "seconds": 0.01, "when": "after"},
)  # fmt: skip
CREATE: Final = ("POST", SESSIONS, True)
CALLS: Final = (CREATE, CREATE, CREATE, ("POST", f"{SESSIONS}/*/expire", False), ("GET", f"{SESSIONS}/", False))
# Seconds: a moment, a lease, most of a hold, a hold, a session.
JUMPS: Final = (1, 1, 5, 5, 35, 35, 35, 600, 1260, 3600)


class World:
    """Drawn from one seed. `seen` counts what happened, for those who want to know what was tried."""

    def __init__(self, seed: int, standin: StandIn, stage: Stage, clock: Any) -> None:
        self.draw, self.standin, self.stage, self.clock = random.Random(seed), standin, stage, clock
        self.seen: Counter[str] = Counter()
        self.story: list[str] = []
        standin.reset()
        standin.deliveries("hold")
        trade = open_trade(f"turmoil-{seed}", on_hand=ON_HAND)
        holds = self.draw.random() < 0.85
        if not holds:
            trade.shop.settings.inventory_mode = "validate_only"
            trade.shop.settings.save()
        owner = User.objects.filter(is_superuser=True).first() or User.objects.create_superuser("owner")
        worker = Worker(issue(trade.shop.pk))
        self.company = Company(trade, standin, self.draw, worker, owner)
        self.company.buyers += [trade.buyer_with_cart(1), trade.buyer_with_cart(2)]
        self.watch = Watch(trade.shop.pk, standin, ON_HAND, holds)

    # ------------------------------------------------------------ what may happen next
    def step(self) -> None:
        players = self.stage.players
        chance = self.draw.random()
        if players and chance < 0.72:
            # A few stops at a time: everybody else in between at each one would hide what takes two rivals only.
            player = self.draw.choice(players)
            for _ in range(self.draw.choice((1, 1, 1, 2, 4, 8))):
                if not player.over:
                    self._player_goes_on(player)
        elif len(players) < AT_ONCE and chance < 0.85:
            self._enter()
        else:
            self._something_happens()

    def _player_goes_on(self, player: Player) -> None:
        at = player.at
        if self.draw.random() < 0.025:
            self._tell(f"{player.name} dies where it {at}")
            self.seen["died"] += 1
            self.stage.kill(player)
        else:
            player.loses = player.sends and self.draw.random() < 0.06
            self.stage.step(player)
            self._tell(f"{player.name} {at}; then {player.at} {player.answer or ''}")
        self._over(player)
        self._one_sender(player)
        self.watch.look(at_stripe=at.startswith("sends"))

    def _one_sender(self, player: Player) -> None:
        """While a sender's lease is alive, nobody else sends its attempt's request. Expiries have other keys."""
        for other in self.stage.players:
            same = other is not player and player.key.startswith("checkout:") and other.key == player.key
            if same and abs(other.leased - player.leased) < LEASE.total_seconds():
                raise AssertionError(f"{player.name} and {other.name} both send {player.key}")

    def _over(self, player: Player) -> None:
        if player.error is not None:
            raise AssertionError(f"{player.name} raised") from player.error

    def _enter(self) -> None:
        company = self.company
        makers: list[Callable[[], Role | None]] = [
            *[company.tab] * 6, company.poll, *[company.delivery] * 3, *[company.resolver] * 2, *[company.reaper] * 2,
            company.cancel, company.release, company.extend,
        ]  # fmt: skip
        if (role := self.draw.choice(makers)()) is not None:
            self.stage.enter(*role)
            self.seen[role[0].partition(" ")[0]] += 1

    def _rush(self) -> str:
        """A few of them at the same moment; those who stand still meanwhile hold no lock."""
        makers = [self.company.tab, self.company.tab, self.company.delivery, self.company.resolver, self.company.reaper]
        wanted = [self.draw.choice(makers)() for _ in range(4)]
        roles = [role for role in wanted if role is not None]
        for player in self.stage.rush(roles):
            self._over(player)
        self.watch.rushed = True
        return f"at once: {', '.join(name for name, _ in roles)}"

    def _something_happens(self) -> None:
        happenings = (
            *[self._trouble] * 6, *[self._pays] * 6, *[self._time_passes] * 2, self._cart_changes, self._cart_changes,
            self._rush, self._rush, self._arrives, self._arrives, self._debit_settles, *[self._late_payment] * 3,
            self._price_changes, self.company.overdue,
        )  # fmt: skip
        what = self.draw.choice(happenings)
        if (told := what()) is not None or what == self.company.overdue:
            self._tell(told or "holds are overdue")
            self.seen[what.__name__.strip("_")] += 1
            self.watch.look()

    # ------------------------------------------------------------ what happens around the players
    def _trouble(self) -> str:
        method, path, exact = self.draw.choice(CALLS)
        fault = self.draw.choice(FAULTS)
        wanted = {"match": {"method": method, "path": path, "exact": exact}, **fault}
        self.standin.call("faults", wanted | {"times": self.draw.choice((1, 1, 2))})
        return f"trouble ahead: {method} {path} {fault}"

    def _pays(self) -> str | None:
        """A customer pays what he was shown: by card, by a debit that takes days, or not quite."""
        if not self.company.shown:
            return None
        payable = [s for s in self.company.shown if self.watch.sessions.get(s, {}).get("status") == "open"]
        known = payable if payable and self.draw.random() < 0.8 else self.company.shown
        session_id = self.draw.choice(sorted(known))
        how = self.draw.choice(("card", "card", "card", "debit", "challenge", "challenge", "declined"))
        if how == "debit":
            answer = self.standin.pay(session_id, method="bank_debit")
        elif how == "challenge":
            answer = self.standin.pay(session_id, card=CHALLENGE, threeDS="abandon")
        else:
            answer = self.standin.pay(session_id, card=CARD if how == "card" else DECLINED)
        return f"customer pays {session_id} by {how}: {answer['state']}"

    def _debit_settles(self) -> str | None:
        waiting = [s for s in self.standin.sessions() if _intent(s) == "processing"]
        if not waiting:
            return None
        session = self.draw.choice(waiting)
        outcome = self.draw.choice(("succeeded", "failed"))
        self.standin.call(f"sessions/{session['id']}/settle_async", {"outcome": outcome})
        return f"debit of {session['id']} {outcome}"

    def _late_payment(self) -> str | None:
        """The bank says yes to a challenge although the session has expired meanwhile."""
        in_flight = [s for s in self.standin.sessions() if s["status"] == "expired" and _intent(s) == "requires_action"]
        if not in_flight:
            return None
        session = self.draw.choice(in_flight)
        self.watch.paid_late.add(session["id"])
        self.standin.call(f"sessions/{session['id']}/late_pay", {})
        return f"late payment of {session['id']}"

    def _time_passes(self) -> str:
        return self.advance(self.draw.choice(JUMPS))

    def advance(self, seconds: int) -> str:
        """Our clock and Stripe's. A request doesn't stay under way for minutes."""
        if seconds > 60:
            self.stage.astray.clear()
        self.clock.shift(timedelta(seconds=seconds))
        self.standin.advance(seconds)
        return f"{seconds} s pass"

    def _arrives(self) -> str | None:
        if not self.stage.astray:
            return None
        request = self.stage.astray.pop(self.draw.randrange(len(self.stage.astray)))
        if self.draw.random() < 0.2:
            return "a request under way is lost"
        self.stage.arrive(request)
        return f"arrives late: {request.method} {request.path_url}"

    def _cart_changes(self) -> str:
        buyer = self.draw.choice(self.company.buyers)
        cart = buyer.call("GET", "/api/cart").json()
        lines = cart["lines"]
        if lines and (lines[0]["quantity"] > 2 or self.draw.random() < 0.3):
            buyer.call("PATCH", "/api/cart", {"lineId": lines[0]["lineId"], "quantity": self.draw.choice((0, 1))})
            return "a cart shrinks"
        buyer.add(self.company.trade.variant, 1)
        return "a cart grows"

    def _price_changes(self) -> str:
        variant = self.company.trade.variant
        variant.price_amount = self.draw.choice((2500, 2500, 3000))
        variant.save()
        return f"the price is {variant.price_amount}"

    # ------------------------------------------------------------ the end
    def come_to_rest(self) -> None:
        """No more trouble and no more customers: events arrive, workers run, time passes, until all is over."""
        self.standin.call("faults", method="DELETE")
        self.stage.astray.clear()
        while self.stage.players:
            player = self.draw.choice(self.stage.players)
            self.stage.step(player)
            self._over(player)
            self.watch.look()
        while self._debit_settles():
            pass
        company = self.company
        roles = [company.delivery_of(event) for event in self.standin.events()]
        self.draw.shuffle(roles)
        for role in [*roles, *[company.resolver(), company.reaper()] * 2]:
            self._alone(role)
        for seconds in (1260, 2400, int(CLOCK_MARGIN.total_seconds()) + 60, 3700, 3700):
            self.advance(seconds)
            self._alone(company.resolver())
            self._alone(company.reaper())
        self.watch.look_at_rest()

    def _alone(self, role: Role) -> None:
        player = self.stage.enter(*role)
        while not player.over:
            self.stage.step(player)
        self._tell(f"{player.name}: {player.answer}")
        self._over(player)

    def _tell(self, line: str) -> None:
        self.story.append(line)


def _intent(session: dict[str, Any]) -> str:
    return str((session["payment_intent"] or {}).get("status", ""))


def play(seed: int, steps: int, standin: StandIn) -> World:
    """Raises AssertionError with the story that led to it; the same seed tells it again."""
    stage = Stage()
    with time_machine.travel(datetime.now(UTC), tick=True) as clock, stage.stops():
        world = World(seed, standin, stage, clock)
        try:
            for _ in range(steps):
                world.step()
            world.come_to_rest()
        except Exception as error:
            story = "\n".join(f"{number}. {line}" for number, line in enumerate(world.story, 1))
            raise AssertionError(f"World {seed}, after:\n{story}\n{error}") from error
        finally:
            for player in list(stage.players):
                stage.kill(player)
    world.seen.update(world.watch.seen)
    return world
