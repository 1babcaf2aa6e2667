"""The back office's first page (A1): what sells, what is stuck, what runs. Every number leads to its rows.

A fixed number of grouped queries, whatever the number of shops and rows.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, F, Min, Model, Q, Sum
from django.db.models.functions import TruncHour
from django.http import HttpRequest
from django.utils import timezone

from checkout.models import CheckoutAttempt
from commerce.admin.rentals import on_the_day
from commerce.admin.returns import ON_DESK
from commerce.admin.subscriptions import FAILING
from commerce.models import Dispute, Invoice, Order, Refund, Rental
from commerce.money import format_minor
from inventory.models import Hold, InventoryRun, StockRow
from tenants.display import Tone, duration, list_url
from tenants.models import Shop
from tenants.staff import StaffScope, staff_scope
from webhooks.models import Finding, StripeEvent

SOLD = (Order.Status.CONFIRMED, Order.Status.REFUNDED)
REAPER_LATE_SECONDS = 300
"""Never rarer than every five minutes (I6)."""

OVERDUE_GRACE = timedelta(minutes=2)
"""A reaper comes every minute; what is overdue for longer than two was passed over."""


@dataclass(frozen=True, slots=True)
class Number:
    """One figure: what it counts, where its rows are, and whether somebody should look."""

    label: str
    value: str
    url: str | None
    tone: Tone = "plain"
    note: str = ""


def context(request: HttpRequest, base: dict[str, Any]) -> dict[str, Any]:
    """UNFOLD's DASHBOARD_CALLBACK."""
    now = timezone.now()
    return base | summary(now=now, scope=staff_scope(request.user)) | {"as_of": now, "title": "Dashboard"}


def summary(*, now: datetime, scope: StaffScope) -> dict[str, Any]:
    """`cards` for all shops together, `shops` as rows of the same figures, `chart` as the chart component's JSON.

    All of it about the shops of `scope`; what is no shop's, such as the reaper, is for platform staff.
    """
    shops = list(scope.rows(Shop.objects.only("id", "name"), "pk"))
    ids = [shop.pk for shop in shops]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    since = {"created_at__gte": midnight.isoformat()}
    orders = _orders(ids, midnight)
    holds = _holds(ids, now)
    ended = _ended(ids, now)
    review = _per_shop(Order.objects.filter(shop_id__in=ids, status=Order.Status.REVIEW))
    dead = _per_shop(scope.rows(StripeEvent.objects.filter(status=StripeEvent.Status.DEAD), "shop"))
    low = _low_stock(scope)
    rows = [
        {
            "shop": Number(shop.name, shop.pk, list_url(Shop, urlencode({"id__exact": shop.pk}))),
            "numbers": _numbers([shop.pk], orders, holds, ended, review, dead, low, since),
        }
        for shop in shops
    ]
    everything = [*ids, None]
    cards = [
        *_numbers(everything, orders, holds, ended, review, dead, low, since),
        _unknown(scope),
        *_money(scope, now),
    ]
    return {
        "cards": [*cards, _reaper(now)] if scope.is_platform else cards,
        "shops": rows,
        "chart": _chart(now, ids),
    }


