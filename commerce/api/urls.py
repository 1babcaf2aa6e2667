"""Routes of this app under /api/."""

from django.urls import URLPattern, path

from commerce.api.cart import CartView
from commerce.api.catalog import CatalogView
from commerce.api.reconciliation import ReconciliationView
from commerce.api.returns import ReturnView
from commerce.api.subscriptions import CancelView, ChangeView

urlpatterns: list[URLPattern] = [
    path("cart", CartView.as_view(), name="cart"),
    path("catalog", CatalogView.as_view(), name="catalog"),
    path("reconciliation", ReconciliationView.as_view(), name="reconciliation"),
    path("return", ReturnView.as_view(), name="return"),
    path("subscription/cancel", CancelView.as_view(), name="subscription-cancel"),
    path("subscription/change", ChangeView.as_view(), name="subscription-change"),
]
