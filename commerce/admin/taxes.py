"""A shop's own tax rates, as its staff add them. One that was used stays as it is: another takes over on its day."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from commerce.models import TaxRate
from commerce.rentals.periods import zone_today
from commerce.shipping.countries import COUNTRIES
from tenants.backoffice import ReasonedEditsAdmin, ReasonedModelForm, RelatedDropdownFilter, badge


class TaxRateForm(ReasonedModelForm):
    class Meta:
        model = TaxRate
        fields = ("shop", "country", "name", "percentage", "inclusive", "valid_from", "active")
        help_texts = {
            "country": "Two letters, such as DE. Empty: everywhere that has no rate of its own.",
            "percentage": "Per cent with up to four decimals: 19, 7.7, 0 where a tax ends.",
        }

    def clean_country(self) -> str:
        country = str(self.cleaned_data["country"])
        if country and country not in COUNTRIES:
            raise ValidationError("Not a country that a payment page can ask for.")
        return country


@admin.register(TaxRate)
class TaxRateAdmin(ReasonedEditsAdmin[TaxRate]):
    shop_path = "shop"
    audit_name = "tax_rate"
    form = TaxRateForm
    list_display = ("shop_name", "where", "name", "per_cent", "how", "valid_from", "state")
    list_filter = (("shop", RelatedDropdownFilter), "active")
    show_facets = admin.ShowFacets.NEVER
    # By an index: the list is of all shops.
    ordering = ("shop_id", "id")
    sortable_by = ()
    fields = ("shop", "country", "name", "percentage", "inclusive", "valid_from", "active")
    empty_text = "No shop has rates of its own. They count where a shop's settings say “The shop's own rates”."

    def get_queryset(self, request: HttpRequest) -> QuerySet[TaxRate]:
        return super().get_queryset(request).select_related("shop__settings")

    def get_readonly_fields(self, request: HttpRequest, obj: TaxRate | None = None) -> tuple[str, ...]:
        """Stripe knows it by these, and so do orders. What was wrong is switched off, and added as it is right."""
        return ("shop", "country", "name", "percentage", "inclusive", "valid_from") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Open sessions name it at Stripe."""
        return False

    @admin.display(description="Country")
    def where(self, rate: TaxRate) -> str:
        return rate.country or "everywhere else"

    @admin.display(description="Rate")
    def per_cent(self, rate: TaxRate) -> str:
        return f"{rate.percentage.normalize():f} %"

    @admin.display(description="Prices")
    def how(self, rate: TaxRate) -> str:
        return "contain it" if rate.inclusive else "it comes on top"

    @admin.display(description="State")
    def state(self, rate: TaxRate) -> str:
        if not rate.active:
            return badge("switched off", "plain")
        later = rate.valid_from > zone_today(rate.shop.settings.time_zone)
        return badge("from its day on", "info") if later else badge("counts", "good")
