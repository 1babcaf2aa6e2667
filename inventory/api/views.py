"""What is there: `GET /api/inventory/availability`, `POST …/validate`, `GET …/health`."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from typing import Final

import msgspec
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpResponse
from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.views import APIView

from inventory import metrics
from inventory.api.inputs import Period, Validate, read_period, read_skus, to_lines
from inventory.availability import Availability, available_for_skus
from inventory.errors import InsufficientStock, InventoryUnavailable
from inventory.periods import PeriodAvailability, available_skus
from inventory.validation import Checked, validate_lines
from tenants.api.inputs import read_input
from tenants.callers import caller_of
from tenants.context import current_shop
from tenants.errors import InvalidRequest
from tenants.identity import refuse_other_shop

# Seconds. There is no cache of ours behind it, so this is all the staleness that an answer can have.
MAX_AGE: Final = 2


class AvailabilityItem(msgspec.Struct, rename="camel"):
    sku: str
    variant_key: str
    available: int
    state: str
    short_days: list[date] | msgspec.UnsetType = msgspec.UNSET
    """Of a period: the days on which there is none."""


class AvailabilityAnswer(msgspec.Struct, rename="camel"):
    shop_id: str
    as_of: datetime
    items: list[AvailabilityItem]


class ValidatedItem(msgspec.Struct, rename="camel"):
    sku: str
    variant_key: str
    requested: int
    available: int


class ValidateAnswer(msgspec.Struct, rename="camel"):
    ok: bool
    shop_id: str
    items: list[ValidatedItem]


class HealthAnswer(msgspec.Struct, rename="camel"):
    ok: bool
    shop_id: str | None
    as_of: datetime


class AvailabilityView(APIView):
    """`?sku=A&sku=B`: every variant of the SKUs. Answers 304 to a current ETag, which `asOf` is no part of.

    `&start=…&end=…` in a shop that rents out: what is there on each of these days, and on days for cleaning after them.
    """

    def get(self, request: Request) -> HttpResponse:
        shop = current_shop()
        skus = read_skus(request.query_params)
        period = read_period(request.query_params)
        if period is not None and shop.policy.kind != "rental":
            raise InvalidRequest("The query is not valid.", {"start": ["This shop doesn't rent out."]})
        items = _items(shop.shop_id, skus, period)
        etag = f'"{hashlib.sha256(msgspec.json.encode([shop.shop_id, items])).hexdigest()[:32]}"'
        if _is_current(request.headers.get("If-None-Match", ""), etag):
            response = HttpResponse(status=304)
            del response["Content-Type"]
        else:
            response = answer_json(AvailabilityAnswer(shop_id=shop.shop_id, as_of=datetime.now(UTC), items=items))
        response["ETag"] = etag
        response["Cache-Control"] = f"max-age={MAX_AGE}"
        return response


class ValidateView(APIView):
    """Whether there is enough of every item: 200, or 409 with the short ones. Holds nothing."""

    def post(self, request: Request) -> HttpResponse:
        body = read_input(request, Validate)
        refuse_other_shop(body.shop_id)
        shop = current_shop()
        shop_id = shop.shop_id
        lines = to_lines(body.items, rents=shop.policy.kind == "rental")
        try:
            checked = validate_lines(shop_id=shop_id, lines=lines)
        except (InsufficientStock, InventoryUnavailable, OperationalError, InterfaceError):
            metrics.VALIDATION_FAILURES.labels(shop_id).inc()
            raise
        return answer_json(ValidateAnswer(ok=True, shop_id=shop_id, items=[_validated(item) for item in checked]))


class HealthView(APIView):
    """Whether stock can be asked for now: 200, or 503 `inventory_unavailable`. The platform's token needs no shop."""

    def get(self, request: Request) -> HttpResponse:
        caller_of(request._request)
        shop = vars(request._request)["shop"]
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT 1 FROM inventory_stockrow)")
        return answer_json(HealthAnswer(ok=True, shop_id=shop and shop.shop_id, as_of=datetime.now(UTC)))


def answer_json(body: msgspec.Struct, *, status: int = 200) -> HttpResponse:
    """The body as JSON that nobody keeps, without the renderer's detour through dictionaries."""
    response = HttpResponse(msgspec.json.encode(body), status=status, content_type="application/json")
    response["Cache-Control"] = "no-store"
    return response


def _items(shop_id: str, skus: list[str], period: Period | None) -> list[AvailabilityItem]:
    if period is None:
        return [_item(variant) for variant in available_for_skus(shop_id=shop_id, skus=skus)]
    found = available_skus(shop_id=shop_id, skus=skus, starts=period.start, ends=period.end)
    return [_item(variant, short_days=list(variant.short_days)) for variant in found]


def _item(
    found: Availability | PeriodAvailability, *, short_days: list[date] | msgspec.UnsetType = msgspec.UNSET
) -> AvailabilityItem:
    return AvailabilityItem(
        sku=found.sku,
        variant_key=found.variant_key,
        available=found.available,
        state=found.state,
        short_days=short_days,
    )


def _validated(item: Checked) -> ValidatedItem:
    line = item.line
    return ValidatedItem(sku=line.sku, variant_key=line.variant_key, requested=line.quantity, available=item.available)


def _is_current(header: str, etag: str) -> bool:
    """RFC 9110, section 13.1.2: weak comparison with any tag of the list, or `*`."""
    tags = parse_etags(header)
    return "*" in tags or etag in (tag.removeprefix("W/") for tag in tags)
