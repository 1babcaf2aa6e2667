"""Pages of a shop, in both locales: they render, they contain nothing inline, and they never show another shop."""

from __future__ import annotations

import re
from gettext import GNUTranslations
from pathlib import Path

import pytest
from babel.messages import pofile
from django.conf import settings as django_settings

from commerce.models import Variant
from tests.commerce.conftest import visitor
from tests.factories.commerce import ProductFactory, ProductTextFactory, VariantFactory
from tests.factories.plans import make_plan

pytestmark = pytest.mark.django_db

TEMPLATES = Path(django_settings.BASE_DIR) / "templates"
PAGES = [
    "",
    "products/band",
    "cart",
    "checkout",
    "cancel",
    "payment-received",
    "thank-you?session_id=cs_test_1",
    "nothing/here",
]


@pytest.fixture
def shop(open_shop, stock):
    shop = open_shop(name="Bands & Co")
    band = ProductFactory(shop=shop, sku="BAND", slug="band", image="storefront/products/band.svg", position=1)
    ProductTextFactory(product=band, locale="en", title="Headband", description="Soft & <warm>.")
    ProductTextFactory(product=band, locale="de", title="Stirnband", description="Weich.")
    for size, color, price in (("S", "black", 1250), ("M", "black", 1250), ("M", "teal", 1400)):
        variant = VariantFactory(product=band, attributes={"size": size, "color": color}, price_amount=price)
        stock(variant, on_hand=3, threshold=5)
    return shop


@pytest.fixture
def rental(open_shop):
    shop = open_shop(settings__kind="rental", settings__currency="USD")
    VariantFactory(
        product=ProductFactory(shop=shop, sku="CAPE", slug="cape"),
        currency="USD",
        price_amount=3500,
        deposit_amount=15000,
    )
    return shop


def page(shop, path, **headers):
    return visitor(shop, Accept="text/html", **headers).get(path)


@pytest.mark.parametrize("locale", ["en", "de"])
@pytest.mark.parametrize("path", PAGES)
def test_every_page_in_both_locales(shop, locale, path):
    answer = page(shop, f"/{locale}/{path}")
    text = answer.content.decode()
    assert answer.status_code == (404 if path == "nothing/here" else 200)
    assert f'<html lang="{locale}"' in text
    assert ("Zum Inhalt springen" in text) == (locale == "de")
    assert "Bands &amp; Co" in text
    assert answer["Content-Language"] == locale
    assert answer["Cache-Control"] == "private, no-cache"
    assert "script-src 'self'" in answer["Content-Security-Policy"]
    # Nothing that the policy forbids, nothing from elsewhere.
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert all("src=" in tag and ">" not in tag[tag.index("src=") : -1] for tag in re.findall(r"<script[^>]*>", text))
    assert not re.search(r"<script[^>]*>[^<]", text)
    own = f"http://{shop.pk}.localhost:"
    assert all(address.startswith(own) for address in re.findall(r'https?://[^"\s<]*', text))
    # A text without a translation would show its English words.
    if locale == "de":
        assert not re.search(r"Add to cart|Your cart|Try again|In stock|Processing", text)


def test_the_list_shows_products_with_price_and_stock(shop):
    VariantFactory(product__shop=shop, product__active=False)
    text = page(shop, "/en/").content.decode()
    assert text.count('class="card"') == 1
    assert "Headband" in text and "/en/products/band" in text
    assert "from €12.50" in text
    assert "Only a few left" in text
    german = page(shop, "/de/").content.decode()
    assert "ab 12,50\N{NO-BREAK SPACE}€" in german and "Stirnband" in german and "Nur noch wenige" in german


def test_an_empty_shop_says_so(open_shop):
    assert "nothing on the shelves" in page(open_shop(), "/en/").content.decode()


def test_a_product_offers_its_choices(shop):
    text = page(shop, "/de/products/band").content.decode()
    assert "Größe" in text and "Farbe" in text and "Schwarz" in text and "Petrol" in text
    assert text.count("data-variant ") == 3
    assert 'data-key="BAND#color:teal|size:M" data-amount="1400"' in text
    assert 'data-available="3" data-state="low"' in text
    assert "Soft &amp; &lt;warm&gt;." in page(shop, "/en/products/band").content.decode()


def test_a_rental_asks_for_days(rental):
    text = page(rental, "/en/products/cape").content.decode()
    assert 'type="date" name="start"' in text and 'type="date" name="end"' in text
    assert "$35.00" in text and "per day" in text and "refundable deposit of $150.00" in text
    assert "For rent, by the day" in page(rental, "/en/").content.decode()
    Variant.objects.update(weekend_amount=8000, week_amount=None, month_amount=40000)
    text = page(rental, "/de/products/cape").content.decode()
    assert "Freitag bis Sonntag 80,00" in text and "30 Tage 400,00" in text and "7 Tage" not in text


@pytest.mark.parametrize("path", ["/en/products/cape", "/en/products/nope", "/fr/", "/xx/cart", "/en/a/b/c"])
def test_not_found_in_the_shops_own_frame(shop, rental, path):
    answer = page(shop, path)
    assert answer.status_code == 404
    assert "This page is not here" in answer.content.decode()


