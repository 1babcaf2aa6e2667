"""A shop with a headband, and both places where a cart's lines may be kept."""

from __future__ import annotations

import pytest

from tests.factories.commerce import ProductFactory, ProductTextFactory, VariantFactory


@pytest.fixture(params=["postgres", "redis"])
def storage(request, settings):
    settings.CART_STORAGE = request.param
    return request.param


@pytest.fixture
def shop(open_shop):
    return open_shop()


@pytest.fixture
def band(shop, stock):
    product = ProductFactory(shop=shop, sku="BAND", image="storefront/products/band.svg")
    ProductTextFactory(product=product, locale="en", title="Headband")
    ProductTextFactory(product=product, locale="de", title="Stirnband")
    variant = VariantFactory(product=product, attributes={"size": "M"}, deposit_amount=500)
    stock(variant, on_hand=7)
    return variant


@pytest.fixture
def rental(open_shop, stock):
    shop = open_shop(settings__kind="rental", settings__currency="USD")
    product = ProductFactory(shop=shop, sku="CAPE")
    stock(VariantFactory(product=product, currency="USD", price_amount=3500, deposit_amount=15000), on_hand=2)
    return shop
