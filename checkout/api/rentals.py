"""`/api/rental`: the counter's rentals (P2). Customers book through the checkout."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from commerce.api.rentals import patch_rental
from tenants.staff_callers import ALSO_STAFF


class RentalView(APIView):
    """`PATCH` does something to a rental: hand out, take back, inspect, note damage or loss, exchange, close."""

    authentication_classes = ALSO_STAFF

    def patch(self, request: Request) -> HttpResponse:
        return patch_rental(request)
