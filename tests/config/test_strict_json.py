"""Bodies that another parser would let pass."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from rest_framework.exceptions import ParseError

from config.strict_json import MAX_BYTES, MAX_DEPTH, parse_strictly


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b'{"a": {"b": 1}, "c": {"b": 2}}', {"a": {"b": 1}, "c": {"b": 2}}),
        ('{"name": "Müller 🧵"}'.encode(), {"name": "Müller 🧵"}),
        (rb'{"name": "\ud83e\uddf5"}', {"name": "🧵"}),
        (rb'{"path": "\\u0000"}', {"path": "\\u0000"}),
        (b"[9223372036854775807, -9223372036854775807, 0.1]", [2**63 - 1, -(2**63) + 1, 0.1]),
        (nested(MAX_DEPTH), json.loads(nested(MAX_DEPTH))),
    ],
)
def test_json_is_read(raw: bytes, value: Any):
    assert parse_strictly(raw) == value


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"a": 1,}', "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b'{"a": 01}', "not valid JSON"),
        (b'{"a": "tab\there"}', "not valid JSON"),
        (b'{} {"a": 1}', "not valid JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "not valid JSON"),
        (b'{"a": "\xff"}', "UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "UTF-8"),
        (b'{"a": 1, "a": 1}', "same key twice"),
        (b'{"x": [{"quantity": 1, "quantity": 99}]}', "same key twice"),
        (rb'{"a": 1, "\u0061": 2}', "same key twice"),
        (b'{"a": NaN}', "NaN is not"),
        (b'{"a": Infinity}', "Infinity is not"),
        (b'{"a": -Infinity}', "-Infinity is not"),
        (b'{"a": 1e999}', "out of range"),
        (b'{"a": 9223372036854775808}', "out of range"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "out of range"),
        (rb'{"a": "x\u0000y"}', "can't be stored"),
        (rb'{"\u0000": 1}', "can't be stored"),
        (rb'{"a": ["\ud800"]}', "can't be stored"),
        (nested(MAX_DEPTH + 2), "nested deeper"),
        (nested(100_000), "nested deeper"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "nested deeper"),
    ],
)
def test_what_is_not_json_or_could_be_read_two_ways(raw: bytes, fault: str):
    with pytest.raises(ParseError, match=fault):
        parse_strictly(raw)


@pytest.mark.django_db
@pytest.mark.usefixtures("probes")
class TestOverHttp:
    @pytest.mark.parametrize(
        ("content_type", "status"),
        [
            ("application/json", 200),
            ("application/json; charset=utf-8", 200),
            ('application/json;charset="UTF-8"', 200),
            ("APPLICATION/JSON", 200),
            ("application/json; charset=latin-1", 415),
            ("application/*", 415),
            ("application/problem+json", 415),
            ("text/plain", 415),
            ("text/json", 415),
            ("application/x-www-form-urlencoded", 415),
            ("multipart/form-data; boundary=x", 415),
            ("", 415),
        ],
    )
    def test_content_types(self, client: Client, shop_host: str, content_type: str, status: int):
        answer = client.generic("POST", "/api/cart", b'{"a": 1}', content_type, headers={"Host": shop_host})
        assert answer.status_code == status
        if status == 415:
            assert answer.json()["code"] == "unsupported_media_type"

    def test_a_fault_is_a_problem_that_quotes_nothing(self, client: Client, shop_host: str):
        body = b'{"card": "4242", "card": "4242"}'
        answer = client.generic("POST", "/api/cart", body, "application/json", headers={"Host": shop_host})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
        assert b"4242" not in answer.content

    def test_the_largest_body_is_read(self, client: Client, shop_host: str):
        body = b'{"a": "' + b"x" * (MAX_BYTES - 9) + b'"}'
        assert len(body) == MAX_BYTES
        answer = client.generic("POST", "/api/cart", body, "application/json", headers={"Host": shop_host})
        assert answer.status_code == 200

    @pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/*", "rubbish", ""])
    def test_the_answer_is_json_whatever_is_accepted(self, client: Client, shop_host: str, accept: str):
        answer = client.get("/api/cart", headers={"Host": shop_host, "Accept": accept})
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
