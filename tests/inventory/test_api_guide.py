"""docs/inventory-api.md, run as it is printed: every command over HTTP against the demonstration's own shop."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from commerce.demo.seeding import seed
from inventory.api.urls import urlpatterns
from inventory.models import StockRow
from tests.fixtures.workers import issue
from tests.house.code import ROOT

pytestmark = pytest.mark.django_db(transaction=True)
GUIDE = (ROOT / "docs" / "inventory-api.md").read_text()
ANY = "…"


@dataclass(frozen=True)
class Example:
    """A command and its answer as the guide prints them; `body` is None where none is printed."""

    command: str
    status: int
    headers: dict[str, str]
    body: Any


def examples() -> Iterator[Example]:
    for block in re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL):
        for entry in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            found = re.fullmatch(
                r"(?P<command>.*?)\n(?P<status>\d{3})(?P<headers>  .*?)?\n(?P<body>.*)", entry, re.DOTALL
            )
            assert found, entry
            pairs = (header.split(": ", 1) for header in (found["headers"] or "").split("  ") if header)
            body = json.loads(found["body"]) if found["body"].strip() else None
            yield Example(found["command"], int(found["status"]), dict(pairs), body)


@dataclass
class Reader:
    """Somebody who types the guide's commands. `values` are the shell's variables."""

    port: int
    values: dict[str, str]

    def run(self, command: str) -> tuple[int, http.client.HTTPMessage, Any]:
        program, url, *rest = (self._filled(word) for word in shlex.split(command))
        if url == "-X":
            method, url, *rest = rest
        else:
            method = "POST" if "-d" in rest else "GET"
        assert program == "curl"
        host, _, path = url.removeprefix("http://").partition("/")
        headers, body = {"Host": host}, None
        for flag, value in zip(rest[::2], rest[1::2], strict=True):
            if flag == "-d":
                body = value.encode()
            else:
                assert flag == "-H", flag
                name, _, text = value.partition(": ")
                headers[name] = text
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, f"/{path}", body, headers)
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        return answer.status, answer.headers, json.loads(raw) if raw else None

    def same(self, printed: Any, answered: Any, *, whole: bool) -> bool:
        """Whether an answer is what the guide prints, `…` aside; not `whole`: members may be left out of it.

        Keeps what the guide gives a name ("$HOLD") where it meets it first.
        """
        if isinstance(printed, dict) and isinstance(answered, dict):
            if not (set(printed) == set(answered) if whole else set(printed) <= set(answered)):
                return False
            return all(self.same(value, answered[name], whole=whole) for name, value in printed.items())
        if isinstance(printed, list) and isinstance(answered, list):
            pairs = zip(printed, answered, strict=False)
            return len(printed) == len(answered) and all(self.same(one, other, whole=whole) for one, other in pairs)
        if isinstance(printed, str) and printed.startswith("$"):
            return bool(self.values.setdefault(printed[1:], answered) == answered)
        return printed in (ANY, answered)

    def _filled(self, word: str) -> str:
        return re.sub(r"\$(\w+)", lambda found: self.values[found[1]], word)


@pytest.fixture
def reader(live_server: LiveServer) -> Reader:
    (token,) = (token.token for token in seed().tokens if token.shop_id == "cochlearfit")
    port = int(live_server.url.rpartition(":")[2])
    socket.create_connection(("127.0.0.1", port), timeout=10).close()
    return Reader(
        port,
        {
            "SHOP": f"http://cochlearfit.localhost:{port}",
            "PLATFORM": f"http://localhost:{port}",
            "TOKEN": token,
            "PLATFORM_TOKEN": issue(None),
        },
    )


def test_every_example_answers_what_is_printed(reader: Reader):
    """In their order, since later ones use the hold that an earlier one placed."""
    wrong = []
    for example in examples():
        status, headers, body = reader.run(example.command)
        if "ETag" in headers:
            reader.values["ETAG"] = headers["ETag"]
        kept = all(headers.get(name) and text in (ANY, headers[name]) for name, text in example.headers.items())
        if (status, kept) != (example.status, True) or not reader.same(example.body, body, whole=status < 400):
            wrong.append(f"$ {example.command}\n{status} {dict(headers)}\n{body}")
    assert not wrong, "\n".join(wrong)
    assert StockRow.objects.get(owner_id="cochlearfit", sku="SAFETY-CLIP").on_hand == 247, "three were sold"


def test_every_route_and_verb_has_an_example():
    commands = "\n".join(example.command for example in examples())
    for pattern in urlpatterns:
        route = str(pattern.pattern).replace("<str:hold_id>", "$HOLD")
        assert re.search(re.escape(f"/api/{route}") + r"[?\"]", commands), route


def test_every_status_of_the_examples_is_in_the_table_of_errors():
    table = GUIDE[GUIDE.index("## Errors") : GUIDE.index("## What an edge")]
    for example in examples():
        if example.status >= 400:
            code = example.body["code"]
            assert f"`{code}`" in table or str(example.status) in table, code
