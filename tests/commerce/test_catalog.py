"""What a key means, for which shop and in which language."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.catalog.errors import NotPurchasable, UnknownSku
from commerce.catalog.images import image_url
from commerce.catalog.lookup import (
    WantedVariant,
    items_by_key,
    listing,
    product_by_slug,
    resolve_variant,
    resolve_variants,
)
from commerce.catalog.pricing import deposit_amount, unit_amount
from commerce.rentals.pricing import rental_days
from tenants.errors import InvalidRequest
from tenants.locales import choose_locale
from tests.factories.commerce import ProductFactory, ProductTextFactory, VariantFactory
from tests.factories.tenants import ShopFactory


@pytest.fixture
def shop():
    return ShopFactory()


@pytest.fixture
def band(shop):
    product = ProductFactory(shop=shop, sku="BAND", image="products/band.svg")
    ProductTextFactory(product=product, locale="en", title="Headband", description="Soft.")
    ProductTextFactory(product=product, locale="de", title="Stirnband", description="Weich.")
    for position, size in enumerate(("S", "M", "L")):
        VariantFactory(product=product, attributes={"size": size, "color": "black"}, position=position)
    return product


pytestmark = pytest.mark.django_db


def test_an_item_has_all_that_is_sold(shop, band):
    key = "BAND#color:black|size:M"
    item = items_by_key(shop_id=shop.pk, variant_keys=[key], locale="de")[key]
    variant = band.variants.get(variant_key=key)
    assert (item.product_id, item.variant_id, item.sku, item.slug, item.variant_key) == (
        band.pk, variant.pk, "BAND", "band", key,
    )  # fmt: skip
    assert (item.title, item.description, item.image) == ("Stirnband", "Weich.", "products/band.svg")
    assert (item.currency, item.price_amount, item.deposit_amount) == ("EUR", 1250, 0)
    assert item.attributes == {"size": "M", "color": "black"}
    assert (item.active, item.currency_agrees, item.purchasable) == (True, True, True)


def test_titles_fall_back_to_the_shops_locale_then_to_any_then_to_the_sku(shop):
    product = ProductFactory(shop=shop, sku="A")
    key = VariantFactory(product=product).variant_key

    def title(locale):
        return items_by_key(shop_id=shop.pk, variant_keys=[key], locale=locale)[key].title

    assert title("de") == "A"
    ProductTextFactory(product=product, locale="fr", title="français")
    assert (title("de"), title("")) == ("français", "français")
    ProductTextFactory(product=product, locale="en", title="english")
    assert (title("de"), title("fr"), title("")) == ("english", "français", "english")
    ProductTextFactory(product=product, locale="de", title="deutsch")
    assert title("de") == "deutsch"


def test_a_variants_own_image_wins(shop):
    variant = VariantFactory(product=ProductFactory(shop=shop, image="all.svg"), image="one.svg")
    found = items_by_key(shop_id=shop.pk, variant_keys=[variant.variant_key], locale="en")
    assert found[variant.variant_key].image == "one.svg"


def test_unknown_keys_and_other_shops_are_absent(shop, band):
    other = VariantFactory()
    keys = ["BAND", "BAND#size:M", other.variant_key, "nothing", ""]
    assert items_by_key(shop_id=shop.pk, variant_keys=keys, locale="en") == {}
    assert items_by_key(shop_id=other.shop_id, variant_keys=["BAND#color:black|size:M"], locale="en") == {}


def test_resolving_names_every_refused_line(shop, band):
    black = {"color": "black"}
    wanted = [
        WantedVariant("BAND", {"size": "M", **black}),
        WantedVariant("BAND", {"size": "XXL", **black}),
        WantedVariant("NOPE", {}),
    ]
    with pytest.raises(UnknownSku) as caught:
        resolve_variants(shop_id=shop.pk, wanted=wanted, locale="en")
    assert caught.value.code == "unknown_sku"
    assert caught.value.members() == {
        "items": [
            {"sku": "BAND", "variantKey": "BAND#color:black|size:XXL"},
            {"sku": "NOPE", "variantKey": "NOPE"},
        ]
    }


@pytest.mark.parametrize("change", [{"active": False}, {"currency": "USD"}])
def test_what_is_not_for_sale_is_refused_but_known(shop, band, change):
    band.variants.filter(attributes__size="M").update(**change)
    with pytest.raises(NotPurchasable) as caught:
        resolve_variant(shop_id=shop.pk, sku="BAND", attributes={"size": "M", "color": "black"})
    assert caught.value.code == "not_purchasable"
    assert caught.value.members() == {"items": [{"sku": "BAND", "variantKey": "BAND#color:black|size:M"}]}
    assert resolve_variant(shop_id=shop.pk, sku="BAND", attributes={"size": "L", "color": "black"}).purchasable


def test_an_inactive_product_sells_none_of_its_variants(shop, band):
    band.active = False
    band.save()
    with pytest.raises(NotPurchasable):
        resolve_variant(shop_id=shop.pk, sku="BAND", attributes={"size": "M", "color": "black"})
    assert listing(shop_id=shop.pk, locale="en") == []
    assert product_by_slug(shop_id=shop.pk, slug="band", locale="en") is None


def test_attributes_that_form_no_key_are_a_bad_request(shop):
    for sku, attributes in (("", {}), ("A", {"": "x"}), ("A", {"x": ""}), ("A", {"n": "v" * 300})):
        with pytest.raises(InvalidRequest):
            resolve_variant(shop_id=shop.pk, sku=sku, attributes=attributes)


def test_listing_groups_variants_in_catalog_order(shop, band):
    VariantFactory(product=ProductFactory(shop=shop, sku="AAA", position=-0))
    band.position = 5
    band.save()
    band.variants.filter(attributes__size="L").update(active=False)
    VariantFactory(product=ProductFactory(shop=shop, sku="FOREIGN"), currency="USD")
    VariantFactory()
    products = listing(shop_id=shop.pk, locale="de")
    assert [(product.sku, product.title, len(product.variants)) for product in products] == [
        ("AAA", "AAA", 1),
        ("BAND", "Stirnband", 2),
    ]
    assert products[1].choices == {"size": ["S", "M"], "color": ["black"]}
    assert [product.sku for product in listing(shop_id=shop.pk, locale="de", skus=["BAND", "NOPE"])] == ["BAND"]
    assert product_by_slug(shop_id=shop.pk, slug="band", locale="de") == products[1]
    assert product_by_slug(shop_id=ShopFactory().pk, slug="band", locale="de") is None


@pytest.mark.parametrize("count", [1, 3])
def test_queries(shop, band, count, django_assert_num_queries):
    for _ in range(count):
        ProductTextFactory(product=VariantFactory(product__shop=shop).product)
    keys = list(band.variants.values_list("variant_key", flat=True))[:count]
    with django_assert_num_queries(1):
        assert len(items_by_key(shop_id=shop.pk, variant_keys=keys, locale="de")) == count
    with django_assert_num_queries(1):
        assert len(listing(shop_id=shop.pk, locale="de")) == count + 1
    with django_assert_num_queries(0):
        assert items_by_key(shop_id=shop.pk, variant_keys=[], locale="de") == {}


def test_rentals_cost_days_times_the_daily_price(shop):
    variant = VariantFactory(product__shop=shop, price_amount=900, deposit_amount=5000)
    item = resolve_variant(shop_id=shop.pk, sku=variant.sku)
    monday, wednesday = date(2027, 3, 1), date(2027, 3, 3)
    assert (rental_days(start=monday, end=monday), rental_days(start=monday, end=wednesday)) == (1, 3)
    assert unit_amount(item) == 900
    assert unit_amount(item, rental_start=monday, rental_end=wednesday) == 2700
    assert (deposit_amount(item), deposit_amount(item, rental_start=monday)) == (0, 5000)
    with pytest.raises(ValueError, match="ends on or after"):
        rental_days(start=wednesday, end=monday)


@given(st.dates(), st.integers(min_value=0, max_value=365))
def test_days_of_a_period(start, more):
    try:
        end = date.fromordinal(start.toordinal() + more)
    except ValueError:
        return
    assert rental_days(start=start, end=end) == more + 1


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("de", "de"), ("DE", "de"), ("de-CH", "de"), ("de_AT", "de"), ("en-US", "en-GB"), ("en-gb", "en-GB"),
        ("fr", "en-GB"), ("", "en-GB"), ("x" * 500, "en-GB"), ("../../etc", "en-GB"),
    ],
)  # fmt: skip
def test_choose_locale(wanted, chosen):
    assert choose_locale(wanted, offered=("en-GB", "de"), default="en-GB") == chosen


@pytest.mark.parametrize(
    ("image", "url"),
    [
        ("", ""), ("https://img.example/a.png", "https://img.example/a.png"), ("/media/a.png", "/media/a.png"),
        ("storefront/a b.svg", "/static/storefront/a%20b.svg"), ('x" onerror="y', "/static/x%22%20onerror%3D%22y"),
    ],
)  # fmt: skip
def test_image_url(image, url):
    assert image_url(image) == url
