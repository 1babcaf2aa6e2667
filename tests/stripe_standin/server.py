"""The HTTP server: sockets, threads and limits. What to answer is decided elsewhere."""

from __future__ import annotations

import io
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from .errors import ApiError
from .messages import Reply, Request, json_reply

MAX_BODY = 1024 * 1024
IDLE_SECONDS = 75
# How much of a refused body is read and thrown away.
MAX_SWALLOWED = 16 * MAX_BODY
Answer = Callable[[Request], Reply]


class Server(ThreadingHTTPServer):
    """One thread per connection. The backlog holds a whole flash sale that arrives in the same millisecond."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, answer: Answer) -> None:
        self.answer = answer
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hangs up is everyday life here; only defects are worth a trace.
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "stripe-standin"
    sys_version = ""
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1  # one segment per answer, not one per header
    server: Server

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = do_GET

    def _serve(self) -> None:
        body = self._body()
        if body is None:
            return
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, unquote(parts.path), parts.query, headers, body)
        try:
            reply = self.server.answer(request)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            reply = json_reply(500, ApiError(500, "The stand-in has a defect.", type="api_error").body())
        if reply.drop or reply.reset:
            self._drop(rudely=reply.reset)
        else:
            self._send(reply)

    def _body(self) -> bytes | None:
        """The body; None when it was refused, which also ends the connection."""
        refused: tuple[int, str] | None = None
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers:
            refused = (411, "Send a Content-Length.")
        elif not length.isdecimal():
            refused = (400, "Content-Length is not a number.")
        elif int(length) > MAX_BODY:
            refused = (413, f"The body exceeds {MAX_BODY} bytes.")
        if refused:
            self.close_connection = True
            self._send(json_reply(refused[0], ApiError(refused[0], refused[1]).body()))
            self._swallow()
            return None
        return self.rfile.read(int(length))

    def _swallow(self) -> None:
        """Closing on unread bytes resets the connection, and a client still sending would never see the answer."""
        self.connection.settimeout(1)
        left = MAX_SWALLOWED
        while left > 0 and (chunk := self.rfile.read1(64 * 1024)):
            left -= len(chunk)

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            # A header can't be made to carry another one; URLs of callers end up here.
            self.send_header(name, value.replace("\r", "").replace("\n", ""))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body[: len(reply.body) // 2] if reply.half else reply.body)
        self.wfile.flush()
        if reply.half:
            self._drop()

    def _drop(self, *, rudely: bool = False) -> None:
        """End the connection here; rudely by a reset, as a process does that dies with unread bytes."""
        self.close_connection = True
        if rudely:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # Closed in earnest only when the last of its files is.
            self.rfile.close()
            self.wfile.close()
            self.connection.close()
            # What the base class still wants to flush.
            self.rfile, self.wfile = io.BufferedReader(io.BytesIO()), io.BytesIO()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the journal under /_control/requests is the log."""
