"""HTTP of the checkout: read, call the verb, write. Rules are elsewhere."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from checkout.api.inputs import StartCheckoutInput, to_command
from checkout.api.subscribe import summary_json
from checkout.capabilities import capabilities
from checkout.contracts import Amounts, CheckoutAnswer
from checkout.rate_limit import Turnstile
from checkout.start import start_checkout
from checkout.status import order_status, session_summary
from checkout.subscribing.status import subscribed
from commerce.api.cacheable import cacheable
from commerce.cart.cookie import read_cart_id
from commerce.models import OrderLine
from inventory.metrics import count_busy_retry
from tenants.api.inputs import read_input
from tenants.client_ip import client_bucket
from tenants.context import current_shop
from tenants.errors import InvalidRequest
from tenants.locales import choose_locale

# Seconds. A storefront asks at its start or build; a setting that changes reaches it within this.
MAX_AGE = 30


class CheckoutSessionView(APIView):
    """`POST /api/checkout-session`: 201 with a new session, 200 on a repeat or for what is bought already."""

    def post(self, request: Request) -> Response:
        shop = current_shop()
        command = to_command(
            shop=shop,
            body=read_input(request, StartCheckoutInput),
            client_key=request.headers.get("Idempotency-Key"),
            cart_id=read_cart_id(request._request, shop.shop_id),
        )
        answer = start_checkout(shop=shop, command=command, turnstile=Turnstile(shop, client_bucket(request._request)))
        if answer.created:
            count_busy_retry(request.headers, shop_id=shop.shop_id)
        return Response(answer_json(answer), status=status.HTTP_201_CREATED if answer.created else status.HTTP_200_OK)


class CapabilitiesView(APIView):
    """`GET /api/capabilities`: what the shop has on; answers 304 to a current ETag."""

    def get(self, request: Request) -> HttpResponse:
        document = capabilities(shop=current_shop())
        return cacheable(document, if_none_match=request.headers.get("If-None-Match", ""), seconds=MAX_AGE)


class CheckoutSummaryView(APIView):
    """`GET /api/checkout-session/{sessionId}`: lines and amounts for a thank-you page."""

    def get(self, request: Request, session_id: str) -> Response:
        shop = current_shop()
        if (found := subscribed(shop=shop, session_id=session_id)) is not None:
            asked = request.query_params.get("locale", "")
            locale = choose_locale(asked, offered=shop.policy.locales, default=shop.policy.default_locale)
            return Response(summary_json(found, locale))
        summary = session_summary(shop=shop, session_id=session_id)
        return Response(
            {
                "sessionId": summary.session_id,
                "status": summary.status,
                "paymentStatus": summary.payment_status,
                "orderStatus": summary.order_status,
                "lines": [
                    {
                        "sku": line.sku,
                        "variantKey": line.variant_key,
                        "title": line.title,
                        "quantity": line.quantity,
                        "unitAmount": line.unit_amount,
                        "lineAmount": line.line_amount,
                        "depositAmount": line.deposit_amount,
                        "rental": rental_json(line),
                    }
                    for line in summary.lines
                ],
                "amounts": amounts_json(summary.amounts),
                "currency": summary.currency,
            }
        )


class OrderStatusView(APIView):
    """`GET /api/order-status?session_id=…`, polled: `Retry-After` says when to come again."""

    def get(self, request: Request) -> Response:
        session_id = request.query_params.get("session_id", "")
        if not session_id:
            raise InvalidRequest("`session_id` is required.", {"session_id": ["Required."]})
        answer = order_status(shop=current_shop(), session_id=session_id)
        body: dict[str, Any] = {"status": answer.status, "finalised": answer.finalised}
        headers = {}
        if answer.order_id is not None:
            body |= {"orderId": str(answer.order_id), "number": answer.number}
        if answer.retry_after_ms is not None:
            body["retryAfterMs"] = answer.retry_after_ms
            headers["Retry-After"] = str(-(-answer.retry_after_ms // 1000))
        return Response(body, headers=headers)


def rental_json(line: OrderLine) -> dict[str, Any] | None:
    """The period that a line was rented for; None for what was sold."""
    if line.rental_start is None or line.rental_end is None:
        return None
    return {"start": line.rental_start.isoformat(), "end": line.rental_end.isoformat(), "days": line.rental_days}


def amounts_json(amounts: Amounts) -> dict[str, int]:
    """The parts add up to the total. `depositAuthorised` isn't one of them, and only told where there is any."""
    later = {"depositAuthorised": amounts.deposit_authorised} if amounts.deposit_authorised else {}
    return later | {
        "subtotal": amounts.subtotal,
        "discount": amounts.discount,
        "shipping": amounts.shipping,
        "tax": amounts.tax,
        "deposit": amounts.deposit,
        "total": amounts.total,
    }


def answer_json(answer: CheckoutAnswer) -> dict[str, Any]:
    """The contract's answer; `url` or `clientSecret` only while the session can be paid."""
    body: dict[str, Any] = {
        "sessionId": answer.session_id,
        "uiMode": answer.ui_mode,
        "mode": answer.mode,
        "orderId": str(answer.order_id),
        "inventoryReservationId": str(answer.hold_id) if answer.hold_id else None,
        "expiresAt": answer.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "amounts": amounts_json(answer.amounts),
        "currency": answer.currency,
        "priceChanged": bool(answer.changes),
        "changes": list(answer.changes),
    }
    if answer.url:
        body["url"] = answer.url
    if answer.client_secret:
        body["clientSecret"] = answer.client_secret
    return body
