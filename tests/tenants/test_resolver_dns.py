"""TXT look-ups against a name server of our own, over real sockets."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tenants.resolver_dns import DnsFailed, Server, lookup_txt, system_servers

Reply = Callable[[bytes], bytes]
Serve = Callable[..., Server]


def record(text: bytes, kind: int = 16, name: bytes = b"\xc0\x0c") -> bytes:
    pieces = [text[start : start + 255] for start in range(0, len(text), 255)] or [b""]
    data = b"".join(bytes([len(piece)]) + piece for piece in pieces)
    return name + struct.pack(">HHIH", kind, 1, 60, len(data)) + data


def reply(*records: bytes, flags: int = 0x8180, question: bytes | None = None) -> Reply:
    """An answer with the query's own id and question."""

    def build(query: bytes) -> bytes:
        asked = query[12:-11] if question is None else question
        return query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + asked + b"".join(records)

    return build


def both_on_one_port() -> tuple[socket.socket, socket.socket]:
    """A datagram and a stream socket on the same free port, which takes a few tries on a busy machine."""
    for _ in range(50):
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        udp.bind(("127.0.0.1", 0))
        try:
            tcp.bind(udp.getsockname())
        except OSError:
            udp.close()
            tcp.close()
        else:
            return udp, tcp
    raise RuntimeError("No port is free for both.")


@pytest.fixture
def serve() -> Iterator[Serve]:
    links: list[socket.socket] = []

    def start(over_udp: Reply, over_tcp: Reply | None = None) -> Server:
        udp, tcp = both_on_one_port()
        tcp.listen()
        links.extend((udp, tcp))

        def datagrams() -> None:
            query, sender = udp.recvfrom(4096)
            udp.sendto(b"\x00\x00stray", sender)
            udp.sendto(over_udp(query), sender)

        def connections() -> None:
            link, _ = tcp.accept()
            with link:
                query = link.recv(4096)[2:]
                data = over_tcp(query) if over_tcp else b""
                link.sendall(struct.pack(">H", len(data)) + data)

        for work in (datagrams, connections):
            threading.Thread(target=work, daemon=True).start()
        server: Server = udp.getsockname()
        return server

    yield start
    for link in links:
        link.close()


def test_texts_are_joined_and_other_records_passed_over(serve: Serve):
    alias = record(b"other.example", kind=5)
    server = serve(reply(alias, record(b"one"), record(b"x" * 300), record(b"", name=b"\x01a\xc0\x0c")))
    assert lookup_txt("_holdfast.shop.example", servers=[server]) == ["one", "x" * 300, ""]


def test_no_such_name_has_no_texts(serve: Serve):
    assert lookup_txt("a.example", servers=[serve(reply(flags=0x8183))]) == []


def test_a_cut_off_answer_is_fetched_whole(serve: Serve):
    server = serve(reply(flags=0x8380), reply(record(b"y" * 2000)))
    assert lookup_txt("a.example", servers=[server]) == ["y" * 2000]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (reply(flags=0x8182), "status 2"),
        (reply(flags=0x0180), "status 0"),
        (reply(record(b"x"), question=b"\x04evil\x00\x00\x10\x00\x01"), "another question"),
        (lambda query: query[:2] + b"\x81", "unreadable"),
        (lambda query: reply(record(b"x"))(query)[:-5], "unreadable"),
        (lambda query: query[:2] + struct.pack(">HHHHH", 0x8180, 1, 9, 0, 0) + query[12:-11], "unreadable"),
    ],
)
def test_unusable_answers(serve: Serve, answer: Reply, told: str):
    server = serve(answer)
    with pytest.raises(DnsFailed, match=told):
        lookup_txt("a.example", servers=[server])


def test_a_silent_server_is_given_up_and_the_next_one_asked(serve: Serve):
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(DnsFailed, match="timed out"):
            lookup_txt("a.example", servers=[silent.getsockname()], seconds=0.2)
        second = serve(reply(record(b"here")))
        assert lookup_txt("a.example", servers=[silent.getsockname(), second], seconds=0.2) == ["here"]


@pytest.mark.parametrize("name", ["", "a..b", "a" * 64 + ".example", "a." * 130])
def test_no_names(name: str):
    with pytest.raises(DnsFailed, match="is no name"):
        lookup_txt(name, servers=[("127.0.0.1", 9)], seconds=0.2)


def test_a_machine_without_name_servers(tmp_path: Path):
    with pytest.raises(DnsFailed, match="No name server is configured"):
        lookup_txt("a.example", servers=[])
    assert system_servers(tmp_path / "none") == []
    (tmp_path / "conf").write_text("# x\nnameserver 192.0.2.1\nsearch example\nnameserver\nnameserver 2001:db8::1\n")
    assert system_servers(tmp_path / "conf") == [("192.0.2.1", 53), ("2001:db8::1", 53)]
