"""The authority's clients (I4, I12): each fault on a real socket, tried on the Python client and on its twin."""

from __future__ import annotations

import socket
import uuid
from typing import Any

import pytest

from tests.inventory.client.authority import Act, Authority, drips, endless, hangs, problem, raw, says
from tests.inventory.client.callers import Call

ITEMS = [{"sku": "BAND", "quantity": 2, "variantAttributes": {"color": "teal"}}]
KEY = "BAND#color:teal"
HOLD_ID = "0198c0de-0000-7000-8000-000000000001"
ENOUGH = {"sku": "BAND", "variantKey": KEY, "requested": 2, "available": 5}
SHORT = {**ENOUGH, "available": 1}
OK = {"ok": True, "shopId": "acme", "items": [ENOUGH]}
HELD = {
    "holdId": HOLD_ID, "status": "active", "expiresAt": "2026-05-01T12:00:00Z", "idempotentHit": False,
    "items": [{"sku": "BAND", "variantKey": KEY, "quantity": 2}],
}  # fmt: skip
UNAVAILABLE = ("AuthorityUnavailable", "service_unavailable", 503)
TIMEOUT = ("AuthorityTimeout", "inventory_timeout", 504)
BUSY = problem(429, "inventory_busy", retryAfterMs=1)


def kind_of(outcome: dict[str, Any]) -> tuple[Any, ...]:
    return outcome.get("error", outcome.get("value")), outcome.get("code"), outcome.get("status")


