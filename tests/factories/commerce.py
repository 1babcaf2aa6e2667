"""Products and variants; carts are made by the cart's own verbs."""

from __future__ import annotations

import factory
from factory.django import DjangoModelFactory

from commerce.cart.lines import NewLine
from commerce.models import Coupon, Product, ProductText, ShippingOption, Variant
from inventory.variants import variant_key
from tests.factories.tenants import ShopFactory


class ProductFactory(DjangoModelFactory):
    """An active product without texts: it shows its SKU."""

    class Meta:
        model = Product

    shop = factory.SubFactory(ShopFactory)
    sku = factory.Sequence(lambda number: f"SKU-{number}")
    slug = factory.LazyAttribute(lambda product: product.sku.lower())


class ProductTextFactory(DjangoModelFactory):
    class Meta:
        model = ProductText

    product = factory.SubFactory(ProductFactory)
    shop = factory.SelfAttribute("product.shop")
    locale = "en"
    title = factory.LazyAttribute(lambda text: f"{text.product.sku} ({text.locale})")


class VariantFactory(DjangoModelFactory):
    """12.50 euros, without attributes; its key follows from SKU and attributes."""

    class Meta:
        model = Variant

    product = factory.SubFactory(ProductFactory)
    shop = factory.SelfAttribute("product.shop")
    sku = factory.SelfAttribute("product.sku")
    attributes = factory.Dict({})
    variant_key = factory.LazyAttribute(lambda variant: variant_key(variant.sku, variant.attributes))
    currency = "EUR"
    price_amount = 1250


class ShippingOptionFactory(DjangoModelFactory):
    """4.90 euros, to Germany and Austria."""

    class Meta:
        model = ShippingOption

    shop = factory.SubFactory(ShopFactory)
    names = factory.Dict({"en": "Standard"})
    currency = "EUR"
    amount = 490
    countries = ("DE", "AT")


class CouponFactory(DjangoModelFactory):
    """Ten per cent off everything, for everybody; with `amounts`, so much off instead."""

    class Meta:
        model = Coupon

    shop = factory.SubFactory(ShopFactory)
    code = factory.Sequence(lambda number: f"CODE-{number}")
    kind = factory.LazyAttribute(lambda coupon: "amount" if coupon.amounts else "percent")
    basis_points = factory.LazyAttribute(lambda coupon: None if coupon.amounts else 1000)
    amounts = factory.Dict({})


def new_line(variant: Variant, *, quantity: int = 1, **more: object) -> NewLine:
    """A line for the cart's verbs, shown at the variant's price."""
    values = {
        "sku": variant.sku,
        "variant_key": variant.variant_key,
        "quantity": quantity,
        "options": {},
        "rental_start": None,
        "rental_end": None,
        "shown_amount": variant.price_amount,
        "shown_currency": variant.currency,
        **more,
    }
    return NewLine(**values)  # type: ignore[arg-type]
