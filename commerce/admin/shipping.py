"""How a shop ships, as its staff set it: names per language, prices in major units, countries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from commerce.admin.display import shop_amount
from commerce.models import ShippingOption
from commerce.money import MoneyError, from_minor, stripe_amount, to_minor
from commerce.shipping.countries import COUNTRIES
from commerce.shipping.offers import LONGEST_NAME
from tenants.backoffice import ReasonedEditsAdmin, ReasonedModelForm, RelatedDropdownFilter, badge, widgets
from tenants.display import EMPTY
from tenants.models import Shop


def _money(placeholder: str) -> Any:
    return widgets.UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "placeholder": placeholder})


class ShippingOptionForm(ReasonedModelForm):
    """`names_typed`, `price`, `free_from` and `countries_typed` stand for the model's own fields.

    The currency is the shop's: an option that was priced in an earlier one isn't offered until it is saved anew.
    """

    names_typed = forms.CharField(
        label="Names",
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "en: Standard\nde: Standardversand"}),
        help_text="One language per line. Customers read them, here and on the payment page.",
    )
    price = forms.CharField(max_length=24, widget=_money("4.90"), help_text="In the shop's currency; 0 is free.")
    free_from = forms.CharField(
        max_length=24,
        required=False,
        widget=_money("50.00"),
        help_text="Merchandise from which it costs nothing. Leave it empty where it always costs its price.",
    )
    countries_typed = forms.CharField(
        label="Countries",
        required=False,
        widget=widgets.UnfoldAdminTextInputWidget(attrs={"placeholder": "DE AT CH"}),
        help_text="Two-letter codes. Without any, nothing is sent and no address is asked for: a pick-up, say.",
    )

    class Meta:
        model = ShippingOption
        fields = ("shop", "days_min", "days_max", "active", "position")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if (row := self.instance).pk and row.names:
            free = row.free_from_amount
            self.initial = {
                **self.initial,
                "names_typed": "\n".join(f"{locale}: {name}" for locale, name in row.names.items()),
                "price": str(from_minor(row.amount, row.currency)),
                "free_from": "" if free is None else str(from_minor(free, row.currency)),
                "countries_typed": " ".join(row.countries),
            }

    def clean_countries_typed(self) -> str:
        codes = sorted(set(self.cleaned_data["countries_typed"].replace(",", " ").upper().split()))
        if unknown := [code for code in codes if code not in COUNTRIES]:
            raise ValidationError(f"Not a country that a payment page can ask for: {', '.join(unknown)}.")
        return " ".join(codes)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        row, shop = self.instance, cleaned.get("shop") or (self.instance.shop if self.instance.shop_id else None)
        if shop is None:
            return cleaned
        row.currency = shop.settings.currency
        row.names = self._checked("names_typed", lambda typed: _names(typed, shop)) or row.names
        row.amount = self._checked("price", lambda typed: _minor(typed, row.currency)) or 0
        row.free_from_amount = self._checked("free_from", lambda typed: _minor(typed, row.currency))
        row.countries = cleaned.get("countries_typed", "").split()
        least, most = cleaned.get("days_min"), cleaned.get("days_max")
        if (least is None) != (most is None) or (least is not None and most is not None and not 1 <= least <= most):
            self.add_error("days_max", "Say both, from one day on, the longer one here; or neither.")
        return cleaned

    def _checked(self, name: str, read: Callable[[str], Any]) -> Any:
        """What the field's text means; None, with the error noted on the field, when it means nothing."""
        typed = str(self.cleaned_data.get(name) or "").strip()
        if not typed:
            return None
        try:
            return read(typed)
        except (MoneyError, ValidationError) as error:
            self.add_error(name, error.detail if isinstance(error, MoneyError) else error)
            return None


def _minor(typed: str, currency: str) -> int:
    amount = to_minor(typed, currency)
    # Stripe takes some currencies in steps: refused here rather than at every checkout.
    stripe_amount(amount, currency)
    return amount


def _names(typed: str, shop: Shop) -> dict[str, str]:
    names: dict[str, str] = {}
    offered = {*shop.settings.locales, shop.settings.default_locale}
    for line in filter(str.strip, typed.splitlines()):
        locale, separator, name = (part.strip() for part in line.partition(":"))
        if not separator or not name or len(name) > LONGEST_NAME:
            raise ValidationError(
                f"Write one name of at most {LONGEST_NAME} characters per line, as in “en: Standard”."
            )
        if locale not in offered or locale in names:
            raise ValidationError(f"Each of the shop's languages once: {', '.join(sorted(offered))}.")
        names[locale] = name
    return names


@admin.register(ShippingOption)
class ShippingOptionAdmin(ReasonedEditsAdmin[ShippingOption]):
    shop_path = "shop"
    audit_name = "shipping_option"
    form = ShippingOptionForm
    list_display = ("name", "shop_name", "price", "free_from", "goes_to", "takes", "state")
    list_filter = (("shop", RelatedDropdownFilter), "active")
    show_facets = admin.ShowFacets.NEVER
    # By an index: the list is of all shops.
    ordering = ("shop_id", "id")
    sortable_by = ()
    fields = (
        "shop",
        "names_typed",
        "price",
        "free_from",
        "countries_typed",
        "days_min",
        "days_max",
        "active",
        "position",
    )
    empty_text = "No shop offers a choice of shipping: orders ship without a charge."

    def get_queryset(self, request: HttpRequest) -> QuerySet[ShippingOption]:
        return super().get_queryset(request).select_related("shop__settings")

    def get_readonly_fields(self, request: HttpRequest, obj: ShippingOption | None = None) -> tuple[str, ...]:
        return ("shop",) if obj else ()

    def get_fields(self, request: HttpRequest, obj: ShippingOption | None = None) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            # What only a form has, Django shows a reader as empty.
            return ("shop", "name", "price", "free_from", "goes_to", "takes", "active", "position")
        return super().get_fields(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Open sessions name options: one that isn't offered any more is switched off."""
        return False

    @admin.display(description="Name")
    def name(self, option: ShippingOption) -> str:
        return str(option.names.get(option.shop.settings.default_locale) or option)

    @admin.display(description="Price")
    def price(self, option: ShippingOption) -> str:
        if option.currency != option.shop.settings.currency:
            return badge("not in the shop's currency", "bad")
        return shop_amount(option.shop, option.amount, option.currency)

    @admin.display(description="Free from")
    def free_from(self, option: ShippingOption) -> str:
        if option.free_from_amount is None:
            return EMPTY
        return shop_amount(option.shop, option.free_from_amount, option.currency)

    @admin.display(description="Goes to")
    def goes_to(self, option: ShippingOption) -> str:
        return ", ".join(option.countries) or "no address needed"

    @admin.display(description="Working days")
    def takes(self, option: ShippingOption) -> str:
        return EMPTY if option.days_min is None else f"{option.days_min} – {option.days_max}"

    @admin.display(description="Offered")
    def state(self, option: ShippingOption) -> str:
        return badge("offered", "good") if option.active else badge("switched off", "plain")
