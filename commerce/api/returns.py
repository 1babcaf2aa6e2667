"""`POST /api/return`: money goes back, by line, by amount or of a deposit (P1)."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

import msgspec
from django.http import HttpResponse
from msgspec import Meta, Struct
from rest_framework.request import Request
from rest_framework.views import APIView

from commerce.returns.claiming import MOST_LINES, LineReturned, ReturnCommand
from commerce.returns.refunding import ReturnOutcome, return_order
from tenants.api.inputs import read_input
from tenants.context import bind_shop
from tenants.errors import InvalidRequest
from tenants.staff_callers import ALSO_STAFF, errand_of

PERMISSION: Final = "commerce.refund_order"
MOST_UNITS: Final = 1_000_000
LARGEST: Final = 10**15


class LineInput(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """Units of one order line; `restock`: they go on sale again."""

    line_id: UUID
    quantity: Annotated[int, Meta(ge=1, le=MOST_UNITS)]
    restock: bool = False


class ReturnInput(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """The body. `lines` xor `amount`; neither and no `deposit`: everything that is left."""

    order_id: UUID
    reason: Annotated[str, Meta(min_length=3, max_length=500)]
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=200)]
    lines: Annotated[list[LineInput], Meta(min_length=1, max_length=MOST_LINES)] | None = None
    amount: Annotated[int, Meta(ge=1, le=LARGEST)] | None = None
    deposit: bool = False
    shop_id: str | None = None


class RefundAnswer(Struct, rename="camel"):
    refund_id: UUID
    amount: int
    status: str


class ReturnAnswer(Struct, rename="camel"):
    return_id: UUID
    refunds: list[RefundAnswer]
    refunded_amount: int
    remaining_amount: int
    currency: str


class ReturnView(APIView):
    """201 with the refunds, 200 when the same key has been answered before."""

    authentication_classes = ALSO_STAFF

    def post(self, request: Request) -> HttpResponse:
        body = read_input(request, ReturnInput)
        errand = errand_of(request, named=body.shop_id, permission=PERMISSION)
        if body.lines is not None and body.amount is not None:
            raise InvalidRequest("The request body is not valid.", {"amount": ["Lines or an amount, not both."]})
        command = ReturnCommand(
            order_id=body.order_id,
            reason=body.reason,
            key=f"api:{body.idempotency_key}",
            lines=[LineReturned(line.line_id, line.quantity, line.restock) for line in body.lines or ()],
            amount=body.amount,
            deposit=body.deposit,
        )
        with bind_shop(errand.shop):
            outcome = return_order(shop=errand.shop, command=command, acting=errand.acting)
        return _answer(outcome)


def _answer(outcome: ReturnOutcome) -> HttpResponse:
    body = ReturnAnswer(
        return_id=outcome.return_id,
        refunds=[RefundAnswer(made.refund_id, made.amount, made.status) for made in outcome.refunds],
        refunded_amount=outcome.refunded,
        remaining_amount=outcome.remaining,
        currency=outcome.currency,
    )
    response = HttpResponse(
        msgspec.json.encode(body), status=201 if outcome.fresh else 200, content_type="application/json"
    )
    response["Cache-Control"] = "no-store"
    return response