@pytest.mark.parametrize(
    ("path", "language", "location"),
    [
        ("/", "", "/en/"),
        ("/", "de-CH,de;q=0.9,en;q=0.5", "/de/"),
        ("/", "fr,de;q=0.3", "/de/"),
        ("/", "fr", "/en/"),
        ("/", "*;q=nonsense", "/en/"),
        ("/cart?utm_source=mail&x=%20", "de", "/de/cart?utm_source=mail&x=%20"),
        ("/products/band", "", "/en/products/band"),
        ("/thank-you?session_id=cs_1", "", "/en/thank-you?session_id=cs_1"),
        ("/gr%C3%BC%C3%9Fe", "de", "/de/gr%C3%BC%C3%9Fe"),
    ],
)
def test_an_address_without_a_locale_gets_one(shop, path, language, location):
    answer = visitor(shop, Accept="text/html", **{"Accept-Language": language}).get(path)
    assert (answer.status_code, answer["Location"]) == (307, location)
    assert "Accept-Language" in answer["Vary"]


@pytest.mark.parametrize("path", ["/favicon.ico", "/wp-login.php", "/.env", "/a%0d%0aSet-Cookie:x"])
def test_files_that_nobody_has_are_not_redirected(shop, path):
    assert page(shop, path).status_code == 404


def test_pages_are_only_read(shop):
    for path in ("/", "/en/", "/en/cart", "/en/products/band"):
        assert visitor(shop).post(path, {}).status_code in {403, 404, 405}


def test_the_badge_counts_units_and_shows_no_price(shop):
    client = visitor(shop)
    body = {"sku": "BAND", "quantity": 4, "variantAttributes": {"size": "S", "color": "black"}}
    client.post("/api/cart", body, content_type="application/json")
    assert "<span data-cart-units>4</span>" in client.get("/en/").content.decode()
    assert "data-cart-badge hidden" in page(shop, "/en/").content.decode()


def test_canonical_and_alternate_addresses(shop):
    text = page(shop, "/en/products/band").content.decode()
    base = rf"http://{shop.pk}\.localhost:\d+"
    assert re.search(rf'<link rel="canonical" href="{base}/en/products/band">', text)
    assert re.search(rf'<link rel="alternate" hreflang="de" href="{base}/de/products/band">', text)
    switch = page(shop, "/en/thank-you?session_id=cs_1").content.decode()
    assert 'href="/de/thank-you?session_id=cs_1"' in switch
    assert "canonical" not in switch


def test_every_text_of_the_scripts_is_on_the_page(shop, rental):
    make_plan(shop, "club")
    for path, script, of in (
        ("cart", "cart.js", shop),
        ("checkout", "checkout.js", shop),
        ("thank-you", "thank_you.js", shop),
        ("products/cape", "product.js", rental),
        ("plans", "plans.js", shop),
    ):
        source = (TEMPLATES / "static" / "storefront" / script).read_text()
        attributes = set(re.findall(r"\bdata-([a-z-]+)=", page(of, f"/en/{path}").content.decode()))
        for name in re.findall(r'\btext\("(\w+)"', source):
            assert re.sub(r"[A-Z]", lambda match: "-" + match[0].lower(), name) in attributes, (script, name)


def test_plans_are_a_page_of_those_who_have_some(shop, rental):
    assert page(shop, "/en/plans").status_code == 404
    assert "/en/plans" not in page(shop, "/en/").content.decode()
    make_plan(shop, "club", interval="month", interval_count=3, trial_days=14)
    make_plan(shop, "yearly", 9900, interval="year")
    make_plan(rental, "of-another-shop")
    shown = page(shop, "/de/plans").content.decode()
    assert 'value="club"' in shown and "alle 3 Monate" in shown and "die ersten 14 Tage kostenlos" in shown
    assert "pro Jahr" in shown and "of-another-shop" not in shown
    assert "/en/plans" in page(shop, "/en/").content.decode()


def test_the_compiled_translations_are_current():
    folder = TEMPLATES / "locale" / "de" / "LC_MESSAGES"
    with (folder / "django.po").open("rb") as source, (folder / "django.mo").open("rb") as compiled:
        written, read = pofile.read_po(source), GNUTranslations(compiled)
    for message in written:
        if message.id:
            assert message.string and not message.fuzzy
            found = read.pgettext(message.context, message.id) if message.context else read.gettext(message.id)
            assert found == message.string
            assert sorted(re.findall(r"%?[({]\w+[)}]", message.id)) == sorted(
                re.findall(r"%?[({]\w+[)}]", message.string)
            )
            assert '"' not in message.string  # texts also stand in attributes


@pytest.mark.parametrize("count", [1, 3])
def test_queries(open_shop, count, settings, django_assert_num_queries):
    settings.HOST_MAP_SECONDS = 60
    shop = open_shop()
    for _ in range(count):
        slug = ProductTextFactory(product=VariantFactory(product__shop=shop).product).product.slug
    client = visitor(shop)
    client.get("/en/")
    with django_assert_num_queries(3):
        client.get("/en/")
    with django_assert_num_queries(2):
        client.get(f"/en/products/{slug}")
    with django_assert_num_queries(0):
        client.get("/en/cart")
