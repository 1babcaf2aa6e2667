"""What a request meets first, through real HTTP requests to views that tell what reached them."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone
from prometheus_client import REGISTRY
from pytest_django import Settings

from tenants.database import NO_SCOPE, current_scope
from tenants.errors import HoldfastError
from tenants.front_door import FrontDoor
from tenants.models import Host, Shop
from tests.factories.tenants import HostFactory
from tests.fixtures.lines import Lines

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("probes")]

KIB = 1024


def get(client: Client, path: str, host: str = "acme.localhost", **headers: str) -> Any:
    return client.get(path, headers={"Host": host, **{k.replace("_", "-"): v for k, v in headers.items()}})


def post(client: Client, path: str, body: bytes = b"{}", host: str = "acme.localhost", **headers: str) -> Any:
    sent = {"Host": host, **{k.replace("_", "-"): v for k, v in headers.items()}}
    return client.generic("POST", path, body, content_type="application/json", headers=sent)


def scope_of_an_answer(request: HttpRequest, error: HoldfastError) -> HttpResponse:
    return HttpResponse(current_scope.get(), status=404)


class TestShopOfTheHost:
    def test_the_host_decides(self, client: Client, acme: Host):
        HostFactory(shop__id="other")
        assert get(client, "/api/cart").json()["shop"] == "acme"
        assert get(client, "/api/cart", host="OTHER.localhost.:8000").json()["shop"] == "other"

    def test_what_reaches_a_view(self, client: Client, acme: Host):
        assert get(client, "/api/cart", host="ACME.localhost.:8000", X_Request_Id="given-0000").json() == {
            "shop": "acme",
            "same": True,
            "role": "shop",
            "requestId": "given-0000",
            "header": "given-0000",
            "internal": [],
            "host": "acme.localhost:8000",
        }

    @pytest.mark.parametrize(
        "header",
        ["X-Shop-Id", "X-Shop", "X-Front-Door-Token", "X-Front-Door-Shop", "X-Holdfast-Shop", "x-shop-id", "X_Shop_Id"],
    )
    def test_a_forged_internal_header_has_no_effect(self, client: Client, acme: Host, header: str):
        HostFactory(shop__id="victim")
        honest = get(client, "/api/cart", X_Request_Id="same-request").json()
        forged = client.get(
            "/api/cart", headers={"Host": "acme.localhost", "X-Request-Id": "same-request", header: "victim"}
        )
        assert (forged.status_code, forged.json()) == (200, honest)

    def test_forwarded_host_headers_have_no_effect(self, client: Client, acme: Host):
        HostFactory(shop__id="victim")
        answer = get(client, "/api/cart", X_Forwarded_Host="victim.localhost", Forwarded="host=victim.localhost")
        assert answer.json()["shop"] == "acme"

    @pytest.mark.parametrize(
        "host",
        ["nobody.localhost", "[::1]:8000", "user@acme.localhost", "acme.localhost, x", "acme.localhost/", "*", ""],
    )
    def test_unknown_and_unusable_hosts(self, client: Client, acme: Host, host: str):
        answer = get(client, "/api/cart", host=host)
        assert (answer.status_code, answer.json()["code"], answer.json()["shopId"]) == (404, "unknown_host", None)
        assert answer["Content-Type"] == "application/problem+json"
        page = get(client, "/", host=host, Accept="text/html")
        assert (page.status_code, page["Content-Type"].split(";")[0]) == (404, "text/html")

    @pytest.mark.parametrize(
        "target",
        [
            "http://other.localhost/api/cart",
            "http://acme.localhost@other.localhost/api/cart",
            "http://a@acme.localhost/api/cart",
            "http:///api/cart",
            "other.localhost:80",
        ],
    )
    def test_a_request_line_that_names_another_host(self, client: Client, acme: Host, target: str):
        HostFactory(shop__id="other")
        asked = client.get("/api/cart", headers={"Host": "acme.localhost"}, RAW_URI=target)
        assert (asked.status_code, asked.json()["code"]) == (400, "shop_conflict")

    def test_a_request_line_that_names_the_same_host(self, client: Client, acme: Host):
        for target in ("http://ACME.localhost.:80/api/cart", "HTTP://acme.localhost/api/cart?a=b", "/api/cart", "*"):
            asked = client.get("/api/cart", headers={"Host": "acme.localhost"}, RAW_URI=target)
            assert (asked.status_code, asked.json()["shop"]) == (200, "acme")

    @pytest.mark.parametrize(
        ("host", "path"), [("nobody.localhost", "/api/cart"), ("nobody.localhost", "/admin/"), ("a b", "/")]
    )
    def test_a_refusal_on_an_unknown_host_has_no_scope(self, acme: Host, settings: Settings, host: str, path: str):
        """With the application's login what answers has no right to any table then."""
        settings.PROBLEM_ANSWER = f"{__name__}.scope_of_an_answer"
        refused = FrontDoor(lambda request: HttpResponse())(RequestFactory().get(path, headers={"Host": host}))
        assert (refused.status_code, refused.content.decode()) == (404, NO_SCOPE)

    def test_a_host_without_settings_for_its_shop_serves_nothing(self, client: Client):
        HostFactory(shop=Shop.objects.create(id="bare", name="Bare"))
        assert get(client, "/api/cart", host="bare.localhost").status_code == 404

    @pytest.mark.parametrize("path", ["/api/cart?x=%00", "/en/products/%00", "/api/order-status?session_id=cs_%00"])
    def test_a_nul_in_the_address(self, client: Client, acme: Host, path: str):
        assert client.get(path, headers={"Host": acme.hostname}).status_code == 400

    def test_the_platform_hosts_root_leads_to_the_admin(self, client: Client):
        answer = get(client, "/", host="localhost:8000")
        assert (answer.status_code, answer["Location"]) == (302, "/admin/")


