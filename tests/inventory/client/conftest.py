"""The two clients, for tests that are the same for both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.inventory.client.callers import NODE, Call, Node, with_python


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    if NODE is None:
        pytest.skip("The JavaScript client is tried with Node.js 18 or later: on Debian, apt-get install nodejs.")
    node = Node()
    yield node
    node.stop()


@pytest.fixture(params=["python", "javascript"])
def call(request: pytest.FixtureRequest) -> Call:
    """Makes one call with one of the two clients, and answers its outcome in the same words."""
    if request.param == "python":
        return with_python
    caller: Node = request.getfixturevalue("node")
    return caller.call
