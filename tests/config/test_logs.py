"""What a log line is made of, whatever it is given: one JSON object, no field that its object hides."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from django.conf import settings


@dataclass
class Key:
    name: str
    secret: str = field(repr=False)


def line_of(**values: Any) -> dict[str, Any]:
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=settings.LOGGING["formatters"]["json"]["processors"],
    )
    record = logging.LogRecord("a.logger", logging.INFO, "", 0, {"event": "it", **values}, (), None)
    record._logger, record._name = None, "info"
    line = formatter.format(record)
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