class TestRequestId:
    @pytest.mark.parametrize("given", ["abcdefgh", "a.b_c-D9", "x" * 64, "01900000-0000-7000-8000-000000000000"])
    def test_a_well_formed_one_is_taken(self, client: Client, acme: Host, given: str):
        answer = get(client, "/api/cart", X_Request_Id=given)
        assert (answer["X-Request-Id"], answer.json()["requestId"], answer.json()["header"]) == (given, given, given)

    @pytest.mark.parametrize(
        "given", ["short", "x" * 65, "with space", "ümlaut-ids", "a\tb\tc\td\te", "<script>alert", "line\nbreak", ""]
    )
    def test_any_other_is_replaced(self, client: Client, acme: Host, given: str):
        answer = get(client, "/api/cart", X_Request_Id=given)
        made = answer["X-Request-Id"]
        assert made != given
        assert len(made) == 32
        assert (answer.json()["requestId"], answer.json()["header"]) == (made, made)

    @pytest.mark.parametrize(
        ("path", "host"),
        [
            ("/healthz", "x"),
            ("/api/nowhere", "acme.localhost"),
            ("/api/cart", "unknown.example"),
            ("/en/page?fail=not_found", "acme.localhost"),
            ("/", "localhost"),
        ],
    )
    def test_every_answer_carries_it_and_the_version(self, client: Client, acme: Host, path: str, host: str):
        answer = get(client, path, host=host, X_Request_Id="given-0001")
        assert (answer["X-Request-Id"], answer["X-Api-Version"]) == ("given-0001", "1")

    def test_the_line_has_it_with_the_shop_and_without_the_query(self, client: Client, acme: Host, log_lines: Lines):
        get(client, "/api/order-status?session_id=cs_secret", X_Request_Id="given-0002")
        line = next(line for line in log_lines() if line["event"] == "request")
        assert line["ms"] >= 0
        assert {name: line[name] for name in line if name not in {"ms", "timestamp"}} == {
            "event": "request",
            "method": "GET",
            "path": "/api/order-status",
            "family": "order_status",
            "role": "shop",
            "status": 200,
            "request_id": "given-0002",
            "shop_id": "acme",
            "level": "info",
            "logger": "holdfast.request",
        }
        assert "cs_secret" not in str(log_lines())

    def test_nothing_of_one_request_is_left_for_the_next(self, client: Client, acme: Host, log_lines: Lines):
        get(client, "/api/cart")
        get(client, "/api/cart", host="unknown.example")
        assert [line["shop_id"] for line in log_lines() if line["event"] == "request"] == ["acme", None]


class TestClosedShops:
    CLOSED = (("POST", "/api/checkout-session"), ("GET", "/api/cart"), ("GET", "/api/catalog"))
    OPEN = (
        ("GET", "/api/order-status"),
        ("GET", "/api/checkout-session/cs_1"),
        ("POST", "/api/stripe-webhook"),
    )

    @pytest.mark.parametrize("why", ["expired", "landing_only", "date", "shop"])
    def test_new_business_is_closed_and_settlement_is_not(self, client: Client, acme: Host, why: str):
        if why == "shop":
            Shop.objects.update(status=Shop.Status.CLOSED)
        elif why == "date":
            Host.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        else:
            Host.objects.update(mode=why)
        for method, path in self.CLOSED:
            answer = client.generic(method, path, headers={"Host": "acme.localhost"})
            assert (answer.status_code, answer.json()["code"]) == (410, "shop_expired"), path
            assert answer.json()["shopId"] == "acme"
        for method, path in self.OPEN:
            answer = client.generic(
                method, path, b"{}", content_type="application/json", headers={"Host": "acme.localhost"}
            )
            assert answer.status_code == 200, path

    def test_pages_of_a_closed_shop_stay_up_and_those_of_an_expired_host_do_not(self, client: Client, acme: Host):
        Shop.objects.update(status=Shop.Status.CLOSED)
        assert get(client, "/en/page").status_code == 200
        Host.objects.update(mode=Host.Mode.EXPIRED)
        assert get(client, "/en/page", Accept="text/html").status_code == 410

    def test_a_host_that_expires_tomorrow_is_open(self, client: Client, acme: Host):
        Host.objects.update(expires_at=timezone.now() + timedelta(days=1))
        assert get(client, "/api/cart").status_code == 200


