"""The mild limit on everything: how fast one client may ask one shop (K5). Bounds floods, never a person.

Redis isn't asked about each request, that would cost more than the rest of the front door. A process lets every client
make a few requests a minute by itself, a fortieth of the limit; only whoever asks for more takes the next fortieth from
the window that all processes share. So a minute has at most the limit, and a twentieth of it more per process.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest

from tenants.client_ip import client_bucket
from tenants.errors import RateLimited
from tenants.metrics import FRONT_DOOR_RATE_LIMITED, NO_SHOP
from tenants.rate_windows import WINDOW_SECONDS, SharedWindows, rate_windows

SHARES = 40
"""Into how many shares a limit is cut. More would ask Redis more often, fewer would let more past it."""

TOKEN_HOLDERS = 10
"""Times what the route's pace allows without a token: a holder is known, and speaks for a whole shop's customers."""

MOST_CLIENTS = 16_384
"""A process keeps so many clients, a few megabytes. The one that came first leaves first, with at most one share."""

UNKNOWN_HOSTS = "-unknown"
"""Stands where a shop's id would: requests for hosts that aren't ours. No shop can be called that."""


@dataclass(slots=True)
class Share:
    """What a client may still ask for before `until` (seconds), or that it is refused until then."""

    left: int
    until: float
    refused: bool = False


class Pace:
    """One process's shares."""

    def __init__(self, windows: SharedWindows, *, most: int = MOST_CLIENTS) -> None:
        self._windows, self._most = windows, most
        self._shares: OrderedDict[tuple[str, str, int], Share] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._shares)

    def wait(self, scope: str, client: str, *, limit: int, now: float, shop_label: str = NO_SHOP) -> int:
        """0 to let a request in, else milliseconds until the next. `limit` per minute; `now` in seconds that never go
        backwards, the same clock at every call.
        """
        key = (scope, client, limit)
        size = max(1, limit // SHARES)
        with self._lock:
            share = self._shares.get(key)
            if share is None or (now >= share.until and not share.refused):
                self._begin(key, Share(size - 1, now + WINDOW_SECONDS))
                return 0
            if share.left > 0:
                share.left -= 1
                return 0
            if share.refused and now < share.until:
                return max(1, math.ceil((share.until - now) * 1000))
        # Not under the lock: other clients don't wait for this one's Redis.
        wait = self._windows.acquire(f"door:{scope}:{client}:{limit}", limit=limit // size, shop_label=shop_label)
        with self._lock:
            if wait:
                share.refused, share.until = True, now + wait / 1000
            else:
                # Added: several threads may have asked at once, and each has been given a share.
                share.left += size - 1
                share.refused, share.until = False, now + WINDOW_SECONDS
        return wait

    def forget(self) -> None:
        """Drops every client's share."""
        with self._lock:
            self._shares.clear()

    def _begin(self, key: tuple[str, str, int], share: Share) -> None:
        self._shares[key] = share
        self._shares.move_to_end(key)
        while len(self._shares) > self._most:
            self._shares.popitem(last=False)


pace = Pace(rate_windows)


def keep_pace(
    request: HttpRequest, *, scope: str, times: int, now: float, shop_label: str = NO_SHOP, token_id: str = ""
) -> None:
    """Raises RateLimited when this client asks more often than `times` the general limit; 0 times is no limit.

    `scope` is the shop's id, or what stands for it where there is none: what one shop is asked never counts at another.
    `token_id`: of the service token that was shown and is valid; then it is the client, wherever it calls from.
    """
    if not times or not settings.FRONT_DOOR_RATE_LIMIT_ENABLED:
        return
    limit = settings.FRONT_DOOR_RATE_LIMIT_REQUESTS_PER_MINUTE * times
    if token_id:
        limit *= TOKEN_HOLDERS
    client = f"token-{token_id}" if token_id else client_bucket(request)
    wait = pace.wait(scope, client, limit=limit, now=now, shop_label=shop_label)
    if wait:
        FRONT_DOOR_RATE_LIMITED.labels(shop_label).inc()
        raise RateLimited(wait)
