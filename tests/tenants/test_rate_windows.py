"""No minute has more than the limit: whatever the clocks do, however many processes count, with Redis and without."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from django.conf import settings as django_settings
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from pytest_django import Settings

from tenants.rate_windows import WINDOW_MS, LocalWindows, SharedWindows
from tests.fixtures.limits import Minutes, counted_keys, take_redis_away
from tests.fixtures.trade import in_threads
from tests.house.code import ROOT

# Needs the settings and no model: loading all apps takes seconds.
WORKER = """
from tenants.rate_windows import rate_windows
print(sum(rate_windows.acquire("shared", limit=10, shop_label="-") == 0 for _ in range(40)))
"""


def process(minutes: Minutes) -> SharedWindows:
    """The windows of one process, under the test's clock."""
    return SharedWindows(now_ms=minutes.milliseconds, local=LocalWindows(clock=minutes.seconds))


def forgetful(minutes: Minutes) -> SharedWindows:
    """A process that has just started, at every call."""
    return SharedWindows(now_ms=minutes.milliseconds, local=LocalWindows(clock=minutes.seconds, most=0))


def local_decisions() -> float:
    return REGISTRY.get_sample_value("rate_limits_local_total", {"shop_id": "acme"}) or 0.0


def most_in_a_minute(moments: list[float]) -> int:
    return max((sum(begin <= moment < begin + 60 for moment in moments) for begin in moments), default=0)


class TestOneWindow:
    def test_the_limit_and_when_to_come_again(self, minutes: Minutes):
        windows = forgetful(minutes)

        def ask() -> int:
            return windows.acquire("a", limit=2, shop_label="-")

        assert ask() == 0
        minutes.now += 20
        assert (ask(), ask()) == (0, 40_000)
        minutes.now += 39.999
        assert ask() == 1
        minutes.now += 0.001
        assert (ask(), ask()) == (0, 20_000)

    def test_knocking_makes_nobody_wait_longer(self, minutes: Minutes):
        windows = forgetful(minutes)
        assert windows.acquire("a", limit=1, shop_label="-") == 0
        for _ in range(59):
            minutes.now += 1
            assert windows.acquire("a", limit=1, shop_label="-") > 0
        minutes.now += 1
        assert windows.acquire("a", limit=1, shop_label="-") == 0

    def test_a_changed_limit_counts_what_was_before(self, minutes: Minutes):
        windows = process(minutes)
        assert [windows.acquire("a", limit=5, shop_label="-") for _ in range(5)] == [0] * 5
        assert windows.acquire("a", limit=2, shop_label="-") == 60_000
        assert [windows.acquire("a", limit=6, shop_label="-") for _ in range(2)] == [0, 60_000]

    def test_keys_are_apart_and_leave_redis_by_themselves(self, minutes: Minutes):
        windows = process(minutes)
        assert [windows.acquire(key, limit=1, shop_label="-") for key in ("a", "b", "a")] == [0, 0, 60_000]
        assert counted_keys() == ["a", "b"]
        client = windows._connected()
        left = client.pttl(f"{django_settings.REDIS_KEY_PREFIX}:rate:a")
        assert 0 < left <= WINDOW_MS

    def test_a_process_keeps_so_many_windows_and_no_more(self, minutes: Minutes):
        local = LocalWindows(clock=minutes.seconds, most=3)
        for number in range(100):
            local.acquire(str(number), limit=1)
        assert len(local) == 3
        assert [local.acquire(key, limit=1)[0] for key in ("99", "0")] == [60_000, 0]


class TestClocks:
    @examples(max_examples=30, deadline=None)
    @given(
        steps=st.lists(
            st.tuples(st.integers(0, 45), st.sampled_from([0, 0, 0, 0, 5, 61, 3600])), min_size=20, max_size=80
        ),
        limit=st.integers(1, 5),
    )
    def test_no_minute_has_more_than_the_limit(self, steps: list[tuple[int, int]], limit: int):
        """Every step some time passes, and now and then Redis's clock is set back."""
        truth, clock = Minutes(), Minutes()
        windows, key, let_in = forgetful(clock), os.urandom(8).hex(), []
        for passes, set_back in steps:
            truth.now += passes
            clock.now += passes - set_back
            if windows.acquire(key, limit=limit, shop_label="-") == 0:
                let_in.append(truth.now)
        assert most_in_a_minute(let_in) <= limit
        clock.now += 60
        assert windows.acquire(key, limit=limit, shop_label="-") == 0, "a minute later at the latest"

    def test_a_clock_that_runs_ahead_lets_nobody_in(self, minutes: Minutes):
        """Of a web process: in production the moments are Redis's, whatever a process believes."""
        here, elsewhere = SharedWindows(), SharedWindows(local=LocalWindows(clock=lambda: 10.0**9))
        assert [here.acquire("a", limit=2, shop_label="-") for _ in range(2)] == [0, 0]
        assert elsewhere.acquire("a", limit=2, shop_label="-") > 0


class TestManyAtOnce:
    def test_threads(self):
        windows = SharedWindows()
        waits = in_threads([lambda: windows.acquire("a", limit=10, shop_label="-") for _ in range(24)])
        assert sorted(wait == 0 for wait in waits) == [False] * 14 + [True] * 10

    def test_processes(self):
        workers = [
            subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        assert sum(int(worker.communicate(timeout=60)[0]) for worker in workers) == 10

    def test_threads_without_redis(self, settings: Settings):
        take_redis_away(settings)
        windows = SharedWindows()
        waits = in_threads([lambda: windows.acquire("a", limit=10, shop_label="-") for _ in range(24)])
        assert sorted(wait == 0 for wait in waits) == [False] * 14 + [True] * 10


class TestWithoutRedis:
    def test_the_process_keeps_the_limit_and_it_is_counted(self, settings: Settings, minutes: Minutes):
        windows, before = process(minutes), local_decisions()
        take_redis_away(settings)
        assert [windows.acquire("a", limit=2, shop_label="acme") for _ in range(3)] == [0, 0, 60_000]
        assert local_decisions() - before == 2
        minutes.now += 60
        assert windows.acquire("a", limit=2, shop_label="acme") == 0

    def test_it_goes_away_and_comes_back_within_a_minute(self, settings: Settings, minutes: Minutes):
        windows, url = process(minutes), settings.REDIS_LIMITS_URL
        assert windows.acquire("a", limit=3, shop_label="-") == 0
        take_redis_away(settings)
        assert windows.acquire("a", limit=3, shop_label="-") == 0
        settings.REDIS_LIMITS_URL = url
        windows._pause.end()
        assert [windows.acquire("a", limit=3, shop_label="-") for _ in range(2)] == [0, 60_000]

    def test_a_refusal_elsewhere_uses_nothing_up_here(self, settings: Settings, minutes: Minutes):
        first, second = process(minutes), process(minutes)
        assert [first.acquire("a", limit=2, shop_label="-") for _ in range(2)] == [0, 0]
        assert second.acquire("a", limit=2, shop_label="-") == 60_000
        take_redis_away(settings)
        assert [second.acquire("a", limit=2, shop_label="-") for _ in range(3)] == [0, 0, 60_000]

    def test_one_that_is_silent_counts_as_away(self, settings: Settings):
        with socket.create_server(("127.0.0.1", 0)) as server:
            settings.REDIS_LIMITS_URL = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
            windows = SharedWindows()
            assert [windows.acquire("a", limit=1, shop_label="-") == 0 for _ in range(2)] == [True, False]
