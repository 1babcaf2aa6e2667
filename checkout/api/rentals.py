"""`/api/rental`: the counter's rentals (P2). Customers book through the checkout."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from django.http import HttpResponse
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.views import APIView

from checkout.api.inputs import ItemInput, valid_email, wanted_lines
from checkout.counter import CounterRental, begin_rental, status_of
from checkout.rate_limit import Turnstile
from commerce.api.inputs import Rental, SmallMap
from commerce.api.rentals import PERMISSION, patch_rental
from commerce.rentals.telling import summary_json
from tenants.api.inputs import read_input
from tenants.client_ip import client_bucket
from tenants.context import bind_shop
from tenants.errors import InvalidRequest
from tenants.staff_callers import ALSO_STAFF, errand_of


class CounterItemInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    sku: Annotated[str, Meta(min_length=1, max_length=64)]
    quantity: Annotated[int, Meta(ge=1, le=999)]
    variant_attributes: SmallMap = {}


class CustomerInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    email: Annotated[str, Meta(min_length=1, max_length=254)]
    name: Annotated[str, Meta(max_length=200)] = ""
    phone: Annotated[str, Meta(max_length=40)] = ""


class CounterInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The body of `POST`; prices are the catalog's."""

    items: Annotated[list[CounterItemInput], Meta(min_length=1, max_length=100)]
    period: Rental
    customer: CustomerInput
    payment: Literal["link", "external"]
    idempotency_key: Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,200}$")]
    shop_id: str | None = None


class RentalView(APIView):
    """`POST` begins a rental: 201, or 200 for a repeat. `PATCH` does something to one: hand out, take back, inspect,
    note damage or loss, exchange, close.
    """

    authentication_classes = ALSO_STAFF

    def post(self, request: Request) -> HttpResponse:
        body = read_input(request, CounterInput)
        errand = errand_of(request, named=body.shop_id, permission=PERMISSION)
        items = [ItemInput(item.sku, item.quantity, item.variant_attributes, body.period) for item in body.items]
        if errand.shop.policy.kind != "rental":
            raise InvalidRequest("This shop doesn't rent out.", {"period": ["This shop doesn't rent out."]})
        wanted = CounterRental(
            items=wanted_lines(items, kind=errand.shop.policy.kind),
            email=valid_email(body.customer.email),
            name=body.customer.name,
            phone=body.customer.phone,
            payment=body.payment,
            key=body.idempotency_key,
        )
        with bind_shop(errand.shop):
            turnstile = Turnstile(errand.shop, client_bucket(request._request))
            made = begin_rental(shop=errand.shop, wanted=wanted, acting=errand.acting, turnstile=turnstile)
            answer = {
                **summary_json(made.order, status=status_of(made.order)),
                "period": {"start": body.period.start.isoformat(), "end": body.period.end.isoformat()},
                **({"paymentUrl": made.payment_url} if made.payment_url else {}),
            }
        response = HttpResponse(
            msgspec.json.encode(answer), status=201 if made.fresh else 200, content_type="application/json"
        )
        response["Cache-Control"] = "no-store"
        return response

    def patch(self, request: Request) -> HttpResponse:
        return patch_rental(request)
