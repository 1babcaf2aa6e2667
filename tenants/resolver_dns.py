"""TXT records, asked of the machine's own name servers. The standard library resolves addresses only.

One question, one answer (RFC 1035, with RFC 6891's larger UDP answers and TCP for those that are still cut off). It
follows no referrals and trusts no cache of its own: that is the name server's work.
"""

from __future__ import annotations

import secrets
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

RESOLV_CONF = Path("/etc/resolv.conf")
MOST_SERVERS = 3
SECONDS = 3.0
UDP_PAYLOAD = 1232
TXT, OPT, INTERNET = 16, 41, 1
RECURSE, TRUNCATED = 0x0100, 0x0200
NO_ERROR, NO_SUCH_NAME = 0, 3

Server = tuple[str, int]


class DnsFailed(Exception):
    """No name server gave a usable answer. Says nothing about the record."""


def lookup_txt(name: str, *, servers: Sequence[Server] | None = None, seconds: float = SECONDS) -> list[str]:
    """The texts at `name` (ASCII), empty where there are none. Waits at most `seconds` per name server.

    Raises DnsFailed when no server answers, or none is configured.
    """
    problem = "No name server is configured on this machine."
    for server in list(system_servers() if servers is None else servers)[:MOST_SERVERS]:
        try:
            return _ask(name, server, time.monotonic() + seconds)
        except (OSError, DnsFailed) as error:
            problem = f"The name server didn't answer: {error}."
        except (IndexError, struct.error, UnicodeError):
            problem = "The name server's answer was unreadable."
    raise DnsFailed(problem)


def system_servers(path: Path = RESOLV_CONF) -> list[Server]:
    """The `nameserver` lines, in order; empty when the file isn't there."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return []
    return [(parts[1], 53) for parts in lines if len(parts) > 1 and parts[0] == "nameserver"]


def _ask(name: str, server: Server, deadline: float) -> list[str]:
    number = secrets.randbelow(0x10000)
    question = _labels(name) + struct.pack(">HH", TXT, INTERNET)
    header = struct.pack(">HHHHHH", number, RECURSE, 1, 0, 0, 1)
    query = header + question + b"\x00" + struct.pack(">HHIH", OPT, UDP_PAYLOAD, 0, 0)
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    answer = _over_udp(query, family, server, deadline)
    if struct.unpack_from(">H", answer, 2)[0] & TRUNCATED:
        answer = _over_tcp(query, family, server, deadline)
    return list(_texts(answer, question))


def _over_udp(query: bytes, family: int, server: Server, deadline: float) -> bytes:
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        link.connect(server)  # the system drops what comes from anybody else
        link.send(query)
        while True:
            link.settimeout(_left(deadline))
            answer = link.recv(UDP_PAYLOAD)
            if answer[:2] == query[:2]:
                return answer


def _over_tcp(query: bytes, family: int, server: Server, deadline: float) -> bytes:
    with socket.socket(family, socket.SOCK_STREAM) as link:
        link.settimeout(_left(deadline))
        link.connect(server)
        link.sendall(struct.pack(">H", len(query)) + query)
        length = struct.unpack(">H", _read(link, 2, deadline))[0]
        answer = _read(link, length, deadline)
    if answer[:2] != query[:2]:
        raise DnsFailed("an answer to another question")
    return answer


def _read(link: socket.socket, length: int, deadline: float) -> bytes:
    data = b""
    while len(data) < length:
        link.settimeout(_left(deadline))
        if not (piece := link.recv(length - len(data))):
            raise DnsFailed("the connection broke off")
        data += piece
    return data


def _texts(answer: bytes, question: bytes) -> Iterator[str]:
    _, flags, questions, answers, _, _ = struct.unpack_from(">HHHHHH", answer)
    status = flags & 0xF
    if status == NO_SUCH_NAME:
        return
    if status != NO_ERROR or not flags & 0x8000 or questions != 1:
        raise DnsFailed(f"status {status}")
    place = 12 + len(question)
    if answer[12:place].lower() != question.lower():
        raise DnsFailed("an answer to another question")
    for _ in range(answers):
        place = _skip_name(answer, place)
        kind, group, _, length = struct.unpack_from(">HHIH", answer, place)
        place += 10
        if (kind, group) == (TXT, INTERNET):
            yield _joined(answer[place : place + length])
        place += length


def _joined(data: bytes) -> str:
    """The strings of one record, which are one text cut into pieces of at most 255 bytes."""
    text, place = b"", 0
    while place < len(data):
        length = data[place]
        text += data[place + 1 : place + 1 + length]
        place += 1 + length
    return text.decode("utf-8", "replace")


def _labels(name: str) -> bytes:
    parts = [part.encode("ascii") for part in name.rstrip(".").split(".")]
    if not all(0 < len(part) < 64 for part in parts) or sum(map(len, parts)) + len(parts) > 254:
        raise DnsFailed(f"{name!r} is no name")
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\x00"


def _skip_name(data: bytes, place: int) -> int:
    while data[place]:
        if data[place] >= 0xC0:
            return place + 2
        place += 1 + data[place]
    return place + 1


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
