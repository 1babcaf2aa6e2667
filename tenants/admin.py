"""Shops, hosts, the ownership map and the audit trail."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest

from tenants import access_desk, audit_desk, service_token_desk  # noqa: F401  Django looks for pages in this module alone
from tenants.alert_webhooks import LONGEST_URL, SHORTEST_SECRET, describe_alert_webhook, set_alert_webhook
from tenants.backoffice import (
    ChoicesDropdownFilter,
    GroupAdmin,
    Mandate,
    ReadOnlyAdmin,
    ReasonAction,
    ReasonedEditsAdmin,
    ReasonForm,
    Refused,
    RelatedDropdownFilter,
    StackedInline,
    UserAdmin,
    badge,
    widgets,
)
from tenants.bypass import sells_unchecked, set_inventory_bypass
from tenants.desk_scope import scope_of
from tenants.host_desk import HostAdmin
from tenants.hosts import host_map
from tenants.membership_desk import MembershipInline, record_memberships
from tenants.models import Host, Membership, Shop, ShopSettings, StripeObject

admin.site.unregister(User)
admin.site.unregister(Group)
admin.site.register(User, UserAdmin)
admin.site.register(Group, GroupAdmin)
admin.site.register(Host, HostAdmin)


class AlertWebhookForm(ReasonForm):
    url = forms.CharField(
        label="Address",
        max_length=LONGEST_URL,
        required=False,
        widget=widgets.UnfoldAdminTextInputWidget(),
        help_text="https://…; empty: nothing is posted any more.",
    )
    secret = forms.CharField(
        label="Secret",
        max_length=200,
        required=False,
        widget=widgets.UnfoldAdminTextInputWidget(attrs={"type": "password", "autocomplete": "off"}),
        help_text=f"At least {SHORTEST_SECRET} characters; the receiver checks signatures with it. Empty: unchanged.",
    )


def set_alerts(shop: Shop, mandate: Mandate) -> str:
    return set_alert_webhook(
        shop_id=shop.pk,
        url=mandate.fields["url"].strip(),
        secret=mandate.fields["secret"],
        reason=mandate.reason,
        acting=mandate.acting,
    )


class ShopSettingsInline(StackedInline[ShopSettings, Shop]):
    model = ShopSettings
    can_delete = False
    # A shop without settings has no currency and therefore doesn't exist for the front door.
    min_num = 1
    max_num = 1
    fieldsets = (
        ("Storefront", {"fields": ("kind", "currency", "default_locale", "locales", "time_zone")}),
        ("Payment page", {"fields": ("checkout_ui", "billing_address", "asks_phone", "payment_note")}),
        ("Taxes", {"fields": ("tax_mode", "tax_behavior", "tax_code", "tax_country")}),
        ("Inventory", {"fields": ("inventory_mode", "hold_ttl_seconds", "requires_central_inventory")}),
        ("Prices", {"fields": ("reprice_policy", "reprice_drift_abs", "reprice_drift_pct")}),
        (
            "Rentals",
            {
                "fields": (
                    "rental_min_days",
                    "rental_max_days",
                    "rental_lead_days",
                    "rental_horizon_days",
                    "deposit_mode",
                    "saves_card",
                )
            },
        ),
        ("Rate limit", {"fields": ("checkout_rate_limit_enabled", "checkout_rate_limit_per_minute")}),
        ("Payments", {"fields": ("shortage_policy",)}),
        ("Subscriptions", {"fields": ("subscription_grace_days",)}),
        ("Alerts", {"fields": ("alert_recipients",)}),
    )


def plan_bypass(shop: Shop, *, on: bool) -> str | Refused:
    if sells_unchecked(shop.settings) == on:
        return Refused(f"Its stock is {'not checked' if on else 'checked'} already.")
    if on:
        return "Anything is sold, there or not; what turns out to be missing when it is paid goes to review."
    return "From the next checkout on, stock is checked and held again."


def turn_bypass(shop: Shop, mandate: Mandate, *, on: bool) -> str:
    set_inventory_bypass(shop_id=shop.pk, on=on, reason=mandate.reason, acting=mandate.acting)
    return "Stock is not checked any more." if on else "Stock is checked again."


@admin.register(Shop)
class ShopAdmin(ReasonedEditsAdmin[Shop]):
    shop_path = "pk"
    audit_name = "shop"
    list_display = ("name", "id", "state", "kind", "currency", "created_at")
    list_filter = (("status", ChoicesDropdownFilter),)
    search_fields = ("id", "name")
    list_select_related = ("settings",)
    fields = ("id", "name", "status")
    inlines = (ShopSettingsInline, MembershipInline)
    empty_text = "No shop yet. Add one, then a host that leads to it."
    reason_actions = (
        ReasonAction(
            name="alert_webhook",
            label="Set alert webhook",
            plan=lambda shop: describe_alert_webhook(shop_id=shop.pk),
            verb=set_alerts,
            permission="tenants.change_shopsettings",
            form=AlertWebhookForm,
            help="Low-stock alerts are posted there as well as mailed, each signed. The secret is never shown again.",
        ),
        ReasonAction(
            name="bypass",
            label="Sell without checking stock",
            plan=lambda shop: plan_bypass(shop, on=True),
            verb=lambda shop, mandate: turn_bypass(shop, mandate, on=True),
            danger=True,
            help="For emergencies. Every page here says so for as long as it lasts.",
        ),
        ReasonAction(
            name="end_bypass",
            label="Check stock again",
            plan=lambda shop: plan_bypass(shop, on=False),
            verb=lambda shop, mandate: turn_bypass(shop, mandate, on=False),
        ),
    )

    def audited_shop_id(self, row: Shop) -> str | None:
        return row.pk

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A new shop is nobody's yet, and therefore the platform's to make."""
        return super().has_add_permission(request) and scope_of(request).is_platform

    def _record(self, request: HttpRequest, row: Shop, form: Any, what: str, changes: dict[str, Any]) -> None:
        """Memberships have entries of their own, which say whose."""
        if what != "membership_changed":
            super()._record(request, row, form, what, changes)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        host_map.announce_on_commit(names=(), shop_ids={form.instance.pk})
        for formset in formsets:
            if formset.model is Membership:
                record_memberships(request, formset, reason=form.cleaned_data["reason_for_change"])

    def get_readonly_fields(self, request: HttpRequest, obj: Shop | None = None) -> tuple[str, ...]:
        """The id is in Stripe's metadata, in every metric and every host rule: it never changes."""
        return ("id",) if obj else ()

    @admin.display(description="Status", ordering="status")
    def state(self, shop: Shop) -> str:
        return badge(shop.get_status_display(), "good" if shop.is_active else "plain")

    @admin.display(description="Kind")
    def kind(self, shop: Shop) -> str:
        return shop.settings.get_kind_display()

    @admin.display(description="Currency")
    def currency(self, shop: Shop) -> str:
        return shop.settings.currency


@admin.register(StripeObject)
class StripeObjectAdmin(ReadOnlyAdmin[StripeObject]):
    shop_path = None
    list_display = ("object_id", "kind", "shop", "account", "livemode", "source", "created_at")
    list_filter = (("shop", RelatedDropdownFilter), "livemode")
    search_fields = ("object_id__exact",)
    search_help_text = "A whole Stripe id: cs_…, pi_…, ch_…"
    list_select_related = ("shop",)
    ordering = ("-id",)
    empty_text = "No Stripe object is known yet. The first checkout brings some."
