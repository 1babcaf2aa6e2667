"""robots.txt, sitemap.xml and the language links of pages: the shop's own, on its canonical host."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from commerce.models import Product
from commerce.storefront import crawlers
from tenants.models import Host
from tests.commerce.conftest import visitor
from tests.factories.commerce import ProductFactory, VariantFactory

pytestmark = pytest.mark.django_db

LOC = "{http://www.sitemaps.org/schemas/sitemap/0.9}loc"
LINK = "{http://www.w3.org/1999/xhtml}link"


@pytest.fixture
def shop(open_shop, settings):
    settings.PUBLIC_PORT = 8000
    shop = open_shop(id="acme")
    VariantFactory(product=ProductFactory(shop=shop, slug="band"))
    VariantFactory(product=ProductFactory(shop=shop, slug="retired", active=False))
    VariantFactory(product=ProductFactory(shop=shop, slug="unsold"), active=False)
    VariantFactory(product=ProductFactory(shop=shop, slug="foreign-money"), currency="JPY")
    VariantFactory(product=ProductFactory(shop=open_shop(id="other"), slug="not-ours"))
    return shop


def addresses(answer):
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/xml; charset=utf-8")
    return [found.text for found in ElementTree.fromstring(answer.content).iter(LOC)]


def test_the_sitemap_lists_what_is_sold_in_every_locale(shop):
    answer = visitor(shop).get("/sitemap.xml")
    base = "http://acme.localhost:8000"
    assert addresses(answer) == [f"{base}/en/", f"{base}/de/", f"{base}/en/products/band", f"{base}/de/products/band"]
    links = [(link.get("hreflang"), link.get("href")) for link in ElementTree.fromstring(answer.content).iter(LINK)]
    assert links[-3:] == [
        ("en", f"{base}/en/products/band"),
        ("de", f"{base}/de/products/band"),
        ("x-default", f"{base}/products/band"),
    ]
    assert answer["Cache-Control"] == "public, max-age=600"


@pytest.mark.parametrize("count", [1, 3])
def test_one_query(shop, count, settings, django_assert_num_queries):
    settings.HOST_MAP_SECONDS = 60
    for _ in range(count):
        VariantFactory(product__shop=shop)
    client = visitor(shop)
    client.get("/robots.txt")
    with django_assert_num_queries(1):
        assert len(addresses(client.get("/sitemap.xml"))) == 2 * (2 + count)


class TestMoreThanOneFileHolds:
    """Three products in two locales to a file. The shop has four that aren't sold, among those that are."""

    @pytest.fixture(autouse=True)
    def small_files(self, monkeypatch):
        monkeypatch.setattr(crawlers, "ADDRESSES_PER_FILE", 6)

    def add(self, shop, count):
        for number in range(count):
            VariantFactory(product=ProductFactory(shop=shop, slug=f"more-{number}"))

    def test_up_to_it_there_is_one(self, shop):
        self.add(shop, 2)
        answer = visitor(shop).get("/sitemap.xml")
        assert b"sitemapindex" not in answer.content
        assert [page.rpartition("/")[2] for page in addresses(answer)[::2]] == ["", "band", "more-0", "more-1"]

    def test_beyond_it_there_is_an_index_of_files_with_every_page_once(self, shop):
        self.add(shop, 10)
        client = visitor(shop)
        index = client.get("/sitemap.xml")
        assert ElementTree.fromstring(index.content).tag.endswith("}sitemapindex")
        files = addresses(index)
        base = "http://acme.localhost:8000/"
        assert files[0] == f"{base}sitemap.xml?from=0"
        listed = []
        for file in files:
            pages = addresses(client.get(file.removeprefix(base.rstrip("/"))))
            assert len(pages) <= 6 + 2
            listed += pages
        slugs = ["", "products/band", *(f"products/more-{number}" for number in range(10))]
        assert listed == [f"{base}{locale}/{slug}" for slug in slugs for locale in ("en", "de")]
        assert len(files) == 5, "fourteen products, sold or not, three to a file"

    def test_the_queries_are_bounded(self, shop, settings, django_assert_num_queries):
        settings.HOST_MAP_SECONDS = 60
        self.add(shop, 10)
        client = visitor(shop)
        client.get("/robots.txt")
        with django_assert_num_queries(2):
            files = addresses(client.get("/sitemap.xml"))
        for file in files:
            with django_assert_num_queries(1):
                client.get(file.partition("localhost:8000")[2])

    def test_a_file_without_anything_sold_names_the_list(self, shop):
        """No file is empty: the protocol wants an address in each."""
        self.add(shop, 10)
        Product.objects.for_shop("acme").filter(slug__startswith="more-").update(active=False)
        last = Product.objects.for_shop("acme").order_by("pk").last().pk
        found = addresses(visitor(shop).get(f"/sitemap.xml?from={last}"))
        assert found == ["http://acme.localhost:8000/en/", "http://acme.localhost:8000/de/"]

    def test_another_shops_products_are_in_none(self, shop):
        theirs = Product.objects.get(slug="not-ours")
        assert b"not-ours" not in visitor(shop).get(f"/sitemap.xml?from={theirs.pk}").content

    @pytest.mark.parametrize("key", ["", "-1", "x", "01", "1.5", " 1", "\u0661", "9" * 19, "9" * 5000, "1;2"])
    def test_what_is_no_key_is_not_found(self, shop, key):
        assert visitor(shop).get(f"/sitemap.xml?from={key}").status_code == 404


def test_locales_that_no_address_can_have_are_left_out(open_shop):
    shop = open_shop(settings__locales=["en", "../x", '"><a>'])
    assert [address.rpartition("/en/")[1] for address in addresses(visitor(shop).get("/sitemap.xml"))] == ["/en/"]


def test_robots(shop):
    answer = visitor(shop).get("/robots.txt")
    assert answer.content.decode() == (
        "User-agent: *\n"
        "Disallow: /api/\n"
        "Disallow: /*/cart\n"
        "Disallow: /*/checkout\n"
        "Disallow: /*/cancel\n"
        "Disallow: /*/thank-you\n"
        "\n"
        "Sitemap: http://acme.localhost:8000/sitemap.xml\n"
    )
    assert visitor(shop).post("/robots.txt").status_code == 405


@pytest.mark.parametrize("path", ["/robots.txt", "/sitemap.xml"])
def test_other_hosts_lead_to_the_canonical_ones_files(shop, client, path):
    Host.objects.create(hostname="alias.example", role=Host.Role.ALIAS, shop=shop)
    answer = client.get(path, headers={"Host": "alias.example"})
    assert (answer.status_code, answer["Location"]) == (301, f"http://acme.localhost:8000{path}")
    Host.objects.update(mode=Host.Mode.LANDING_ONLY)
    assert visitor(shop).get(path).status_code == 404
    assert client.get(path, headers={"Host": "localhost"}).status_code == 404


def test_pages_name_their_address_and_their_siblings(shop):
    text = visitor(shop).get("/de/products/band?utm_source=x").content.decode()
    base = "http://acme.localhost:8000"
    assert f'<link rel="canonical" href="{base}/de/products/band">' in text
    assert re.findall(r'hreflang="([\w-]+)" href="(http[^"]+)"', text) == [
        ("en", f"{base}/en/products/band"),
        ("de", f"{base}/de/products/band"),
        ("x-default", f"{base}/products/band"),
    ]