class TestBodies:
    @pytest.mark.parametrize(
        ("path", "host", "limit"),
        [
            ("/api/cart", "acme.localhost", 256 * KIB),
            ("/api/stripe-webhook", "acme.localhost", 1024 * KIB),
            ("/healthz", "anything", 256 * KIB),
            ("/en/page", "acme.localhost", 256 * KIB),
        ],
    )
    def test_a_body_over_the_limit_is_refused_unread(
        self, client: Client, acme: Host, path: str, host: str, limit: int
    ):
        at_limit = client.put(path, b" " * limit, headers={"Host": host})
        over = client.put(path, b" " * (limit + 1), headers={"Host": host})
        assert at_limit.status_code != 413
        if path.startswith("/api/"):
            assert at_limit.json() == {"length": limit}
        assert (over.status_code, over.json()["code"]) == (413, "too_large")

    @pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "٣", "12 34"])
    def test_a_length_that_is_no_number(self, client: Client, acme: Host, length: str):
        answer = post(client, "/api/cart", Content_Length=length)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")

    def test_an_absurd_length(self, client: Client, acme: Host):
        answer = post(client, "/api/cart", Content_Length="9" * 5000)
        assert answer.status_code == 413

    @pytest.mark.django_db(transaction=True)
    def test_a_chunked_body_is_read_up_to_the_limit(self, acme: Host):
        small = chunked(b'{"lines": []}')
        assert small == (200, b'{"body":{"lines":[]}}')
        status, body = chunked(b" " * (256 * KIB + 1))
        assert (status, b"too_large" in body) == (413, True)


def chunked(body: bytes) -> tuple[int, bytes]:
    """One request as a server hands over a chunked body: no length, a stream that ends by itself."""
    seen: list[str] = []
    environ = Client()._base_environ(
        REQUEST_METHOD="POST",
        PATH_INFO="/api/cart",
        HTTP_HOST="acme.localhost",
        CONTENT_TYPE="application/json",
        HTTP_TRANSFER_ENCODING="chunked",
    )
    environ["wsgi.input"] = BytesIO(body)
    environ.pop("CONTENT_LENGTH", None)
    answer = WSGIHandler()(environ, lambda status, headers: seen.append(status))
    return int(seen[0].split()[0]), b"".join(answer)


class TestOrigin:
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 200),
            ({"Origin": "http://acme.localhost:8000"}, 200),
            ({"Origin": "http://acme.localhost:8000", "Sec-Fetch-Site": "same-origin"}, 200),
            ({"Sec-Fetch-Site": "none"}, 200),
            ({"Origin": "http://evil.example"}, 403),
            ({"Origin": "http://other.localhost:8000", "Sec-Fetch-Site": "same-site"}, 403),
            ({"Origin": "null"}, 403),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
        ],
    )
    def test_unsafe_methods(self, client: Client, acme: Host, headers: dict[str, str], status: int):
        answer = post(client, "/api/cart", host="acme.localhost:8000", **headers)
        assert answer.status_code == status
        if status == 403:
            assert answer.json()["code"] == "forbidden"

    def test_reading_and_webhooks_are_not_asked(self, client: Client, acme: Host):
        assert get(client, "/api/cart", Origin="http://evil.example").status_code == 200
        assert post(client, "/api/stripe-webhook", Origin="http://evil.example").status_code == 200


class TestMetrics:
    def test_requests_are_counted_by_shop_family_and_status(self, client: Client, acme: Host):
        counted = {"shop_id": "acme", "family": "cart", "status": "200"}
        timed = {"shop_id": "acme", "family": "cart"}
        before = (_value("http_requests_total", counted), _value("http_request_seconds_count", timed))
        get(client, "/api/cart?session_id=1")
        after = (_value("http_requests_total", counted), _value("http_request_seconds_count", timed))
        assert after == (before[0] + 1, before[1] + 1)

    def test_labels_are_bounded_whatever_is_asked_for(self, client: Client, acme: Host):
        get(client, "/api/never-seen-before", host="never-seen-before.example")
        get(client, "/api/never-seen-before")
        get(client, "/never-seen-before")
        samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
        assert not [sample for sample in samples if "never-seen-before" in str(sample.labels)]
        assert _value("http_requests_total", {"shop_id": "-", "family": "unknown", "status": "404"}) >= 1
        assert _value("http_requests_total", {"shop_id": "acme", "family": "unknown", "status": "404"}) >= 1


def _value(name: str, labels: dict[str, str]) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0
