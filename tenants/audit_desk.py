"""The audit trail in one place (O5): everything that moved money, stock or tenancy, with a way to what it was about."""

from __future__ import annotations

from typing import Any, Final

from django.apps import apps
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from tenants.backoffice import RangeDateTimeFilter, ReadOnlyAdmin, RelatedDropdownFilter, link_to, shop_time
from tenants.models import AuditEntry

# Kind of object in the trail → its area, and its model where it has a page: by name, since most are other apps'.
# What isn't here is found under no area, and by its shop, its time and its id all the same.
OBJECTS: Final[dict[str, tuple[str, str]]] = {
    "order": ("money", "commerce.Order"),
    "checkout_attempt": ("money", "checkout.CheckoutAttempt"),
    "dispute": ("money", "commerce.Dispute"),
    "coupon": ("money", "commerce.Coupon"),
    "shipping_option": ("money", "commerce.ShippingOption"),
    "product": ("money", "commerce.Product"),
    "stripe_event": ("money", "webhooks.StripeEvent"),
    "stock_row": ("stock", "inventory.StockRow"),
    "stock_import": ("stock", "inventory.StockImport"),
    "stock_import_row": ("stock", "inventory.StockImportRow"),
    "stock_alert": ("stock", "inventory.StockAlert"),
    "hold": ("stock", "inventory.Hold"),
    "pool": ("stock", "inventory.Pool"),
    "pool_route": ("stock", "inventory.PoolRoute"),
    "shop": ("tenancy", "tenants.Shop"),
    "host": ("tenancy", "tenants.Host"),
    "membership": ("tenancy", ""),
    "service_token": ("tenancy", "tenants.ServiceToken"),
    "front_door_token": ("tenancy", "tenants.FrontDoorToken"),
    "stripe_account": ("tenancy", ""),
    "webhook_secret": ("tenancy", "tenants.WebhookSecret"),
    "alert_webhook": ("tenancy", ""),
    "login": ("tenancy", ""),
}
KINDS: Final = ("staff", "system", "api", "customer")
AREAS: Final = {"money": "Money", "stock": "Stock", "tenancy": "Tenancy"}


class AreaFilter(admin.SimpleListFilter):
    """Money, stock or tenancy. The list stays in the order of time, so that the index by time answers it."""

    title = "area"
    parameter_name = "area"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: type[Model], model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        # unfold repeats in its filters' form what these say.
        self.lookup_kwarg, self.lookup_val = self.parameter_name, [self.value()]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(AREAS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        if self.value() not in AREAS:
            return queryset
        return queryset.filter(object_type__in=[name for name, (area, _) in OBJECTS.items() if area == self.value()])


class ActorFilter(AreaFilter):
    """By what acted. The kinds are known: asking the table for them would read all of it."""

    title = "actor"
    parameter_name = "actor_kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind, kind.capitalize()) for kind in KINDS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(actor_kind=self.value()) if self.value() in KINDS else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    shop_path = "shop"
    list_display = ("when", "who", "action", "what", "shop", "reason", "request_id")
    list_filter = (
        AreaFilter,
        ("shop", RelatedDropdownFilter),
        ("at", RangeDateTimeFilter),
        ActorFilter,
    )
    search_fields = ("object_id__exact", "request_id__exact", "actor_name__exact", "action__exact")
    search_help_text = "A whole object id, request id, actor or action, such as host.changed"
    list_select_related = ("shop",)
    ordering = ("-at", "-id")
    empty_text = "Nothing has been changed by anyone yet."

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        return super().get_queryset(request).defer("data")

    @admin.display(description="When", ordering="at")
    def when(self, entry: AuditEntry) -> str:
        return shop_time(entry.at)

    @admin.display(description="Who")
    def who(self, entry: AuditEntry) -> str:
        return f"{entry.actor_kind}:{entry.actor_name}"

    @admin.display(description="What")
    def what(self, entry: AuditEntry) -> str:
        return object_link(entry)


def object_link(entry: AuditEntry) -> str:
    """What an entry is about, as a link where that kind has a page. The row isn't read: it may be gone."""
    said = f"{entry.object_type} {entry.object_id}"
    label = OBJECTS.get(entry.object_type, ("", ""))[1]
    try:
        model = apps.get_model(label) if label else None
    except LookupError:
        model = None
    if model is None:
        return said
    try:
        return link_to(model(pk=model._meta.pk.to_python(entry.object_id)), said)
    except (ValidationError, ValueError):  # an id that is none: words are enough
        return said
