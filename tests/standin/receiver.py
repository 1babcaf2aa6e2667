"""A tiny shop that takes webhooks: checks the signature, remembers, and answers as the test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import stripe

SECRETS = ("whsec_new", "whsec_old")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Sixteen deliveries knock at once; one that finds the queue full would come again a second later.
    request_queue_size = 64


class Receiver:
    def __init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.take(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._changed = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), Handler)
        # Not every resolver knows *.localhost; the stand-in must.
        self.host = f"hooks.localhost:{self._server.server_port}"
        self.url = f"http://{self.host}/api/stripe-webhook?from=standin"
        self.forget()

    def forget(self) -> None:
        with self._changed:
            self.events: list[stripe.Event] = []
            self.hosts: list[str] = []
            self.paths: list[str] = []
            self.signatures: list[str] = []
            self.refusals: list[int] = []  # statuses for the next deliveries, then 200
            self.delay = 0.0
            self.on_event: Callable[[stripe.Event], None] | None = None

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        signature = handler.headers["Stripe-Signature"]
        for secret in SECRETS:
            event = stripe.Webhook.construct_event(body, signature, secret)
        if self.on_event:
            self.on_event(event)
        time.sleep(self.delay)
        with self._changed:
            self.events.append(event)
            self.hosts.append(handler.headers["Host"])
            self.paths.append(handler.path)
            self.signatures.append(signature)
            status = self.refusals.pop(0) if self.refusals else 200
            self._changed.notify_all()
        handler.send_response(status)
        if 300 <= status < 400:
            handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def types(self) -> list[str]:
        with self._changed:
            return [event.type for event in self.events]

    def await_count(self, count: int, *, of: str | None = None, seconds: float = 8.0) -> list[stripe.Event]:
        """The events (of one type) as soon as there are `count`; fails when they don't come."""

        def found() -> list[stripe.Event]:
            return [event for event in self.events if of in (None, event.type)]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= count, seconds), f"only {[e.type for e in found()]}"
            return found()

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
