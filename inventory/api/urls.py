"""Routes of this app under /api/."""

from django.urls import URLPattern, path

from inventory.api.views import AvailabilityView

urlpatterns: list[URLPattern] = [
    path("inventory/availability", AvailabilityView.as_view(), name="inventory-availability"),
]
