"""Metrics of the inbox, by the contract's names. `-` stands where no shop is known."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, Q
from prometheus_client import Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from tenants.metrics import BUCKETS, NO_SHOP
from webhooks.models import Finding, StripeEvent

SIGNATURE_REFUSED = Counter("webhook_signature_refused_total", "Deliveries without a valid signature.", ["shop_id"])
MALFORMED = Counter("webhook_malformed_total", "Signed bodies that are no event.", ["shop_id"])
OTHER_VERSION = Counter(
    "webhook_api_version_mismatch_total", "Deliveries in another API version than is read here.", ["shop_id"]
)
CAUGHT_UP = Counter("webhook_caught_up_total", "Events that had never arrived and were found in Stripe's list.")
TENANT_MISMATCH = Counter("webhook_tenant_mismatch_total", "Events of another shop, or of two.", ["shop_id"])
TENANT_UNRESOLVABLE = Counter("webhook_tenant_unresolvable_total", "Events of no known shop.", ["shop_id"])
PROCESS_SECONDS = Histogram("webhook_process_seconds", "Handling of one event.", ["shop_id", "type"], buckets=BUCKETS)

BACKLOG = (StripeEvent.Status.RECEIVED, StripeEvent.Status.PROCESSING, StripeEvent.Status.FAILED)


class InboxGauges:
    """What waits and what is stuck, counted at scrape time from the two short ends of the status index."""

    def collect(self) -> Iterator[Metric]:
        backlog = GaugeMetricFamily("webhook_backlog", "Events not handled yet.", labels=["shop_id"])
        dead = GaugeMetricFamily("webhook_dead_letters", "Events that a person has to look at.", labels=["shop_id"])
        for gauge, statuses in ((backlog, BACKLOG), (dead, (StripeEvent.Status.DEAD,))):
            events = StripeEvent.objects.filter(status__in=statuses).order_by()
            counts = {NO_SHOP: 0} | {
                shop_id or NO_SHOP: count
                for shop_id, count in events.values_list("shop_id").annotate(count=Count("pk"))
            }
            for shop_id, count in counts.items():
                gauge.add_metric([shop_id], count)
        yield backlog
        yield dead
        yield _findings("reconciliation_findings", "Differences that nobody has put right.", Q())
        violations = "Objects of Stripe's whose money the journal has otherwise, as of the last night."
        yield _findings("money_invariant_violations", violations, Q(kind=Finding.Kind.JOURNAL_DIFFERS))


def _findings(name: str, says: str, among: Q) -> Metric:
    """Open differences between Stripe's books and ours, by the short index of the open ones."""
    gauge = GaugeMetricFamily(name, says, labels=["shop_id"])
    rows = Finding.objects.filter(among, state=Finding.State.OPEN).order_by().values_list("shop_id")
    counts = {NO_SHOP: 0} | {shop_id or NO_SHOP: count for shop_id, count in rows.annotate(count=Count("pk"))}
    for shop_id, count in counts.items():
        gauge.add_metric([shop_id], count)
    return gauge
