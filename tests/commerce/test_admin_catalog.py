"""The catalog in the back office: prices typed in major units, keys computed, every change with its reason kept."""

from __future__ import annotations

import pytest
from django.http import HttpResponse

from commerce.models import Product, Variant
from tenants.models import AuditEntry, ShopSettings
from tests.commerce.backoffice import Desk, address, another_product, desk, filled, found, html, text
from tests.factories.commerce import VariantFactory
from tests.factories.tenants import ShopFactory
from tests.fixtures.trade import Trade


def edit(owner: Desk, product: Product, **changes: str) -> HttpResponse:
    """Saves the product's page with some fields changed."""
    sent = filled(owner.page(product)) | {"reason_for_change": "Spring prices"} | changes
    return owner.client.post(address(Product, "change", product.pk), sent)


def test_a_price_is_typed_in_major_units_and_audited(trade: Trade) -> None:
    owner = desk()
    assert 'value="25.00"' in html(owner.page(trade.variant.product))
    answer = edit(owner, trade.variant.product, **{"variants-0-price": "27.50"})
    assert answer.status_code == 302, text(answer)
    trade.variant.refresh_from_db()
    assert (trade.variant.price_amount, trade.variant.currency, trade.variant.variant_key) == (
        2750, "EUR", "BAND#size:M",
    )  # fmt: skip
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_type, entry.object_id, entry.shop_id, entry.reason, entry.actor_name) == (
        "variant.changed", "variant", "BAND#size:M", "band", "Spring prices", "owner",
    )  # fmt: skip
    assert entry.data == {"product": "BAND", "changes": {"price": ["25.00 EUR", "27.50 EUR"]}}


@pytest.mark.parametrize("reason", ["", "x"])
def test_a_price_is_not_changed_without_a_reason(trade: Trade, reason: str) -> None:
    answer = edit(desk(), trade.variant.product, **{"variants-0-price": "27.50", "reason_for_change": reason})
    assert answer.status_code == 200
    trade.variant.refresh_from_db()
    assert (trade.variant.price_amount, AuditEntry.objects.count()) == (2500, 0)


@pytest.mark.parametrize("typed", ["", "27.505", "-1", "27,50", "1e3", "€27", "NaN", "99999999999999999999"])
def test_a_price_that_is_none_is_refused(trade: Trade, typed: str) -> None:
    answer = edit(desk(), trade.variant.product, **{"variants-0-price": typed})
    assert answer.status_code == 200
    assert answer.context["inline_admin_formsets"][1].formset.errors[0].keys() == {"price"}
    trade.variant.refresh_from_db()
    assert trade.variant.price_amount == 2500


@pytest.mark.parametrize(
    ("currency", "typed", "minor"), [("JPY", "1200", 1200), ("KWD", "1.250", 1250), ("USD", "0.5", 50)]
)
def test_other_currencies_have_their_own_decimals(trade: Trade, currency: str, typed: str, minor: int) -> None:
    shop = ShopFactory(settings__currency=currency)
    variant = VariantFactory(product__shop=shop, currency=currency, price_amount=1000)
    answer = edit(desk(), variant.product, **{"variants-0-price": typed})
    assert answer.status_code == 302, text(answer)
    variant.refresh_from_db()
    assert variant.price_amount == minor


def new_variant(**fields: str) -> dict[str, str]:
    values = {"attributes_typed": "size: L\ncolor: light blue", "price": "30", "currency": "EUR", "active": "on",
              "position": "1", **fields}  # fmt: skip
    return {"variants-TOTAL_FORMS": "2", **{f"variants-1-{name}": value for name, value in values.items()}}


def test_a_new_variants_key_is_computed(trade: Trade) -> None:
    answer = edit(desk(), trade.variant.product, **new_variant())
    assert answer.status_code == 302, text(answer)
    variant = Variant.objects.exclude(pk=trade.variant.pk).get()
    assert (variant.shop_id, variant.sku, variant.variant_key, variant.attributes, variant.price_amount) == (
        "band", "BAND", "BAND#color:light%20blue|size:L", {"size": "L", "color": "light blue"}, 3000,
    )  # fmt: skip
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id) == ("variant.added", "BAND#color:light%20blue|size:L")
    assert entry.data["changes"]["price"] == ["", "30.00 EUR"]


@pytest.mark.parametrize(
    ("attributes", "said"),
    [("size: M", "already"), ("size", "one attribute per line"), ("a: 1\na: 2", "twice"), ("a: " + "x" * 300, "255")],
)
def test_attributes_that_make_no_new_key_are_refused(trade: Trade, attributes: str, said: str) -> None:
    answer = edit(desk(), trade.variant.product, **new_variant(attributes_typed=attributes))
    assert answer.status_code == 200 and said in text(answer)
    assert Variant.objects.count() == 1


def test_two_new_variants_with_one_key_are_refused(trade: Trade) -> None:
    twins = new_variant() | {k.replace("-1-", "-2-"): v for k, v in new_variant().items()}
    answer = edit(desk(), trade.variant.product, **twins | {"variants-TOTAL_FORMS": "3"})
    assert answer.status_code == 200 and "already" in text(answer)
    assert Variant.objects.count() == 1


def test_what_stock_and_orders_refer_to_never_changes(trade: Trade) -> None:
    product = trade.variant.product
    answer = edit(
        desk(), product, **{"variants-0-attributes_typed": "size: XXL", "sku": "OTHER", "shop": "other", "slug": "cap"}
    )
    assert answer.status_code == 302, text(answer)
    product.refresh_from_db()
    trade.variant.refresh_from_db()
    assert (product.shop_id, product.sku, product.slug) == ("band", "BAND", "cap")
    assert (trade.variant.variant_key, trade.variant.attributes) == ("BAND#size:M", {"size": "M"})
    assert AuditEntry.objects.get().data["changes"] == {"slug": ["band", "cap"]}


