"""Looking at domains over real sockets: what is found, what is refused, and how long it may take."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tenants import domain_probes
from tenants.domain_probes import NETWORK, NotChecked, ProbeFailed, is_public

Serve = Callable[[bytes], list[bytes]]


@pytest.fixture
def serve(settings: Any) -> Iterator[Serve]:
    """A web server for `x.localhost` that says these bytes to one request; answers what was asked of it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    settings.PUBLIC_SCHEME, settings.PUBLIC_PORT = "http", listener.getsockname()[1]

    def start(answer: bytes) -> list[bytes]:
        asked: list[bytes] = []

        def work() -> None:
            with contextlib.suppress(OSError):  # nobody came, or whoever came has read enough
                link, _ = listener.accept()
                with link:
                    asked.append(link.recv(4096))
                    link.sendall(answer)

        threading.Thread(target=work, daemon=True).start()
        return asked

    yield start
    listener.close()


def test_a_file_is_fetched(serve: Serve, settings: Any):
    asked = serve(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nline \xff\n")
    assert NETWORK.fetch("localhost", "/.well-known/x") == "line \N{REPLACEMENT CHARACTER}\n"
    host = f"Host: localhost:{settings.PUBLIC_PORT}".encode()
    assert asked[0].startswith(b"GET /.well-known/x HTTP/1.0\r\n") and host in asked[0]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "404"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n", "302"),
        (b"rubbish", "not 200"),
        (b"", "not 200"),
        (b"\x00\xff" * 50, "not 200"),
    ],
)
def test_anything_else_is_no_file(serve: Serve, answer: bytes, told: str):
    serve(answer)
    with pytest.raises(ProbeFailed, match=told):
        NETWORK.fetch("localhost", "/x")


def test_an_endless_answer_is_cut(serve: Serve):
    serve(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000)
    assert len(NETWORK.fetch("localhost", "/x")) < domain_probes.MOST_BYTES


def test_a_slow_answer_is_given_up(settings: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(domain_probes, "SECONDS", 0.5)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        settings.PUBLIC_SCHEME, settings.PUBLIC_PORT = "http", listener.getsockname()[1]

        def drip() -> None:
            link, _ = listener.accept()
            with link:
                for _ in range(20):
                    try:
                        link.sendall(b"H")
                    except OSError:
                        return
                    time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        started = time.monotonic()
        with pytest.raises(ProbeFailed, match="took too long"):
            NETWORK.fetch("localhost", "/x")
        assert time.monotonic() - started < 10


def test_private_addresses_are_not_connected_to(serve: Serve, settings: Any):
    settings.PROBE_PRIVATE_ADDRESSES = False
    asked = serve(b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises(ProbeFailed, match="private address"):
        NETWORK.fetch("localhost", "/x")
    settings.PUBLIC_SCHEME = "https"
    for look in (lambda: NETWORK.fetch("localhost", "/x"), lambda: NETWORK.certificate_until("localhost")):
        with pytest.raises(ProbeFailed, match="private address"):
            look()
    assert asked == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_the_internets(address: str):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_addresses_that_are(address: str):
    assert is_public(address)


def test_names_and_certificates():
    assert "127.0.0.1" in NETWORK.addresses("localhost")
    with pytest.raises(ProbeFailed, match="no address"):
        NETWORK.addresses("nobody.invalid")
    with pytest.raises(NotChecked, match="HTTPS"):
        NETWORK.certificate_until("localhost")
