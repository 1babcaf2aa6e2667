"""`POST /api/subscription/change` and `/api/subscription/cancel` (P3)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from django.http import HttpResponse
from msgspec import UNSET, Meta, Struct, UnsetType
from rest_framework.request import Request
from rest_framework.views import APIView

from commerce.subscriptions.commands import Kind, Wish
from commerce.subscriptions.operating import Outcome, operate, preview_change
from tenants.api.inputs import read_input
from tenants.context import bind_shop
from tenants.staff_callers import ALSO_STAFF, Errand, errand_of

PERMISSION: Final = "commerce.operate_subscription"
MOST_UNITS: Final = 999

StripeId = Annotated[str, Meta(pattern=r"^sub_[A-Za-z0-9_-]{1,250}$")]
Key = Annotated[str, Meta(min_length=1, max_length=200)]


class ChangeInput(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """Another plan, or as many of it. `preview` asks what it would cost, and changes nothing."""

    subscription_id: StripeId
    plan_id: Annotated[str, Meta(min_length=1, max_length=40)]
    prorate: Literal["create", "invoice_now", "none"]
    idempotency_key: Key
    quantity: Annotated[int, Meta(ge=1, le=MOST_UNITS)] | None = None
    preview: bool = False
    shop_id: str | None = None


class CancelInput(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """With the paid period, or at once."""

    subscription_id: StripeId
    at_period_end: bool
    idempotency_key: Key
    reason: Annotated[str, Meta(max_length=500)] = ""
    shop_id: str | None = None


class OperationAnswer(Struct, rename="camel", omit_defaults=True):
    """The subscription after it. `proration_amount` in minor units, negative where something is given back."""

    subscription_id: str
    status: str
    plan_id: str | None
    current_period_end: str | None
    cancel_at_period_end: bool
    currency: str
    proration_amount: int | UnsetType = UNSET


class ChangeView(APIView):
    """200 with the subscription; repeats of a key answer the same."""

    authentication_classes = ALSO_STAFF

    def post(self, request: Request) -> HttpResponse:
        body = read_input(request, ChangeInput)
        errand = errand_of(request, named=body.shop_id, permission=PERMISSION)
        wish = Wish(
            subscription_id=body.subscription_id,
            kind=Kind.CHANGE,
            key=f"api:{body.idempotency_key}",
            plan_code=body.plan_id,
            quantity=body.quantity,
            prorate=body.prorate,
        )
        if body.preview:
            with bind_shop(errand.shop):
                return _answer(preview_change(shop=errand.shop, wish=wish))
        return _carried_out(errand, wish)


class CancelView(APIView):
    """200 with the subscription; repeats of a key answer the same."""

    authentication_classes = ALSO_STAFF

    def post(self, request: Request) -> HttpResponse:
        body = read_input(request, CancelInput)
        errand = errand_of(request, named=body.shop_id, permission=PERMISSION)
        wish = Wish(
            subscription_id=body.subscription_id,
            kind=Kind.CANCEL_AT_END if body.at_period_end else Kind.CANCEL_NOW,
            key=f"api:{body.idempotency_key}",
            reason=body.reason,
        )
        return _carried_out(errand, wish)


def _carried_out(errand: Errand, wish: Wish) -> HttpResponse:
    with bind_shop(errand.shop):
        return _answer(operate(shop=errand.shop, wish=wish, acting=errand.acting))


def _answer(outcome: Outcome) -> HttpResponse:
    row = outcome.subscription
    end = row.current_period_end
    body = OperationAnswer(
        subscription_id=row.subscription_id,
        status=row.status,
        plan_id=outcome.plan_code or None,
        current_period_end=end.strftime("%Y-%m-%dT%H:%M:%SZ") if end else None,
        cancel_at_period_end=row.cancel_at_period_end,
        currency=row.currency,
        proration_amount=UNSET if outcome.proration is None else outcome.proration,
    )
    response = HttpResponse(msgspec.json.encode(body), content_type="application/json")
    response["Cache-Control"] = "no-store"
    return response
