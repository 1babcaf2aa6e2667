"""One view at an address of each kind, which tells for which shop it was reached and what else came along."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants.identity import refuse_other_shop


def probe(request: HttpRequest, **kwargs: str) -> JsonResponse:
    shop: Any = vars(request)["shop"]
    internal = [name for name in request.META if name.startswith(("HTTP_X_SHOP", "HTTP_X_FRONT", "HTTP_X_HOLDFAST"))]
    seen = [name for name in request.headers if name.startswith(("X-Shop", "X-Front", "X-Holdfast"))]
    return JsonResponse({"shop": shop and shop.shop_id, "host": shop and shop.host, "internal": internal + seen})


class BodyProbe(APIView):
    """An endpoint whose body may name a shop."""

    def get(self, request: Request) -> Any:
        return probe(request._request)

    def post(self, request: Request) -> Response:
        refuse_other_shop(request.data.get("shopId"))
        return Response({"shop": vars(request._request)["shop"].shop_id})


urlpatterns = [
    path("healthz", probe),
    path("api/cart", probe),
    path("api/inventory/validate", BodyProbe.as_view()),
    path("api/inventory/holds/<str:hold_id>", probe),
    path("api/stripe-webhook", probe),
    path("en/page", probe),
    path("admin/", probe),
]
