"""The inventory's HTTP endpoints."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final

import msgspec
from django.http import HttpResponse
from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.views import APIView

from inventory.api.inputs import read_skus
from inventory.availability import Availability, available_for_skus
from tenants.context import current_shop

# Seconds. There is no cache of ours behind it, so this is all the staleness that an answer can have.
MAX_AGE: Final = 2


class AvailabilityItem(msgspec.Struct, rename="camel"):
    sku: str
    variant_key: str
    available: int
    state: str


class AvailabilityAnswer(msgspec.Struct, rename="camel"):
    shop_id: str
    as_of: datetime
    items: list[AvailabilityItem]


class AvailabilityView(APIView):
    """`?sku=A&sku=B`: every variant of the SKUs. Answers 304 to a current ETag, which `asOf` is no part of."""

    def get(self, request: Request) -> HttpResponse:
        shop = current_shop()
        found = available_for_skus(shop_id=shop.shop_id, skus=read_skus(request.query_params))
        items = [_item(variant) for variant in found]
        etag = f'"{hashlib.sha256(msgspec.json.encode([shop.shop_id, items])).hexdigest()[:32]}"'
        if _is_current(request.headers.get("If-None-Match", ""), etag):
            response = HttpResponse(status=304)
            del response["Content-Type"]
        else:
            answer = AvailabilityAnswer(shop_id=shop.shop_id, as_of=datetime.now(UTC), items=items)
            response = HttpResponse(msgspec.json.encode(answer), content_type="application/json")
        response["ETag"] = etag
        response["Cache-Control"] = f"max-age={MAX_AGE}"
        return response


def _item(found: Availability) -> AvailabilityItem:
    return AvailabilityItem(sku=found.sku, variant_key=found.variant_key, available=found.available, state=found.state)


def _is_current(header: str, etag: str) -> bool:
    """RFC 9110, section 13.1.2: weak comparison with any tag of the list, or `*`."""
    tags = parse_etags(header)
    return "*" in tags or etag in (tag.removeprefix("W/") for tag in tags)
