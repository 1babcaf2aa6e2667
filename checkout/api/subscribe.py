"""`POST /api/subscribe`: a plan, paid on Stripe's page (P3)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from checkout.api.inputs import CLIENT_KEY, _coupon, valid_email
from checkout.rate_limit import Turnstile
from checkout.return_urls import cancel_url, success_url
from checkout.subscribing.contracts import StartSubscription, SubscribeAnswer
from checkout.subscribing.start import start_subscription
from checkout.subscribing.status import Subscribed
from tenants.api.inputs import read_input
from tenants.client_ip import client_bucket
from tenants.context import ShopContext, current_shop
from tenants.errors import InvalidRequest
from tenants.identity import refuse_other_shop

MOST_UNITS = 999


class SubscribeInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The body. `planId` is the plan's code, as `GET /api/catalog` lists it."""

    plan_id: Annotated[str, Meta(min_length=1, max_length=40)]
    email: Annotated[str, Meta(min_length=3, max_length=254)]
    quantity: Annotated[int, Meta(ge=1, le=MOST_UNITS)] = 1
    coupon_code: Annotated[str, Meta(max_length=200)] | None = None
    locale: Annotated[str, Meta(max_length=12)] | None = None
    return_url: Annotated[str, Meta(max_length=2000)] | None = None
    cancel_url: Annotated[str, Meta(max_length=2000)] | None = None
    shop_id: str | None = None


class SubscribeView(APIView):
    """201 with a new session, 200 on a repeat."""

    def post(self, request: Request) -> Response:
        shop = current_shop()
        body = read_input(request, SubscribeInput)
        refuse_other_shop(body.shop_id)
        command = to_command(shop=shop, body=body, client_key=request.headers.get("Idempotency-Key"))
        turnstile = Turnstile(shop, client_bucket(request._request))
        answer = start_subscription(shop=shop, command=command, turnstile=turnstile)
        return Response(answer_json(answer), status=status.HTTP_201_CREATED if answer.created else status.HTTP_200_OK)


def to_command(*, shop: ShopContext, body: SubscribeInput, client_key: str | None) -> StartSubscription:
    """The command behind a request. Raises InvalidRequest with the field, CouponRejected for an impossible code."""
    if client_key is not None and not CLIENT_KEY.match(client_key):
        raise InvalidRequest(
            "Idempotency-Key must be 1 to 255 visible ASCII characters.", {"Idempotency-Key": ["Malformed."]}
        )
    locale = body.locale or shop.policy.default_locale
    if locale not in shop.policy.locales:
        raise InvalidRequest(
            "The shop doesn't speak this locale.", {"locale": [f"One of {', '.join(shop.policy.locales)}."]}
        )
    return StartSubscription(
        plan_code=body.plan_id,
        email=valid_email(body.email),
        quantity=body.quantity,
        coupon_code=_coupon(body.coupon_code),
        client_key=client_key,
        locale=locale,
        success_url=success_url(shop, body.return_url, locale),
        cancel_url=cancel_url(shop, body.cancel_url, locale),
    )


def summary_json(found: Subscribed, locale: str) -> dict[str, Any]:
    """A session's summary, as a checkout's: the plan is its one line, and what is paid now its amounts."""
    done = found.status == "confirmed"
    terms = found.terms
    due = 0 if terms.trial_days else terms.amount * found.quantity
    return {
        "sessionId": found.session_id,
        "mode": "subscription",
        "status": "complete" if done else "expired" if found.status == "canceled" else "open",
        "paymentStatus": ("no_payment_required" if terms.trial_days else "paid") if done else "unpaid",
        "orderStatus": found.status,
        "subscriptionId": found.subscription_id or None,
        "planId": terms.code,
        "lines": [
            {
                "sku": terms.code,
                "variantKey": terms.code,
                "title": terms.name(locale),
                "quantity": found.quantity,
                "unitAmount": terms.amount,
                "lineAmount": terms.amount * found.quantity,
                "depositAmount": 0,
                "rental": None,
            }
        ],
        "amounts": {"subtotal": due, "discount": 0, "shipping": 0, "tax": 0, "deposit": 0, "total": due},
        "currency": terms.currency,
    }


def answer_json(answer: SubscribeAnswer) -> dict[str, Any]:
    """As a checkout's answer, without an order and stock, and with the plan."""
    body: dict[str, Any] = {
        "sessionId": answer.session_id,
        "uiMode": answer.ui_mode,
        "mode": "subscription",
        "orderId": None,
        "inventoryReservationId": None,
        "expiresAt": answer.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "planId": answer.plan_code,
        "quantity": answer.quantity,
        "trialDays": answer.trial_days,
        "unitAmount": answer.unit_amount,
        "amounts": {
            "subtotal": answer.subtotal,
            "discount": 0,
            "shipping": 0,
            "tax": max(0, answer.total - answer.subtotal),
            "deposit": 0,
            "total": answer.total,
        },
        "currency": answer.currency,
        "priceChanged": False,
        "changes": [],
    }
    if answer.url:
        body["url"] = answer.url
    if answer.client_secret:
        body["clientSecret"] = answer.client_secret
    return body