def _numbers(
    ids: list[Any],
    orders: Mapping[Any, Mapping[str, Any]],
    holds: Mapping[Any, tuple[int, int]],
    ended: Mapping[Any, Mapping[str, int]],
    review: Mapping[Any, int],
    dead: Mapping[Any, int],
    low: Mapping[Any, tuple[int, int]],
    since: dict[str, str],
) -> list[Number]:
    """The figures of `ids` together. Links carry the shop's filter when there is one shop."""
    one = {"shop__id__exact": ids[0]} if _one_shop(ids) else {}
    sold = sum(orders[i]["sold"] for i in ids if i in orders)
    overdue = sum(holds[i][1] for i in ids if i in holds)
    finished = {state: sum(ended[i].get(state, 0) for i in ids if i in ended) for state in ("committed", "expired")}
    total = sum(finished.values())
    share = f"{round(100 * finished['expired'] / total)} %" if total else "–"
    return [
        Number("Orders today", str(sold), _link(Order, one | since), note=_revenue(ids, orders)),
        Number(
            "Active holds",
            str(sum(holds[i][0] for i in ids if i in holds)),
            _link(Hold, one | {"status__exact": "active"}),
            "bad" if overdue else "plain",
            f"{overdue} overdue" if overdue else "",
        ),
        Number("Holds expired, 24 h", share, _link(Hold, one | {"status__exact": "expired"}), note=f"of {total} ended"),
        _count("Orders to review", _total(ids, review), _link(Order, one | {"status__exact": "review"}), "warn"),
        _count("Dead letters", _total(ids, dead), _link(StripeEvent, one | {"status__exact": "dead"}), "bad"),
        _low(ids, low),
    ]


def _count(label: str, count: int, url: str | None, tone: Tone) -> Number:
    return Number(label, str(count), url, tone if count else "plain")


def _total(ids: Iterable[Any], counts: Mapping[Any, int]) -> int:
    return sum(counts.get(i, 0) for i in ids)


def _one_shop(ids: list[Any]) -> bool:
    return len(ids) == 1 and ids[0] is not None


def _link(model: type[Model], query: Mapping[str, str]) -> str | None:
    return list_url(model, urlencode(query))


def _low(ids: list[Any], low: Mapping[Any, tuple[int, int]]) -> Number:
    few, none = (sum(low[i][part] for i in ids if i in low) for part in (0, 1))
    query = {"state": "low"} | ({"owner__id__exact": ids[0]} if _one_shop(ids) else {})
    tone: Tone = "warn" if few or none else "plain"
    return Number("Low stock", str(few), _link(StockRow, query), tone, f"{none} more sold out" if none else "")


def _orders(ids: list[str], midnight: datetime) -> dict[Any, dict[str, Any]]:
    rows = (
        Order.objects.filter(shop_id__in=ids, created_at__gte=midnight, status__in=SOLD)
        .values_list("shop_id", "currency")
        .annotate(count=Count("pk"), money=Sum(F("total_amount") - F("deposit_amount")))
        .order_by()
    )
    result: dict[Any, dict[str, Any]] = {}
    for shop_id, currency, count, money in rows:
        entry = result.setdefault(shop_id, {"sold": 0, "money": defaultdict(int)})
        entry["sold"] += count
        entry["money"][currency] += int(money or 0)
    return result


def _revenue(ids: Iterable[Any], orders: Mapping[Any, Mapping[str, Any]]) -> str:
    sums: dict[str, int] = defaultdict(int)
    for i in ids:
        for currency, amount in orders.get(i, {"money": {}})["money"].items():
            sums[currency] += amount
    return " · ".join(format_minor(amount, currency, "en") for currency, amount in sorted(sums.items()))


def _holds(ids: list[str], now: datetime) -> dict[Any, tuple[int, int]]:
    rows = (
        Hold.objects.active()
        .filter(shop_id__in=ids)
        .values_list("shop_id")
        .annotate(count=Count("pk"), overdue=Count("pk", filter=Q(expires_at__lt=now - OVERDUE_GRACE)))
        .order_by()
    )
    return {shop_id: (count, overdue) for shop_id, count, overdue in rows}


def _ended(ids: list[str], now: datetime) -> dict[Any, dict[str, int]]:
    rows = (
        Hold.objects.filter(shop_id__in=ids, created_at__gte=now - timedelta(days=1))
        .exclude(status=Hold.Status.ACTIVE)
        .values_list("shop_id", "status")
        .annotate(count=Count("pk"))
        .order_by()
    )
    result: dict[Any, dict[str, int]] = defaultdict(dict)
    for shop_id, status, count in rows:
        result[shop_id][status] = count
    return result


def _per_shop(rows: Any) -> dict[Any, int]:
    return dict(rows.values_list("shop_id").annotate(count=Count("pk")).order_by())