def test_a_product_is_added_with_texts_and_variants(trade: Trade) -> None:
    owner = desk()
    sent = filled(owner.client.get(address(Product, "add"))) | {
        "shop": "band", "sku": "CAP", "slug": "cap", "position": "2", "active": "on",
        "reason_for_change": "New in spring",
        "texts-TOTAL_FORMS": "1", "texts-0-locale": "en", "texts-0-title": "Cap", "texts-0-description": "",
        "variants-TOTAL_FORMS": "1", "variants-0-attributes_typed": "", "variants-0-price": "12.50",
        "variants-0-deposit": "", "variants-0-currency": "", "variants-0-active": "on", "variants-0-position": "0",
    }  # fmt: skip
    answer = owner.client.post(address(Product, "add"), sent)
    assert answer.status_code == 302, text(answer)
    variant = Variant.objects.get(sku="CAP")
    assert (variant.shop_id, variant.variant_key, variant.currency, variant.price_amount, variant.deposit_amount) == (
        "band", "CAP", "EUR", 1250, 0,
    )  # fmt: skip
    assert sorted(AuditEntry.objects.values_list("action", flat=True)) == [
        "product.added", "product_text.added", "variant.added",
    ]  # fmt: skip


def test_rates_and_terms_of_a_rental(trade: Trade) -> None:
    ShopSettings.objects.update(kind="rental")
    product, owner = trade.variant.product, desk()
    answer = edit(
        owner, product,
        **{"variants-0-weekend": "50", "variants-0-week": "120.50", "rental_min_days": "2", "rental_lead_days": "0"},
    )  # fmt: skip
    assert answer.status_code == 302, text(answer)
    trade.variant.refresh_from_db()
    product.refresh_from_db()
    assert (trade.variant.weekend_amount, trade.variant.week_amount, trade.variant.month_amount) == (5000, 12050, None)
    assert (product.rental_min_days, product.rental_max_days, product.rental_lead_days) == (2, None, 0)
    changes = AuditEntry.objects.get(action="variant.changed").data["changes"]
    assert changes == {"weekend": ["", "50.00 EUR"], "week": ["", "120.50 EUR"]}
    # And none again.
    assert edit(owner, product, **{"variants-0-weekend": ""}).status_code == 302
    trade.variant.refresh_from_db()
    assert (trade.variant.weekend_amount, trade.variant.week_amount) == (None, 12050)


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("variants-0-week", "-1", "negative"),
        ("variants-0-week", "1.005", ""),
        ("variants-0-month", "much", ""),
        ("rental_min_days", "0", "greater than or equal to 1"),
        ("rental_max_days", "367", "less than or equal to 366"),
        ("rental_horizon_days", "731", "less than or equal to 730"),
    ],
)
def test_rates_and_terms_that_arent(trade: Trade, field: str, typed: str, said: str) -> None:
    ShopSettings.objects.update(kind="rental")
    owner = desk()
    answer = edit(owner, trade.variant.product, **{field: typed})
    assert answer.status_code == 200 and said in text(answer)
    answer = edit(owner, trade.variant.product, rental_min_days="5", rental_max_days="4")
    assert answer.status_code == 200 and "longer than the longest" in text(answer)


def test_a_sale_has_neither_rates_nor_terms(trade: Trade) -> None:
    page = desk().client.get(address(Product, "change", trade.variant.product.pk)).content.decode()
    assert "rental_min_days" not in page and "variants-0-week" not in page


def test_a_text_is_in_a_language_that_the_shop_offers(trade: Trade) -> None:
    answer = edit(desk(), trade.variant.product, **{"texts-0-locale": "fr"})
    assert answer.status_code == 200 and "The shop offers de, en." in text(answer)


def test_a_product_is_found_by_sku_slug_and_variant_key(trade: Trade) -> None:
    product, other = trade.variant.product, another_product(trade)
    Product.objects.filter(pk=product.pk).update(slug="headband")
    owner = desk()
    for key in ("BAND", "BA", "headband", "BAND#size:M"):
        assert found(owner.list(Product, q=key)) == {str(product.pk)}, key
    assert found(owner.list(Product, q="AND")) == set()
    assert found(owner.list(Product, shop__id__exact="band")) == {str(product.pk), str(other.pk)}


def test_a_variant_in_another_currency_than_its_shop_is_pointed_out(trade: Trade) -> None:
    Variant.objects.filter(pk=trade.variant.pk).update(currency="USD")
    owner = desk()
    assert "not in the shop's currency" in text(owner.list(Product))
    answer = edit(owner, trade.variant.product, **{"variants-0-currency": "EUR"})
    assert answer.status_code == 302, text(answer)
    trade.variant.refresh_from_db()
    assert (trade.variant.currency, trade.variant.price_amount) == ("EUR", 2500)


def test_reading_staff_can_look_at_a_product_and_change_nothing(trade: Trade) -> None:
    clerk = desk("commerce.view_product", "commerce.view_variant", "commerce.view_producttext")
    page = clerk.page(trade.variant.product)
    assert "Reason for change" not in text(page)
    assert "BAND#size:M €25.00" in text(page)
    assert clerk.client.post(address(Product, "change", trade.variant.product.pk), {}).status_code == 403
