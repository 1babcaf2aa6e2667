"""Every failure in one shape, and none that tells what it shouldn't."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client

from config.problems import PROBLEMS, problem
from tenants.errors import HoldfastError
from tests.fixtures.lines import Lines
from tests.house.code import project_modules

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("probes")]

# The contract's table, once more and by hand: a changed status has to be changed in two places.
CONTRACT = """
400 invalid_request, 400 shop_conflict, 400 variant_conflict, 400 shop_required, 401 unauthenticated, 403 forbidden,
403 tenant_mismatch, 404 not_found, 409 inventory_insufficient/insufficient_stock, 409 PRICE_CHANGED,
409 idempotency_conflict, 409 hold_in_checkout, 409 hold_not_active, 410 shop_expired, 413 too_large,
415 unsupported_media_type, 422 reconciliation_rejected, 429 rate_limited, 429 inventory_busy,
502 payment_rejected/checkout_failed, 503 payment_unknown, 503 inventory_unavailable, 503 tenant_unresolvable,
400 webhook_signature, 400 unknown_sku, 400 not_purchasable, 400 amount_too_small, 404 unknown_host,
405 method_not_allowed, 409 coupon_rejected, 409 refund_exceeds_payment, 409 rental_unavailable, 409 wrong_state,
500 internal_error
"""
ROWS = {code: (int(status), alias or "") for status, code, alias in re.findall(r"(\d{3}) (\w+)(?:/(\w+))?", CONTRACT)}


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def test_the_table_is_the_contracts():
    assert {code: (row.status, row.error) for code, row in PROBLEMS.items()} == ROWS


def test_every_error_of_ours_has_a_row():
    for name in project_modules():
        if name.endswith("errors"):
            __import__(name)
    ours = {kind for kind in _subclasses(HoldfastError) if not kind.__module__.startswith("tests.")}
    codes = {kind.code for kind in ours if not kind.__name__.startswith("_")}
    assert codes - PROBLEMS.keys() == set()


def _subclasses(kind: type[Any]) -> set[type[Any]]:
    return {kind for child in kind.__subclasses__() for kind in ({child} | _subclasses(child))}


def test_a_problem_has_exactly_the_contracts_members(client: Client, shop_host: str):
    answer = client.get("/api/cart?fail=invalid&secret=1", headers={"Host": shop_host, "X-Request-Id": "abcd-1234"})
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["X-Request-Id"] == "abcd-1234"
    assert answer["X-Api-Version"] == "1"
    assert answer["Cache-Control"] == "no-store"
    assert answer.json() == {
        "type": "urn:holdfast:problem:invalid_request",
        "title": "The request is not valid",
        "status": 400,
        "detail": "No.",
        "instance": "/api/cart",
        "code": "invalid_request",
        "error": "invalid_request",
        "shopId": "acme",
        "requestId": "abcd-1234",
        "fields": {"lines.0.sku": ["Unknown."]},
    }


@pytest.mark.parametrize("path", ["/api/cart", "/api/catalog"])
@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        ("invalid", 400, "invalid_request"),
        ("not_found", 404, "not_found"),
        ("busy", 429, "inventory_busy"),
        ("alien", 500, "internal_error"),
        ("http404", 404, "not_found"),
        ("denied", 403, "forbidden"),
        ("suspicious", 400, "invalid_request"),
        ("too_big", 413, "too_large"),
        ("defect", 500, "internal_error"),
        ("interface", 503, "inventory_unavailable"),
        ("unreachable", 503, "inventory_unavailable"),
    ],
)
def test_failures_inside_and_outside_drf(
    client: Client, shop_host: str, path: str, failure: str, status: int, code: str
):
    answer = client.get(f"{path}?fail={failure}", headers={"Host": shop_host, "Accept": "text/html"})
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"], body["shopId"]) == (status, status, code, "acme")
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["X-Request-Id"] == body["requestId"]
    assert b"secret" not in answer.content.lower()


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        ("drf_parse", 400, "invalid_request"),
        ("drf_auth", 401, "unauthenticated"),
        ("drf_failed", 401, "unauthenticated"),
        ("drf_denied", 403, "forbidden"),
        ("drf_not_found", 404, "not_found"),
        ("drf_throttled", 429, "rate_limited"),
        ("drf_validation", 400, "invalid_request"),
    ],
)
def test_failures_of_drf(client: Client, shop_host: str, failure: str, status: int, code: str):
    answer = client.get(f"/api/cart?fail={failure}", headers={"Host": shop_host})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert b"secret" not in answer.content
    assert (answer.get("WWW-Authenticate") == "Bearer") == (status == 401)


def test_retry_after_is_in_whole_seconds_rounded_up(client: Client, shop_host: str):
    answer = client.get("/api/cart?fail=busy", headers={"Host": shop_host})
    assert answer["Retry-After"] == "2"
    assert (answer.json()["retryAfterMs"], answer.json()["retryAfter"]) == (1200, 1200)
    throttled = client.get("/api/cart?fail=drf_throttled", headers={"Host": shop_host})
    assert (throttled["Retry-After"], throttled.json()["retryAfterMs"]) == ("7", 7000)


@pytest.mark.parametrize("path", ["/api/cart", "/api/catalog"])
def test_a_wrong_method_names_the_right_ones(client: Client, shop_host: str, path: str):
    answer = client.delete(path, headers={"Host": shop_host})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in answer["Allow"]


@pytest.mark.parametrize(
    ("bare", "code"), [(400, "invalid_request"), (404, "not_found"), (418, "invalid_request"), (502, "internal_error")]
)
def test_a_bare_status_becomes_a_problem(client: Client, shop_host: str, bare: int, code: str):
    answer = client.get(f"/api/catalog?status={bare}", headers={"Host": shop_host})
    assert (answer.status_code, answer.json()["code"]) == (bare, code)


def test_people_get_a_page_and_programs_a_document(client: Client, shop_host: str):
    page = client.get("/en/page?fail=defect", headers={"Host": shop_host, "Accept": "text/html,*/*"})
    assert page.status_code == 500
    assert page["Content-Type"].startswith("text/html")
    assert page["X-Request-Id"] in page.content.decode()
    assert "style-src 'sha256-" in page["Content-Security-Policy"]
    assert "secret" not in page.content.decode()
    document = client.get("/en/page?fail=not_found", headers={"Host": shop_host, "Accept": "*/*"})
    assert (document.status_code, document.json()["code"]) == (404, "not_found")
    nowhere = client.get("/en/nowhere", headers={"Host": shop_host, "Accept": "text/html"})
    assert (nowhere.status_code, b"<h1>Not found</h1>" in nowhere.content) == (404, True)


def test_a_page_escapes_what_it_shows():
    request = HttpRequest()
    request.path = "/en/page"
    request.META["HTTP_ACCEPT"] = "text/html"
    answer = problem(request, "not_found", "<script>alert(1)</script>")
    assert b"<script>" not in answer.content


def test_a_defect_is_logged_with_its_traceback_and_request(client: Client, shop_host: str, log_lines: Lines):
    client.get("/api/cart?fail=defect", headers={"Host": shop_host, "X-Request-Id": "defect-0001"})
    defect = next(line for line in log_lines() if line["level"] == "error")
    assert defect["request_id"] == "defect-0001"
    assert defect["shop_id"] == "acme"
    assert "RuntimeError" in defect["exception"]


def test_a_code_without_a_row_is_told_to_us_alone(client: Client, shop_host: str, log_lines: Lines):
    answer = client.get("/api/cart?fail=alien", headers={"Host": shop_host})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert b"Secret" not in answer.content
    assert [line["code"] for line in log_lines() if line["event"] == "problem_without_a_row"] == ["a_code_nobody_knows"]


def test_an_expected_failure_is_one_line_in_the_log(client: Client, shop_host: str, log_lines: Lines):
    client.get("/api/cart?fail=unreachable", headers={"Host": shop_host})
    assert [(line["event"], line["status"], line["level"]) for line in log_lines()] == [("request", 503, "warning")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("unwatched_hosts")  # so that the next request does ask the database
def test_a_server_that_goes_away_under_a_query_is_503_and_the_next_request_works(client: Client, shop_host: str):
    lost = client.get("/api/cart?fail=lost", headers={"Host": shop_host})
    assert (lost.status_code, lost.json()["code"]) == (503, "inventory_unavailable")
    assert lost["Retry-After"] == "2"
    assert client.get("/api/cart", headers={"Host": shop_host}).status_code == 200
