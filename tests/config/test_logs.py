"""What a log line is made of, whatever it is given: one JSON object, no field that its object hides."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
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


def record_of(line: RequestLine) -> logging.LogRecord:
    levels = logging.getLevelNamesMapping()
    return logging.LogRecord("a", levels[line.level.upper()], "", 0, line, (), None)


def handler_of(stream: StringIO) -> Written:
    handler = Written(stream)
    handler.setFormatter(FORMATTER)
    return handler


def other_record() -> logging.LogRecord:
    other = logging.LogRecord("a", logging.INFO, "", 0, {"event": "it"}, (), None)
    vars(other).update(_logger=None, _name="info")
    return other


def events(stream: StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("level", ["info", "warning"])
def test_a_log_that_cannot_be_written_fails_no_request(level: str, capsys: pytest.CaptureFixture[str]):
    class Broken(StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    handler = handler_of(Broken())
    assert handler.handle(record_of(request_line(level=level)))
    assert handler.handle(other_record())
    assert "BrokenPipeError" in capsys.readouterr().err


def test_lines_of_both_kinds_are_written_in_their_order():
    handler = handler_of(stream := StringIO())
    handler.handle(record_of(request_line()))
    handler.handle(other_record())
    assert events(stream) == ["request", "it"]


def test_a_request_that_failed_is_written_at_once_and_so_are_those_before_it():
    handler = handler_of(stream := StringIO())
    for status in (200, 503):
        handler.handle(record_of(request_line(status=status, level="warning" if status == 503 else "info")))
    assert [json.loads(line)["status"] for line in stream.getvalue().splitlines()] == [200, 503]


def test_request_lines_are_written_together_without_anybody_asking():
    handler = handler_of(stream := StringIO())
    deadline = time.monotonic() + 10
    for round_ in (1, 2):  # the thread that writes goes back to sleep and wakes again
        for _ in range(3):
            handler.handle(record_of(request_line()))
        while len(events(stream)) < 3 * round_ and time.monotonic() < deadline:
            time.sleep(0.01)
    assert events(stream) == ["request"] * 6


def test_a_process_keeps_few_lines_waiting():
    handler = handler_of(stream := StringIO())
    for _ in range(Written.MOST_TOGETHER):
        handler.handle(record_of(request_line()))
    assert len(events(stream)) == Written.MOST_TOGETHER


def test_no_line_together_with_others_tells_a_secret_or_breaks_off():
    handler = handler_of(stream := StringIO())
    for path in ("/sk_live_1", "/\ud800", "/\n"):
        handler.handle(record_of(request_line(path=path)))
    handler.flush()
    assert [json.loads(line)["path"] for line in stream.getvalue().splitlines()] == ["/•••", "/\ud800", "/\n"]


PROGRAM = """
import logging, os
from config.logs import Lines
from tests.config.test_logs import record_of, request_line
logging.raiseExceptions = True
handler = Lines(os.fdopen(1, "w", closefd=False))
logging.getLogger("a").addHandler(handler)
handler.handle(record_of(request_line(path="/parent")))
if (child := os.fork()) == 0:
    handler.handle(record_of(request_line(path="/child")))
else:
    os.waitpid(child, 0)
"""


def test_a_process_that_ends_writes_what_waits_and_a_fork_writes_nothing_twice():
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert [json.loads(line)["path"] for line in ended.stdout.splitlines()] == ["/child", "/parent"]
