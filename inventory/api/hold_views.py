"""`/api/inventory/holds`: stock set aside by callers with a service token (I5)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from inventory import metrics
from inventory.api.inputs import (
    CommitHold,
    ExtendHold,
    Period,
    PlaceHold,
    ReleaseHold,
    hold_key,
    read_hold_id,
    to_lines,
)
from inventory.api.views import answer_json
from inventory.combiner import place_hold_together
from inventory.hold_details import hold_details
from inventory.holds import HoldState, commit_hold, extend_hold, release_hold
from inventory.lines import Line, combined
from tenants.api.inputs import read_input
from tenants.callers import caller_of
from tenants.context import current_shop
from tenants.identity import refuse_other_shop


class HeldItem(msgspec.Struct, rename="camel", omit_defaults=True):
    sku: str
    variant_key: str
    quantity: int
    rental: Period | None = None


class HoldAnswer(msgspec.Struct, rename="camel"):
    """One shape for every answer about a hold. `idempotentHit`: what was asked for had been done before."""

    hold_id: UUID
    status: str
    expires_at: datetime
    items: list[HeldItem]
    idempotent_hit: bool


class HoldsView(APIView):
    """Places a hold on all items or none: 201, or 200 with the hold that the key has."""

    def post(self, request: Request) -> HttpResponse:
        acting = caller_of(request._request).acting
        body = read_input(request, PlaceHold)
        refuse_other_shop(body.shop_id)
        shop = current_shop()
        lines = combined(to_lines(body.items, rents=shop.policy.kind == "rental"))
        placed = place_hold_together(
            shop_id=shop.shop_id,
            key=hold_key(body.idempotency_key),
            lines=lines,
            ttl_seconds=shop.policy.hold_ttl_seconds if body.ttl_seconds is None else body.ttl_seconds,
            acting=acting,
        )
        if not placed.idempotent_hit:
            metrics.count_busy_retry(request.headers, shop_id=shop.shop_id)
        answer = HoldAnswer(
            hold_id=placed.hold_id,
            status=placed.status,
            expires_at=placed.expires_at,
            items=_items(lines),
            idempotent_hit=placed.idempotent_hit,
        )
        return answer_json(answer, status=200 if placed.idempotent_hit else 201)


class HoldView(APIView):
    """One hold, whoever placed it: a checkout's can be read as well."""

    def get(self, request: Request, hold_id: str) -> HttpResponse:
        caller_of(request._request)
        return _shown(read_hold_id(hold_id))


class ExtendView(APIView):
    """Lets the hold live `ttlSeconds` from now."""

    def post(self, request: Request, hold_id: str) -> HttpResponse:
        acting = caller_of(request._request).acting
        body = read_input(request, ExtendHold)
        refuse_other_shop(body.shop_id)
        asked = read_hold_id(hold_id)
        extend_hold(shop_id=current_shop().shop_id, hold_id=asked, ttl_seconds=body.ttl_seconds, acting=acting)
        return _shown(asked)


class CommitView(APIView):
    """Turns the hold into a sale."""

    def post(self, request: Request, hold_id: str) -> HttpResponse:
        acting = caller_of(request._request).acting
        refuse_other_shop(read_input(request, CommitHold).shop_id)
        asked = read_hold_id(hold_id)
        state = commit_hold(shop_id=current_shop().shop_id, hold_id=asked, reason="", acting=acting)
        return _shown(asked, state)


class ReleaseView(APIView):
    """Gives the units back."""

    def post(self, request: Request, hold_id: str) -> HttpResponse:
        acting = caller_of(request._request).acting
        body = read_input(request, ReleaseHold)
        refuse_other_shop(body.shop_id)
        asked = read_hold_id(hold_id)
        state = release_hold(shop_id=current_shop().shop_id, hold_id=asked, reason=body.reason, acting=acting)
        return _shown(asked, state)


def _shown(hold_id: UUID, state: HoldState | None = None) -> HttpResponse:
    """The hold as it is now; `state` is what a verb made of it, which a later reader may find changed again."""
    found = hold_details(shop_id=current_shop().shop_id, hold_id=hold_id)
    return answer_json(
        HoldAnswer(
            hold_id=found.hold_id,
            status=found.status if state is None else state.status,
            expires_at=found.expires_at,
            items=_items(found.lines),
            idempotent_hit=state is not None and not state.changed,
        )
    )


def _items(lines: Iterable[Line]) -> list[HeldItem]:
    return [
        HeldItem(
            sku=line.sku,
            variant_key=line.variant_key,
            quantity=line.quantity,
            rental=Period(line.starts, line.ends) if line.starts and line.ends else None,
        )
        for line in lines
    ]