FAULTS: list[tuple[str, Act, tuple[Any, ...]]] = [
    ("hang", hangs, TIMEOUT),
    ("drip", drips, TIMEOUT),
    ("closed at once", raw(b""), UNAVAILABLE),
    ("half a head", raw(b"HTTP/1.1 200 OK\r\nContent-Ty"), UNAVAILABLE),
    ("not HTTP", raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), UNAVAILABLE),
    (
        "half a body",
        raw(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"ok":'),
        UNAVAILABLE,
    ),
    (
        "half a body without a length",
        raw(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"ok": true, "i'),
        UNAVAILABLE,
    ),
    ("endless body", endless, UNAVAILABLE),
    ("huge body", says(200, b" " * 3_000_000 + b"{}"), UNAVAILABLE),
    ("HTML", says(200, b"<html>ok</html>", kind="text/html"), UNAVAILABLE),
    ("HTML that says JSON", says(200, b"<html>ok</html>"), UNAVAILABLE),
    ("JSON that says HTML", says(200, OK, kind="text/html"), UNAVAILABLE),
    ("empty", says(200, b""), UNAVAILABLE),
    ("no content", says(204, b""), UNAVAILABLE),
    ("null", says(200, None), UNAVAILABLE),
    ("list", says(200, [OK]), UNAVAILABLE),
    ("NaN", says(200, b'{"ok": NaN}'), UNAVAILABLE),
    ("deep", says(200, b'{"ok":' + b"[" * 200_000), UNAVAILABLE),
    ("not UTF-8", says(200, b'{"ok": true, "shopId": "\xff"}'), UNAVAILABLE),
    ("redirect", says(302, b"", location="http://127.0.0.1:9/"), UNAVAILABLE),
    ("permanent redirect", says(308, b"", location="/api/inventory/validate/"), UNAVAILABLE),
    ("400", problem(400, "variant_conflict"), ("AuthorityInvalid", "variant_conflict", 400)),
    ("400 of a proxy", says(400, b"Bad", kind="text/plain"), UNAVAILABLE),
    ("401", problem(401, "unauthenticated"), ("AuthorityDenied", "unauthenticated", 401)),
    ("401 of a proxy", says(401, b"no", kind="text/html"), ("AuthorityDenied", "unauthenticated", 401)),
    ("403", problem(403, "forbidden"), ("AuthorityDenied", "forbidden", 403)),
    ("404", problem(404, "not_found"), ("AuthorityInvalid", "not_found", 404)),
    ("404 of a proxy", says(404, b"<h1>", kind="text/html"), UNAVAILABLE),
    ("409", problem(409, "idempotency_conflict"), ("AuthorityConflict", "idempotency_conflict", 409)),
    ("409 of a proxy", says(409, b"{}"), UNAVAILABLE),
    ("409 that doesn't say what is short", problem(409, "inventory_insufficient"), UNAVAILABLE),
    ("409 about what is not short", problem(409, "inventory_insufficient", items=[ENOUGH]), UNAVAILABLE),
    ("410", problem(410, "shop_expired"), ("AuthorityInvalid", "shop_expired", 410)),
    ("413", problem(413, "too_large"), ("AuthorityInvalid", "too_large", 413)),
    ("429 of the limiter", problem(429, "rate_limited", retryAfterMs=1), ("AuthorityBusy", "rate_limited", 429)),
    ("429 of a proxy", says(429, b"slow", kind="text/plain"), ("AuthorityBusy", "rate_limited", 429)),
    (
        "busy for too long",
        problem(429, "inventory_busy", retryAfterMs=60_000),
        ("AuthorityBusy", "inventory_busy", 429),
    ),
    ("500", problem(500, "internal_error"), ("AuthorityUnavailable", "internal_error", 500)),
    ("500 of a proxy", says(500, b"<h1>", kind="text/html"), UNAVAILABLE),
    ("502 of a proxy", says(502, b"<h1>", kind="text/html"), UNAVAILABLE),
    ("503", problem(503, "inventory_unavailable"), ("AuthorityUnavailable", "inventory_unavailable", 503)),
    ("504 of a proxy", says(504, b"", kind="text/html"), TIMEOUT),
    ("another status inside", says(403, {"status": 200, "code": "fine"}), ("AuthorityDenied", "forbidden", 403)),
]


@pytest.mark.parametrize("verb", ["validate", "hold"])
@pytest.mark.parametrize(("act", "expected"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_fault_is_an_error_of_its_kind(call: Call, verb: str, act: Act, expected: tuple[Any, ...]):
    slow = act in {hangs, drips}
    with Authority([act]) as authority:
        outcome = call(authority.url, verb, ITEMS, timeoutMs=400 if slow else 60_000)
    assert kind_of(outcome) == expected
    assert len(authority.asked) == 1
    assert "tok_secret" not in str(outcome)


def test_nobody_there(call: Call):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    assert kind_of(call(url, "validate", ITEMS)) == UNAVAILABLE
    assert kind_of(call("http://no-such-name.invalid", "hold", ITEMS, timeoutMs=20_000))[0] in {
        "AuthorityUnavailable", "AuthorityTimeout",
    }  # fmt: skip


def test_validation(call: Call):
    with Authority([says(200, OK)]) as authority:
        outcome = call(authority.url, "validate", ITEMS, shopId="acme")
    assert outcome == {"value": {"ok": True, "items": [ENOUGH]}, "retried": []}
    line, headers, body = authority.asked[0]
    assert (line, body) == ("POST /api/inventory/validate", {"items": ITEMS})
    assert headers["authorization"] == "Bearer tok_secret"
    assert (headers["x-shop-id"], headers["content-type"]) == ("acme", "application/json")


def test_what_is_short_is_an_answer_to_validate_and_an_error_to_hold(call: Call):
    refused = problem(409, "inventory_insufficient", items=[SHORT], error="insufficient_stock")
    with Authority([refused]) as authority:
        assert call(authority.url, "validate", ITEMS)["value"] == {"ok": False, "insufficient": [SHORT]}
        outcome = call(authority.url, "hold", ITEMS)
    assert kind_of(outcome) == ("AuthorityShort", "inventory_insufficient", 409)
    assert outcome["insufficient"] == [SHORT]


@pytest.mark.parametrize(
    "answer",
    [
        {**OK, "ok": "true"},
        {**OK, "ok": 1},
        {**OK, "shopId": "other"},
        {**OK, "items": []},
        {**OK, "items": {}},
        {**OK, "items": [{**ENOUGH, "requested": 1}]},
        {**OK, "items": [{**ENOUGH, "sku": "OTHER"}]},
        {**OK, "items": [ENOUGH, {**ENOUGH, "sku": "OTHER"}]},
        {**OK, "items": [SHORT]},
        {**OK, "items": [{**ENOUGH, "available": "5"}]},
        {**OK, "items": [{**ENOUGH, "available": -1}]},
        {"ok": True},
    ],
)
def test_an_ok_that_is_none(call: Call, answer: dict[str, Any]):
    with Authority([says(200, answer)]) as authority:
        assert kind_of(call(authority.url, "validate", ITEMS, shopId="acme")) == UNAVAILABLE


def test_a_hold_and_its_verbs(call: Call):
    with Authority([says(201, HELD)]) as authority:
        placed = call(authority.url, "hold", ITEMS, {"ttlSeconds": 90, "idempotencyKey": "mine"})
        extended = call(authority.url, "extend", HOLD_ID, {"ttlSeconds": 60})
    assert placed["value"] == extended["value"] == HELD
    assert [(line, body) for line, _, body in authority.asked] == [
        ("POST /api/inventory/holds", {"items": ITEMS, "ttlSeconds": 90, "idempotencyKey": "mine"}),
        (f"POST /api/inventory/holds/{HOLD_ID}/extend", {"ttlSeconds": 60}),
    ]
    with Authority([says(200, {**HELD, "status": "committed"})]) as authority:
        assert call(authority.url, "commit", HOLD_ID)["value"]["status"] == "committed"
        assert call(authority.url, "get", HOLD_ID)["value"]["status"] == "committed"
        assert kind_of(call(authority.url, "release", HOLD_ID, {"reason": "changed mind"})) == UNAVAILABLE
        assert kind_of(call(authority.url, "get", HOLD_ID.replace("1", "2"))) == UNAVAILABLE
        assert kind_of(call(authority.url, "get", "../../admin")) == ("AuthorityInvalid", "invalid_request", 400)
    assert [line for line, _, _ in authority.asked] == [
        f"POST /api/inventory/holds/{HOLD_ID}/commit",
        f"GET /api/inventory/holds/{HOLD_ID}",
        f"POST /api/inventory/holds/{HOLD_ID}/release",
        f"GET /api/inventory/holds/{HOLD_ID.replace('1', '2')}",
    ]
    assert authority.asked[2][2] == {"reason": "changed mind"}


@pytest.mark.parametrize(
    "answer",
    [
        {**HELD, "status": "released"},
        {**HELD, "holdId": "1"},
        {**HELD, "expiresAt": "soon"},
        {**HELD, "expiresAt": "2026-05-01T12:00:00"},
        {**HELD, "items": []},
        {**HELD, "idempotentHit": "no"},
        {},
    ],
)
def test_a_hold_that_is_none(call: Call, answer: dict[str, Any]):
    with Authority([says(201, answer)]) as authority:
        assert kind_of(call(authority.url, "hold", ITEMS)) == UNAVAILABLE


def test_availability_and_health(call: Call):
    found = {"sku": "A", "variantKey": "A", "available": 3, "state": "low"}
    with Authority(
        [says(200, {"shopId": "acme", "asOf": "x", "items": [found]}), says(200, {"ok": True})]
    ) as authority:
        assert call(authority.url, "availability", ["A", "B&C"], shopId="acme")["value"] == [found]
        assert call(authority.url, "health") == {"value": None, "retried": []}
    assert authority.asked[0][0] == "GET /api/inventory/availability?sku=A&sku=B%26C"
    with Authority([says(200, {"ok": False})]) as authority:
        assert kind_of(call(authority.url, "health")) == UNAVAILABLE


def test_busy_is_waited_for_with_one_key(call: Call):
    with Authority([BUSY, BUSY, says(201, HELD)]) as authority:
        outcome = call(authority.url, "hold", ITEMS)
    assert outcome == {"value": HELD, "retried": [["hold", 2]]}
    assert [headers.get("x-busy-retry") for _, headers, _ in authority.asked] == [None, "1", "2"]
    keys = {body["idempotencyKey"] for _, _, body in authority.asked}
    assert len(keys) == 1 and uuid.UUID(keys.pop())


def test_a_few_tries_and_no_more(call: Call):
    with Authority([BUSY]) as authority:
        outcome = call(authority.url, "commit", HOLD_ID)
    assert (kind_of(outcome), outcome["retryAfterMs"]) == (("AuthorityBusy", "inventory_busy", 429), 1)
    assert len(authority.asked) == 6
    with Authority([BUSY]) as authority:
        call(authority.url, "commit", HOLD_ID, tries=0)
    assert len(authority.asked) == 1


def test_nobody_waits_past_the_deadline(call: Call):
    with Authority([problem(429, "inventory_busy", retryAfterMs=5_000)]) as authority:
        outcome = call(authority.url, "hold", ITEMS, timeoutMs=2_500)
    assert (kind_of(outcome)[1], len(authority.asked)) == ("inventory_busy", 1)


def test_without_a_named_delay_it_waits_as_long_as_locks_do(call: Call):
    with Authority([problem(429, "inventory_busy"), says(200, OK)]) as authority:
        outcome = call(authority.url, "validate", ITEMS)
    assert outcome["retried"] == [["validate", 1]]
    with Authority([says(429, {"status": 429, "code": "inventory_busy"}, Retry_After="9")]) as authority:
        assert call(authority.url, "validate", ITEMS)["retryAfterMs"] == 9_000


@pytest.mark.parametrize("items", [[], [{"sku": "A", "quantity": 0}], [{"sku": "A", "quantity": 1.5}]])
def test_nothing_is_not_asked_for(call: Call, items: list[dict[str, Any]]):
    with Authority([says(200, OK)]) as authority:
        assert kind_of(call(authority.url, "validate", items))[0] == "AuthorityInvalid"
    assert authority.asked == []
