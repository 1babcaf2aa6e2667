"""Where Stripe's events arrive, on the hooks host for all shops and on each shop's own."""

from __future__ import annotations

import json

from django.conf import settings
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from tenants.errors import InvalidRequest
from webhooks.errors import TenantUnresolvable
from webhooks.receive import receive_event


@method_decorator(csrf_exempt, name="dispatch")
class StripeWebhookView(View):
    """`POST /api/stripe-webhook` and `POST /api/billing/webhook`. The signature is checked on the raw body.

    A plain view: there is one caller, who negotiates nothing, and no body that could be parsed before it is verified.
    """

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            body = request.body
        except UnreadablePostError as error:
            raise InvalidRequest("The request body broke off.") from error
        try:
            receipt = receive_event(
                body=body,
                signature=request.META.get("HTTP_STRIPE_SIGNATURE", ""),
                host=request.META.get("HTTP_HOST", "")[:253],
                host_shop=getattr(request, "shop", None),
                request_id=request.META.get("HTTP_X_REQUEST_ID", "")[:64],
            )
        except TenantUnresolvable as error:
            if settings.WEBHOOK_UNRESOLVED_RESPONSE == 200 or not error.ask_again:
                return _received(error.event_id, "dead_letter")
            raise
        return _received(receipt.event_id, receipt.outcome)


def _received(event_id: str, outcome: str) -> HttpResponse:
    answer = json.dumps({"received": True, "eventId": event_id, "outcome": outcome})
    return HttpResponse(answer, content_type="application/json")
