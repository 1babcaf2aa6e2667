"""What staff type into the catalog: prices in major units, attributes as words. Keys and minor units are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.forms import BaseInlineFormSet

from commerce.models import Product, ProductText, Variant
from commerce.money import MoneyError, from_minor, stripe_amount, to_minor
from inventory.variants import MalformedVariant, variant_key
from tenants.backoffice import StackedInline, TabularInline, widgets
from tenants.models import Shop

SHOPS_OWN: Final = ("", "The shop's")
RATES: Final = ("weekend", "week", "month")

if TYPE_CHECKING:
    _TextFormSet = BaseInlineFormSet[ProductText, Product, Any]
    _VariantFormSet = BaseInlineFormSet[Variant, Product, Any]
    _TextModelForm = forms.ModelForm[ProductText]
    _VariantModelForm = forms.ModelForm[Variant]
else:
    _TextModelForm = _VariantModelForm = forms.ModelForm
    # unfold's, whose pages know how to show them.
    _TextFormSet = StackedInline.formset
    _VariantFormSet = TabularInline.formset


def shop_of(product: Product | None) -> Shop | None:
    """None while a product is being added, until its own fields have been read."""
    return product.shop if product is not None and product.shop_id else None


class ProductTextForm(_TextModelForm):
    class Meta:
        model = ProductText
        fields = ("locale", "title", "description")
        widgets = {"description": widgets.UnfoldAdminTextareaWidget(attrs={"rows": 3})}

    def __init__(self, *args: Any, product: Product | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.product = product

    def clean(self) -> dict[str, Any] | None:
        if (shop := shop_of(self.product)) is not None:
            self.instance.shop = shop
            offered = {*shop.settings.locales, shop.settings.default_locale}
            if self.cleaned_data.get("locale", shop.settings.default_locale) not in offered:
                self.add_error("locale", f"The shop offers {', '.join(sorted(offered))}.")
        return super().clean()


def _amount_widget() -> forms.TextInput:
    widget: forms.TextInput = widgets.UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "placeholder": "none"})
    return widget


class VariantForm(_VariantModelForm):
    """`attributes_typed`, `price`, `deposit` and the rates stand for the model's `attributes`, `price_amount`,
    `deposit_amount`, `weekend_amount` and so on. Without an amount a rate doesn't exist.

    The attributes of a variant never change: stock, holds, carts and orders know it by the key that they make. Another
    size is another variant.
    """

    attributes_typed = forms.CharField(
        label="Attributes",
        required=False,
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 2, "placeholder": "color: black\nsize: M"}),
    )
    price = forms.CharField(
        max_length=24, widget=widgets.UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "placeholder": "12.50"})
    )
    deposit = forms.CharField(
        max_length=24,
        required=False,
        widget=widgets.UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "placeholder": "0"}),
    )
    weekend = forms.CharField(max_length=24, required=False, widget=_amount_widget())
    week = forms.CharField(max_length=24, required=False, widget=_amount_widget())
    month = forms.CharField(label="30 days", max_length=24, required=False, widget=_amount_widget())
    currency = forms.ChoiceField(required=False, widget=widgets.UnfoldAdminSelectWidget())

    class Meta:
        model = Variant
        fields = ("image", "active", "position")

    def __init__(self, *args: Any, product: Product | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.product = product
        variant, shop = self.instance, shop_of(product)
        currencies = {shop.settings.currency} if shop else set()
        if variant.pk:
            currencies.add(variant.currency)
            self.initial = {
                **self.initial,
                "attributes_typed": "\n".join(f"{name}: {value}" for name, value in variant.attributes.items()),
                "price": str(from_minor(variant.price_amount, variant.currency)),
                "deposit": str(from_minor(variant.deposit_amount, variant.currency)),
                "currency": variant.currency,
                **{rate: self._typed(rate) for rate in RATES},
            }
            self.fields["attributes_typed"].disabled = True
            self.fields["attributes_typed"].widget.attrs["placeholder"] = ""
        elif shop:
            self.initial["currency"] = shop.settings.currency
        field = self.fields["currency"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  declared above
        field.choices = [*([] if currencies else [SHOPS_OWN]), *((code, code) for code in sorted(currencies))]

    def clean_attributes_typed(self) -> dict[str, str]:
        if self.instance.pk:
            return dict(self.instance.attributes)
        attributes: dict[str, str] = {}
        for line in filter(str.strip, self.cleaned_data["attributes_typed"].splitlines()):
            name, separator, value = (part.strip() for part in line.partition(":"))
            if not separator or not name or not value:
                raise ValidationError(f"Write one attribute per line, as in “color: black”. This line isn't: {line!r}.")
            if name in attributes:
                raise ValidationError(f"{name!r} is named twice.")
            attributes[name] = value
        return attributes

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        shop = shop_of(self.product)
        if shop is None or "attributes_typed" not in cleaned:
            return cleaned
        variant, currency = self.instance, cleaned.get("currency") or shop.settings.currency
        cleaned["currency"] = variant.currency = currency
        variant.shop = shop
        variant.price_amount = self._minor("price", currency)
        if "deposit" in self.fields:
            variant.deposit_amount = self._minor("deposit", currency)
        for rate in RATES:
            if rate in self.fields:
                typed = str(cleaned.get(rate) or "").strip()
                setattr(variant, f"{rate}_amount", self._minor(rate, currency) if typed else None)
        return cleaned

    def _typed(self, rate: str) -> str:
        amount: int | None = getattr(self.instance, f"{rate}_amount")
        return "" if amount is None else str(from_minor(amount, self.instance.currency))

    def _minor(self, name: str, currency: str) -> int:
        """The typed amount in minor units. 0, with the error noted on the field, when it is none."""
        typed = str(self.cleaned_data.get(name) or "").strip()
        try:
            amount = to_minor(typed or "0", currency)
            if amount < 0:
                raise ValidationError("An amount can't be negative.")
            # Stripe takes some currencies in steps: refused here rather than at every checkout.
            stripe_amount(amount, currency)
        except (MoneyError, ValidationError) as error:
            self.add_error(name, error.detail if isinstance(error, MoneyError) else error)
            return 0
        if name in self.cleaned_data:
            self.cleaned_data[name] = str(from_minor(amount, currency))
        return amount

    def take_key(self, product: Product) -> None:
        """Computes a new variant's SKU and key. Raises ValidationError when the attributes can't make one."""
        attributes = self.cleaned_data["attributes_typed"]
        try:
            key = variant_key(product.sku, attributes)
        except MalformedVariant as error:
            raise ValidationError(error.detail) from error
        self.instance.sku, self.instance.variant_key, self.instance.attributes = product.sku, key, attributes


class ProductTextFormSet(_TextFormSet):
    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        return {**super().get_form_kwargs(index), "product": self.instance}


class VariantFormSet(_VariantFormSet):
    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        return {**super().get_form_kwargs(index), "product": self.instance}

    def clean(self) -> None:
        """Keys are unique in the shop: among the rows typed here, and against those that are there."""
        super().clean()
        if any(self.errors) or not self.instance.shop_id:
            return
        new = [form for form in self.forms if not form.instance.pk and form.has_changed()]
        taken = set(Variant.objects.for_shop(self.instance.shop_id).filter(sku=self.instance.sku).values_list(
            "variant_key", flat=True
        )) if new else set()  # fmt: skip
        for form in new:
            try:
                form.take_key(self.instance)
                if form.instance.variant_key in taken:
                    raise ValidationError(f"There is a variant {form.instance.variant_key} already.")
                taken.add(form.instance.variant_key)
            except ValidationError as error:
                form.add_error("attributes_typed", error)
                raise ValidationError("A variant can't be added, see below.") from error
