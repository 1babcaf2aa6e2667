"""`POST /api/reconciliation`: sales that were recorded elsewhere (O3)."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from django.http import HttpResponse
from msgspec import UNSET, Meta, Struct, UnsetType
from rest_framework.request import Request
from rest_framework.views import APIView

from commerce.reconciliation.receiving import MOST_RECORDS, Outcome, reconcile
from tenants.api.inputs import read_input
from tenants.callers import caller_of
from tenants.context import current_shop
from tenants.identity import refuse_other_shop

SOURCE: Final = r"^[a-z][a-z0-9_]{0,31}\Z"


class ReconciliationInput(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """The body. Records are judged one by one: what is wrong with one is no fault of the others."""

    source: Annotated[str, Meta(pattern=SOURCE)]
    records: Annotated[list[Any], Meta(min_length=1, max_length=MOST_RECORDS)]
    shop_id: str | None = None


class ResultAnswer(Struct, rename="camel", omit_defaults=True):
    external_id: str | None
    outcome: str
    normalised: bool
    order_id: UUID | UnsetType = UNSET
    fields: dict[str, list[str]] | UnsetType = UNSET


class ReconciliationAnswer(Struct, rename="camel"):
    results: list[ResultAnswer]


class ReconciliationView(APIView):
    """200 with an answer per record; 422 when every one is refused."""

    def post(self, request: Request) -> HttpResponse:
        acting = caller_of(request._request).acting
        body = read_input(request, ReconciliationInput)
        refuse_other_shop(body.shop_id)
        outcomes = reconcile(shop=current_shop(), source=body.source, records=body.records, acting=acting)
        answer = ReconciliationAnswer(results=[_result(outcome) for outcome in outcomes])
        response = HttpResponse(msgspec.json.encode(answer), content_type="application/json")
        response["Cache-Control"] = "no-store"
        return response


def _result(outcome: Outcome) -> ResultAnswer:
    return ResultAnswer(
        external_id=outcome.external_id,
        outcome=outcome.state,
        normalised=outcome.normalised,
        order_id=outcome.order_id or UNSET,
        fields=outcome.fields or UNSET,
    )