def _low_stock(scope: StaffScope) -> dict[Any, tuple[int, int]]:
    """Owner → rows that run low, rows that are sold out. Pools, which are no one shop's, don't count towards one."""
    rows = (
        scope.rows(StockRow.objects.filter(available__lte=F("low_stock_threshold")), "owner__shop")
        .values_list("owner_id")
        .annotate(few=Count("pk", filter=Q(available__gt=0)), none=Count("pk", filter=Q(available__lte=0)))
        .order_by()
    )
    return {owner_id: (few, none) for owner_id, few, none in rows}


def _unknown(scope: StaffScope) -> Number:
    count = scope.rows(CheckoutAttempt.objects.filter(state=CheckoutAttempt.State.UNKNOWN), "shop").count()
    return _count("Checkouts in doubt", count, _link(CheckoutAttempt, {"state__exact": "unknown"}), "warn")


def _money(scope: StaffScope, now: datetime) -> list[Number]:
    """What somebody has to see to before it costs money."""
    refunds = scope.rows(Refund.objects.filter(ON_DESK), "shop").count()
    asked = scope.rows(Dispute.objects.to_answer().filter(evidence_due_by__gte=now), "shop").aggregate(
        count=Count("pk"), first=Min("evidence_due_by")
    )
    left = f"the first in {duration((asked['first'] - now).total_seconds())}" if asked["first"] else ""
    findings = scope.rows(Finding.objects.filter(state=Finding.State.OPEN), "shop").count()
    overdue = scope.rows(Rental.objects.filter(on_the_day("overdue")), "shop").count()
    failing = scope.rows(Invoice.objects.filter(FAILING), "shop").count()
    return [
        _count("Refunds not arrived", refunds, _link(Refund, {"desk": "stuck"}), "bad"),
        replace(_count("Disputes to answer", asked["count"], _link(Dispute, {"open": "answer"}), "bad"), note=left),
        _count("Differences from Stripe", findings, _link(Finding, {"state__exact": "open"}), "bad"),
        _count("Rentals overdue", overdue, _link(Rental, {"day": "overdue"}), "warn"),
        _count("Renewals unpaid", failing, _link(Invoice, {"trouble": "past_due"}), "warn"),
    ]


def _reaper(now: datetime) -> Number:
    last = InventoryRun.objects.filter(kind=InventoryRun.Kind.REAP).order_by("-finished_at").first()
    url = list_url(InventoryRun)
    if last is None:
        return Number("Reaper", "never ran", url, "bad")
    seconds = (now - last.finished_at).total_seconds()
    late = seconds > REAPER_LATE_SECONDS or not last.healthy
    return Number("Reaper", f"{duration(max(0, seconds))} ago", url, "bad" if late else "good")


def _chart(now: datetime, ids: list[str]) -> str:
    """Orders per hour of the last day, sold and not, for unfold's bar chart."""
    hours = [(now - timedelta(hours=back)).replace(minute=0, second=0, microsecond=0) for back in range(23, -1, -1)]
    sold: dict[datetime, int] = defaultdict(int)
    other: dict[datetime, int] = defaultdict(int)
    rows = (
        Order.objects.filter(shop_id__in=ids, created_at__gte=hours[0])
        .annotate(hour=TruncHour("created_at"))
        .values_list("hour", "status")
        .annotate(count=Count("pk"))
        .order_by()
    )
    for hour, status, count in rows:
        (sold if status in SOLD else other)[hour] += count
    return json.dumps(
        {
            "labels": [f"{hour:%H}:00" for hour in hours],
            "datasets": [
                _bars("Sold", sold, hours, "var(--color-primary-600)"),
                _bars("Not paid", other, hours, "var(--color-base-300)"),
            ],
        }
    )


def _bars(label: str, counts: Mapping[datetime, int], hours: list[datetime], colour: str) -> dict[str, Any]:
    return {"label": label, "data": [counts.get(hour, 0) for hour in hours], "backgroundColor": colour}
