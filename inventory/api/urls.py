"""Routes of this app under /api/."""

from django.urls import URLPattern, path

from inventory.api.hold_views import CommitView, ExtendView, HoldsView, HoldView, ReleaseView
from inventory.api.views import AvailabilityView, HealthView, ValidateView

urlpatterns: list[URLPattern] = [
    path("inventory/availability", AvailabilityView.as_view(), name="inventory-availability"),
    path("inventory/validate", ValidateView.as_view(), name="inventory-validate"),
    path("inventory/health", HealthView.as_view(), name="inventory-health"),
    path("inventory/holds", HoldsView.as_view(), name="inventory-holds"),
    path("inventory/holds/<str:hold_id>", HoldView.as_view(), name="inventory-hold"),
    path("inventory/holds/<str:hold_id>/extend", ExtendView.as_view(), name="inventory-hold-extend"),
    path("inventory/holds/<str:hold_id>/commit", CommitView.as_view(), name="inventory-hold-commit"),
    path("inventory/holds/<str:hold_id>/release", ReleaseView.as_view(), name="inventory-hold-release"),
]
