"""The front door's metrics, and where the apps hang their gauges.

Counters and histograms are ordinary prometheus_client objects, each defined by the app that counts. Gauges that read
the database are collectors: asked at scrape time they are right with any number of processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

log = structlog.get_logger(__name__)

NO_SHOP = "-"
"""Label of requests without a shop; no shop can be called that."""

# Both sides of every service level that is watched: 100 ms, 200 ms and 500 ms.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.5, 5.0, 10.0)

# Bounded labels: existing shops, the allowlist's families, HTTP statuses. Never a path, a host or an address.
HTTP_REQUESTS = Counter("http_requests_total", "Requests answered.", ["shop_id", "family", "status"])
HTTP_SECONDS = Histogram("http_request_seconds", "Seconds to answer.", ["shop_id", "family"], buckets=BUCKETS)
FRONT_DOOR_TOKEN_REFUSED = Counter(
    "front_door_token_refused_total",
    "Requests whose front-door token was not valid; answered as without one.",
    ["shop_id"],
)
FRONT_DOOR_RATE_LIMITED = Counter(
    "front_door_rate_limited_total", "Requests refused by the front door's own limit.", ["shop_id"]
)
RATE_LIMITS_LOCAL = Counter(
    "rate_limits_local_total", "Decisions that a process took for itself because Redis was away.", ["shop_id"]
)


@lru_cache(maxsize=8192)
def _of_request(shop_id: str, family: str, status: int) -> tuple[Counter, Histogram]:
    """Looking a child up by its labels costs more than counting in it."""
    return HTTP_REQUESTS.labels(shop_id, family, str(status)), HTTP_SECONDS.labels(shop_id, family)


def count_request(*, shop_id: str, family: str, status: int, seconds: float) -> None:
    """`shop_id` is NO_SHOP for a request without one; `family` one of the allowlist's."""
    requests, times = _of_request(shop_id, family, status)
    requests.inc()
    times.observe(seconds)


SERVICE_TOKEN_REFUSED = Counter(
    "service_token_refused_total", "Requests whose service token opened nothing; answered 401.", ["shop_id"]
)

database_registry = CollectorRegistry(auto_describe=False)
"""What /metrics asks besides the process's own registry."""


class GaugeSource(Protocol):
    """Reads the database once and yields its metrics, each with `shop_id`."""

    def collect(self) -> Iterable[Metric]: ...


class _Guarded(Collector):
    """One app's gauges that can't be read must not hide everybody else's."""

    def __init__(self, source: GaugeSource) -> None:
        self.source = source

    def collect(self) -> Iterator[Metric]:
        try:
            metrics = list(self.source.collect())
        except Exception:
            log.exception("gauges_not_read", source=type(self.source).__name__)
            return
        yield from metrics


def register_collector(source: GaugeSource) -> None:
    """Adds an app's database gauges to /metrics; called once, from the app's `ready`."""
    database_registry.register(_Guarded(source))
