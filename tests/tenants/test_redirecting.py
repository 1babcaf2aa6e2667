"""Redirects, landing and expired pages over HTTP, as the middleware applies the decision."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client
from django.utils import timezone

from tenants.models import Host
from tests.factories.tenants import HostFactory

pytestmark = pytest.mark.django_db

CANON = "http://acme.localhost:8000"


@pytest.fixture(autouse=True)
def hosts(acme: Host, settings: Any) -> None:
    settings.PUBLIC_PORT = 8000
    HostFactory(shop=acme.shop, role=Host.Role.ALIAS, hostname="alias.example")
    HostFactory(shop=acme.shop, role=Host.Role.REDIRECT_ONLY, hostname="spring.example")


def ask(path: str, host: str = "acme.localhost", method: str = "GET", **headers: str) -> Any:
    sent = {"Host": host, "Accept": "text/html", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return Client().generic(method, path, headers=sent)


@pytest.mark.parametrize("host", ["alias.example", "spring.example", "SPRING.example.:8000"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_pages_of_other_hosts_move_to_the_canonical_one(host: str, method: str):
    answer = ask("/x?utm_source=mail&gclid=A%2fB&a=2&a=1", host, method)
    assert (answer.status_code, answer["Location"]) == (301, f"{CANON}/x?utm_source=mail&gclid=A%2fB&a=2&a=1")
    assert (answer["Cache-Control"], answer["X-Api-Version"], answer.content) == ("no-cache", "1", b"")
    assert "X-Content-Type-Options" in answer


def test_a_page_gets_the_browsers_locale():
    answer = ask("/cart?utm_source=x", Accept_Language="de-CH, en;q=0.5")
    assert (answer.status_code, answer["Location"]) == (307, "/de/cart?utm_source=x")
    assert (answer["Vary"], answer["Cache-Control"]) == ("Accept-Language", "private, no-cache")


def test_the_chain_of_a_campaign_link_ends_on_a_page():
    first = ask("/", "spring.example", Accept_Language="de")
    second = ask(first["Location"].removeprefix(CANON), Accept_Language="de")
    assert ask(second["Location"]).status_code == 200


def test_a_moved_canonical_host_redirects_at_once():
    assert ask("/en/", "alias.example")["Location"] == f"{CANON}/en/"
    Host.objects.filter(hostname="acme.localhost").update(role=Host.Role.ALIAS)
    Host.objects.filter(hostname="alias.example").update(role=Host.Role.CANONICAL)
    assert ask("/en/", "alias.example").status_code == 200
    assert ask("/en/")["Location"] == "http://alias.example:8000/en/"


def raw(target: str, host: str = "alias.example", **environ: str) -> tuple[int, str]:
    """A request as gunicorn hands it over, with the target as it was sent."""
    base = Client()._base_environ(REQUEST_METHOD="GET", HTTP_HOST=host, RAW_URI=target, **environ)
    seen: list[Any] = []
    WSGIHandler()(base, lambda status, headers: seen.extend((int(status[:3]), dict(headers).get("Location", ""))))
    return seen[0], seen[1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("target", "path", "query", "expected"),
    [
        ("/a%2Fb%c3%bc?x=%2f", "/a/b\xc3\xbc", "x=%2f", (301, f"{CANON}/a%2Fb%c3%bc?x=%2f")),
        ("/a%5Cb/", "/a\\b/", "", (404, "")),
        ("//evil.test/", "//evil.test/", "", (404, "")),
        ("/%0d%0aSet-Cookie:%20x", "/\r\nSet-Cookie: x", "", (404, "")),
        # What isn't the address being routed is not believed, and another host's is refused.
        ("http://evil.test/x", "/x", "", (400, "")),
        ("http://alias.example/y", "/x", "", (301, f"{CANON}/x")),
        ("/other", "/x", "a=1", (301, f"{CANON}/x?a=1")),
        ("/x?b=2", "/x", "a=1", (301, f"{CANON}/x?a=1")),
    ],
)
def test_the_address_as_sent_is_kept_where_the_server_tells_it(
    target: str, path: str, query: str, expected: tuple[int, str]
):
    assert raw(target, PATH_INFO=path, QUERY_STRING=query) == expected


def test_the_api_of_an_alias_is_the_shops():
    body = '{"sku": "NOPE", "quantity": 1}'
    for host in ("alias.example", "acme.localhost"):
        answer = Client().post("/api/cart", body, content_type="application/json", headers={"Host": host})
        assert (answer.status_code, answer.json()["code"], answer.json()["shopId"]) == (400, "unknown_sku", "acme")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/api/cart", "/api/order-status", "/api/stripe-webhook", "/api/unknown"])
def test_a_redirect_only_host_has_no_api(method: str, path: str):
    answer = ask(path, "spring.example", method)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/healthz", "/static/storefront/style.css"])
@pytest.mark.parametrize("host", ["alias.example", "spring.example"])
def test_what_is_the_same_on_every_host(path: str, host: str):
    assert ask(path, host).status_code == 200


class TestClosedHosts:
    @pytest.mark.parametrize("path", ["/", "/en/cart", "/de/products/x?utm_source=y"])
    def test_a_landing_page_on_every_page_and_no_commerce(self, path: str):
        Host.objects.update(mode=Host.Mode.LANDING_ONLY)
        answer = ask(path, Accept_Language="de")
        text = answer.content.decode()
        assert (answer.status_code, answer["Content-Language"]) == (200, "de")
        assert "Bald hier" in text and "Acme" in text
        assert f'<link rel="canonical" href="{CANON}/">' in text
        assert "/cart" not in text
        assert "script-src 'self'" in answer["Content-Security-Policy"]
        assert ask(path, method="POST").status_code == 410
        closed = ask("/api/cart")
        assert (closed.status_code, closed.json()["code"], closed.json()["shopId"]) == (410, "shop_expired", "acme")

    @pytest.mark.parametrize("how", ["mode", "date"])
    def test_an_expired_host(self, how: str):
        over = {"expires_at": timezone.now() - timedelta(seconds=1)} if how == "date" else {"mode": Host.Mode.EXPIRED}
        Host.objects.filter(role=Host.Role.ALIAS).update(**over)
        answer = ask("/en/cart", "alias.example")
        assert answer.status_code == 410
        assert "no longer in use" in answer.content.decode()
        assert f'href="{CANON}/"' in answer.content.decode(), "the shop is elsewhere"
        assert ask("/", "alias.example", "HEAD").status_code == 410
        assert ask("/api/checkout-session", "alias.example", "POST").status_code == 410
        assert ask("/api/order-status", "alias.example").status_code != 410
        assert ask("/en/").status_code == 200, "the other hosts of the shop"

    def test_the_last_host_of_a_shop_leads_nowhere(self):
        Host.objects.update(mode=Host.Mode.EXPIRED)
        assert "<a " not in ask("/").content.decode()

    def test_a_shops_name_is_text(self, acme: Host):
        assert acme.shop is not None
        acme.shop.name = "<b>&"
        acme.shop.save()
        Host.objects.update(mode=Host.Mode.LANDING_ONLY)
        assert "<b>" not in ask("/").content.decode()
