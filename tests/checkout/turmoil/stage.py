"""One thread at a time: a player runs from one stop to the next, and stops only where it holds no lock.

Stops are before the first statement of a transaction that concerns a checkout, before a request to Stripe, after its
answer, and instead of sleeping. Nothing of the product is replaced: the stops sit in Django's statement hook, in the
HTTP adapter of `requests` and in `time.sleep`.
"""

from __future__ import annotations

import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from django.db import connection, connections
from psycopg.pq import TransactionStatus
from requests.adapters import HTTPAdapter

# Seconds that a step may take; beyond that two threads wait for each other.
STUCK_AFTER = 60
# Not every look at stock and catalog: only what attempts, orders, holds and events are decided by.
STOPS_AT = re.compile(
    r"checkout_checkoutattempt|commerce_cart|commerce_order|webhooks_stripeevent|lock_timeout|SKIP LOCKED"
    r"|inventory_hold(?:_place|s_finish)"
)


class Died(BaseException):
    """Nobody catches it, as nobody catches SIGKILL. Its transaction is none: players die only between two."""


@dataclass(eq=False)
class Player:
    """A thread with something to do. `at` is where it stands; `loses` is set to have its next request go astray; `key`
    is the idempotency key of the request that it is about to send, `leased` when its lease for that began: at the stop
    before, and clocks may have jumped while it stood there.
    """

    name: str
    act: Callable[[], object]
    at: str = "begins"
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    dying: bool = False
    over: bool = False
    loses: bool = False
    key: str = ""
    since: float = 0.0
    leased: float = 0.0
    answer: object = None
    error: BaseException | None = None

    @property
    def sends(self) -> bool:
        return self.at.startswith("sends ")


class Stage:
    """Owns the players. Only the thread that made it calls its methods."""

    def __init__(self) -> None:
        self.players: list[Player] = []
        self.astray: list[requests.PreparedRequest] = []
        self._back = threading.Semaphore(0)
        self._mine = threading.local()

    def enter(self, name: str, act: Callable[[], object]) -> Player:
        """A new player, who waits for its first turn."""
        player = Player(name, act)
        threading.Thread(target=self._run, args=(player,), name=name, daemon=True).start()
        self.players.append(player)
        return player

    def step(self, player: Player) -> None:
        """Lets one player go on to its next stop. Raises RuntimeError when it doesn't get there."""
        player.turn.release()
        if not self._back.acquire(timeout=STUCK_AFTER):
            frames = "".join("".join(traceback.format_stack(frame)) for frame in sys._current_frames().values())
            raise RuntimeError(f"{player.name} is stuck after {player.at}.\n{frames}")
        if player.over:
            self.players.remove(player)

    def kill(self, player: Player) -> None:
        player.dying = True
        self.step(player)

    def arrive(self, request: requests.PreparedRequest) -> None:
        """A request that went astray gets to Stripe after all; nobody waits for the answer any more."""
        with requests.Session() as session, suppress(requests.RequestException):
            session.max_redirects = 0
            session.send(request, timeout=30)

    def rush(self, roles: Sequence[tuple[str, Callable[[], object]]]) -> list[Player]:
        """Everybody at once and without stops, so that they meet inside their transactions too. Answers when all are
        done; raises RuntimeError when that takes too long.
        """
        players = [Player(name, act) for name, act in roles]
        threads = [threading.Thread(target=self._run_on, args=(player,), daemon=True) for player in players]
        for thread in threads:
            thread.start()
        for thread, player in zip(threads, players, strict=True):
            thread.join(STUCK_AFTER)
            if thread.is_alive():
                raise RuntimeError(f"{player.name} is stuck in a rush.")
        return players

    # ------------------------------------------------------------ inside a player's thread
    def _run_on(self, player: Player) -> None:
        try:
            player.answer = player.act()
        except Exception as error:
            player.error = error
        finally:
            connections.close_all()

    def _run(self, player: Player) -> None:
        player.turn.acquire()
        try:
            if not player.dying:
                self._mine.player = player
                with connection.execute_wrapper(self._before_statement):
                    player.answer = player.act()
        except Died:
            pass
        except BaseException as error:
            player.error = error
        finally:
            connections.close_all()
            player.over, player.at = True, "is done"
            self._back.release()

    def _stop(self, where: str) -> None:
        player: Player = self._mine.player
        player.at, player.since = where, time.time()
        self._back.release()
        player.turn.acquire()
        if player.dying:
            raise Died

    def _plays(self) -> Player | None:
        return getattr(self._mine, "player", None)

    def _before_statement(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        status = context["connection"].connection.info.transaction_status
        if status == TransactionStatus.IDLE and (about := STOPS_AT.search(str(sql))):
            self._stop(f"transaction on {about.group()}")
        return execute(sql, params, many, context)

    @contextmanager
    def stops(self) -> Iterator[None]:
        """Requests and naps of players become stops, those of everybody else stay what they are."""
        send, sleep = HTTPAdapter.send, time.sleep

        def watched_send(adapter: HTTPAdapter, request: requests.PreparedRequest, **more: Any) -> requests.Response:
            player = self._plays()
            if player is None:
                return send(adapter, request, **more)
            sent = request.headers.get("Idempotency-Key", "") if request.method == "POST" else ""
            player.key, player.leased = str(sent), player.since
            self._stop(f"sends {request.method} {str(request.url).partition('/v1/')[2]}")
            player.key = ""
            if player.loses:
                player.loses = False
                self.astray.append(request)
                raise requests.ReadTimeout("gone astray")
            try:
                response = send(adapter, request, **more)
            except requests.RequestException:
                self._stop("hears nothing")
                raise
            self._stop(f"hears {response.status_code}")
            return response

        def watched_sleep(seconds: float) -> None:
            if self._plays() is None:
                sleep(seconds)
            else:
                self._stop("naps")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(HTTPAdapter, "send", watched_send)
            patch.setattr(time, "sleep", watched_sleep)
            yield
