"""Shape of what `PATCH /api/rental` takes, and what it does (P2). `POST` is the checkout's: it begins one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from django.http import HttpResponse
from msgspec import Meta, Struct, json
from rest_framework.request import Request

from commerce.api.inputs import SmallMap
from commerce.rentals.cases import RentalCommand, UnitsNamed
from commerce.rentals.life import handle_rental
from commerce.rentals.telling import rental_json
from tenants.api.inputs import read_input
from tenants.context import bind_shop
from tenants.staff_callers import errand_of

PERMISSION: Final = "commerce.handle_rental"
MOST_ITEMS: Final = 200
LARGEST: Final = 10**15


class ItemInput(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """Units of a line. `variantAttributes`: of which variant, or in an exchange, which goes out instead."""

    line_id: UUID
    quantity: Annotated[int, Meta(ge=1, le=1_000_000)]
    condition: Annotated[str, Meta(max_length=200)] = ""
    variant_attributes: SmallMap | None = None


class HandleInput(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """The body. Without `items`: all units that it can be done to."""

    rental_id: UUID
    action: Literal["hand_out", "return", "inspect", "damage", "lose", "exchange", "close"]
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=200)]
    items: Annotated[list[ItemInput], Meta(min_length=1, max_length=MOST_ITEMS)] | None = None
    at: Annotated[datetime, Meta(tz=True)] | None = None
    amount: Annotated[int, Meta(ge=1, le=LARGEST)] | None = None
    note: Annotated[str, Meta(max_length=500)] = ""
    shop_id: str | None = None


def patch_rental(request: Request) -> HttpResponse:
    """200 with the rental as it is then, for a repeat too."""
    body = read_input(request, HandleInput)
    errand = errand_of(request, named=body.shop_id, permission=PERMISSION)
    named = [
        UnitsNamed(item.line_id, item.quantity, item.condition, item.variant_attributes) for item in body.items or ()
    ]
    command = RentalCommand(
        rental_id=body.rental_id,
        action=body.action,
        key=f"api:{body.idempotency_key}",
        units=named or None,
        at=body.at,
        amount=body.amount,
        note=body.note,
    )
    with bind_shop(errand.shop):
        rental = handle_rental(shop=errand.shop, command=command, acting=errand.acting)
        response = HttpResponse(json.encode(rental_json(rental)), content_type="application/json")
    response["Cache-Control"] = "no-store"
    return response
