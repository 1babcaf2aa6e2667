"""Where Stripe's events arrive, on the hooks host for all shops and on each shop's own."""

from __future__ import annotations

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from webhooks.errors import TenantUnresolvable
from webhooks.receive import receive_event


class StripeWebhookView(APIView):
    """`POST /api/stripe-webhook` and `POST /api/billing/webhook`. The signature is checked on the raw body."""

    parser_classes = ()

    def post(self, request: Request) -> Response:
        raw = request._request
        try:
            receipt = receive_event(
                body=raw.body,
                signature=raw.headers.get("Stripe-Signature", ""),
                host=raw.headers.get("Host", "")[:253],
                host_shop=getattr(raw, "shop", None),
                request_id=str(raw.META.get("HTTP_X_REQUEST_ID", ""))[:64],
            )
        except TenantUnresolvable as error:
            if settings.WEBHOOK_UNRESOLVED_RESPONSE == 200 or not error.ask_again:
                return Response({"received": True, "eventId": error.event_id, "outcome": "dead_letter"})
            raise
        return Response({"received": True, "eventId": receipt.event_id, "outcome": receipt.outcome})
