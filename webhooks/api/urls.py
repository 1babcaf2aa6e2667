"""Routes of this app under /api/."""

from django.urls import path

from webhooks.api.views import StripeWebhookView

urlpatterns = [
    path("stripe-webhook", StripeWebhookView.as_view(), name="stripe-webhook"),
    path("billing/webhook", StripeWebhookView.as_view(), name="billing-webhook"),
]
