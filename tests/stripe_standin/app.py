"""The whole stand-in put together: which part answers a request."""

from __future__ import annotations

import threading
from pathlib import Path

from . import checkout, cycle, schema, sessions
from .api import Api
from .control import Control
from .endpoints import Endpoint
from .engine import Engine
from .errors import unknown_url
from .frames import Frames
from .invoice_pages import InvoicePages
from .journal import Journal
from .messages import Reply, Request, json_reply
from .page_flow import Pages
from .server import Server

# Built in the background at the start: the first session of a test shouldn't pay for it.
WARMED = ("checkout.sessions.create", "checkout.sessions.expire", "checkout.sessions.retrieve", "refunds.create")
FRAMES = ("/stripe.js", "/c/frame/", "/c/assets/frame.js")


class App:
    def __init__(self, *, port: int, data: Path | None, endpoint: Endpoint | None) -> None:
        self.engine = Engine(data, endpoint)
        self.engine.on_due(sessions.KIND, sessions.lapse)
        self.engine.on_due("payment_intent", checkout.lapse_intent)
        self.engine.on_due("subscription", cycle.lapse_subscription)
        self.engine.on_due("invoice", cycle.lapse_invoice)
        journal = Journal()
        self._api = Api(self.engine, journal)
        self._pages = Pages(self.engine)
        self._invoices = InvoicePages(self.engine)
        self._frames = Frames(self.engine)
        self._control = Control(self.engine, journal)
        self.server = Server(port, self.answer)
        self.port = int(self.server.server_address[1])
        self.engine.base_url = self.url

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, request: Request) -> Reply:
        if request.path.startswith("/v1/"):
            return self._api.answer(request)
        if request.path.startswith(FRAMES):
            return self._frames.answer(request)
        if request.path.startswith("/c/invoice/"):
            return self._invoices.answer(request)
        if request.path.startswith("/c/"):
            return self._pages.answer(request)
        if request.path.startswith("/_control/"):
            return self._control.answer(request)
        error = unknown_url(request.method, request.path)
        return json_reply(error.status, error.body())

    def start(self) -> None:
        self.engine.start()
        threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
        threading.Thread(target=self.server.serve_forever, args=(0.1,), name="http", daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.engine.stop()


def _warm_up() -> None:
    for endpoint in WARMED:
        schema.adapter(endpoint, wire=True)
