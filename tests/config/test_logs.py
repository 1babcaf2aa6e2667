"""What a log line is made of, whatever it is given: one JSON object, no field that its object hides."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import datetime
from io import StringIO
from typing import Any

import pytest
from django.conf import settings

from config.logs import JsonLines
from config.logs import Lines as Written
from tenants.request_line import RequestLine, write
from tests.fixtures.lines import Lines

FORMATTER = JsonLines(processors=settings.LOGGING["formatters"]["json"]["processors"])


@dataclass
class Key:
    name: str
    secret: str = field(repr=False)


def line_of(**values: Any) -> dict[str, Any]:
    record = logging.LogRecord("a.logger", logging.INFO, "", 0, {"event": "it", **values}, (), None)
    record._logger, record._name = None, "info"
    line = FORMATTER.format(record)
    assert "\n" not in line
    return dict(json.loads(line))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("text\n", "text\n"),
        ("ü€", "ü€"),
        (7, 7),
        (0.5, 0.5),
        (None, None),
        (True, True),
        ("half \ud800", "half \ud800"),
        (["a", 1], ["a", 1]),
        (b"\xff", "b'\\xff'"),
        (Key("k", "sk_hidden"), "Key(name='k')"),
        ({"key": Key("k", "sk_hidden")}, {"key": "Key(name='k')"}),
        (ValueError("no"), "ValueError('no')"),
    ],
)
def test_every_value_becomes_one_line(value: Any, written: Any):
    assert line_of(value=value)["value"] == written


def request_line(**changes: Any) -> RequestLine:
    said = {"method": "GET", "path": "/", "family": "pages", "role": "shop", "status": 200, "ms": 0.5, "level": "info"}
    return RequestLine(**{**said, "shop_id": None, "request_id": "given-0001", **changes})


def written(line: RequestLine) -> dict[str, Any]:
    formatted = FORMATTER.format(logging.LogRecord("a", logging.INFO, "", 0, line, (), None))
    assert "\n" not in formatted
    return dict(json.loads(formatted))


def test_the_request_line_says_this_and_no_more():
    line = written(request_line(path="/api/cart\n", shop_id="acme"))
    assert datetime.fromisoformat(line.pop("timestamp")).tzinfo is not None
    assert line == {
        "event": "request",
        "method": "GET",
        "path": "/api/cart\n",
        "family": "pages",
        "role": "shop",
        "status": 200,
        "ms": 0.5,
        "shop_id": "acme",
        "request_id": "given-0001",
        "level": "info",
        "logger": "holdfast.request",
    }


@pytest.mark.parametrize("secret", ["sk_live_1", "rk_test_1", "ek_live_1", "whsec_1"])
@pytest.mark.parametrize("field", ["path", "request_id", "method"])
def test_the_request_line_keeps_no_secret_that_a_caller_wrote(secret: str, field: str):
    line = written(request_line(**{field: f"/{secret}"}))
    assert line[field] == "/•••"


def test_the_request_line_survives_half_a_surrogate_pair():
    assert written(request_line(path="/\ud800"))["path"] == "/\ud800"


@pytest.mark.parametrize(("level", "shown"), [("debug", False), ("info", True), ("warning", True)])
def test_the_request_line_heeds_the_level(level: Any, shown: bool, log_lines: Lines, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    write(request_line(level=level))
    assert [line["level"] for line in log_lines()] == [level] * shown


def test_a_log_that_cannot_be_written_fails_no_request(capsys: pytest.CaptureFixture[str]):
    class Broken(StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    handler = Written(Broken())
    handler.setFormatter(FORMATTER)
    assert handler.handle(logging.LogRecord("a", logging.INFO, "", 0, request_line(), (), None))
    assert "BrokenPipeError" in capsys.readouterr().err


def test_lines_of_both_kinds_are_written_at_once():
    stream = StringIO()
    handler = Written(stream)
    handler.setFormatter(FORMATTER)
    handler.handle(logging.LogRecord("a", logging.INFO, "", 0, request_line(), (), None))
    other = logging.LogRecord("a", logging.INFO, "", 0, {"event": "it"}, (), None)
    vars(other).update(_logger=None, _name="info")
    handler.handle(other)
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["request", "it"]
