"""Routes of this app under /api/."""

from django.urls import path

from checkout.api.rentals import RentalView
from checkout.api.subscribe import SubscribeView
from checkout.api.views import CapabilitiesView, CheckoutSessionView, CheckoutSummaryView, OrderStatusView

urlpatterns = [
    path("capabilities", CapabilitiesView.as_view(), name="capabilities"),
    path("checkout-session", CheckoutSessionView.as_view(), name="checkout-session"),
    path("checkout/session", CheckoutSessionView.as_view(), name="checkout-session-alias"),
    path("checkout-session/<str:session_id>", CheckoutSummaryView.as_view(), name="checkout-summary"),
    path("subscribe", SubscribeView.as_view(), name="subscribe"),
    path("order-status", OrderStatusView.as_view(), name="order-status"),
    path("rental", RentalView.as_view(), name="rental"),
]
