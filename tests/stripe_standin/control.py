"""The control surface under /_control/: what a test or a developer makes the stand-in do."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from . import control_acts, ids, options, settlement
from .endpoints import Endpoint
from .engine import Engine
from .errors import ApiError, Json
from .journal import Journal
from .ledger import totals
from .messages import Reply, Request, json_reply
from .options import BadControl

ORDERS = ("fifo", "reverse", "random")
Act = Callable[[Json], Json]


@dataclass(frozen=True, slots=True)
class Control:
    engine: Engine
    journal: Journal

    def answer(self, request: Request) -> Reply:
        """Every answer is JSON; what can't be understood is 400, an unknown object or path 404."""
        try:
            found = self._find(request.method, request.path.removeprefix("/_control/").strip("/").split("/"))
            if found is None:
                return json_reply(404, {"error": f"There is no {request.method} {request.path} here."})
            sent = dict(parse_qsl(request.query)) if request.method == "GET" else _body(request)
            return json_reply(200, found(sent))
        except BadControl as exc:
            return json_reply(400, {"error": str(exc)})
        except ApiError as exc:
            return json_reply(exc.status, {"error": exc.message})

    def _find(self, method: str, path: list[str]) -> Act | None:
        acts = control_acts.Acts(self.engine)
        match [method, *path]:
            case ["POST", "sessions", session_id, verb]:
                return acts.session(session_id, verb)
            case ["POST", "refunds", refund_id, verb]:
                return acts.refund(refund_id, verb)
            case ["POST", "charges", charge_id, "dispute"]:
                return acts.begin_dispute(charge_id)
            case ["POST", "disputes", dispute_id, verb]:
                return acts.dispute(dispute_id, verb)
            case ["POST", "invoices", invoice_id, "pay"]:
                return acts.pay_invoice(invoice_id)
            case ["POST", "events", event_id, "redeliver"]:
                return acts.redeliver(event_id)
            case ["DELETE", "faults", fault_id]:
                return lambda sent: {"deleted": self.engine.faults.clear(_integer(fault_id, "fault id"))}
        fixed: Mapping[tuple[str, ...], Act] = {
            ("GET", "requests"): self._requests,
            ("DELETE", "requests"): self._forget_requests,
            ("GET", "clock"): self._clock,
            ("POST", "clock"): self._move_clock,
            ("GET", "faults"): lambda sent: {"faults": self.engine.faults.list()},
            ("POST", "faults"): lambda sent: self.engine.faults.add(sent).as_json(),
            ("DELETE", "faults"): lambda sent: {"deleted": self.engine.faults.clear()},
            ("GET", "deliveries"): self._deliveries,
            ("POST", "deliveries"): self._set_mode,
            ("POST", "deliveries", "flush"): self._flush,
            ("GET", "options"): lambda sent: options.as_json(self.engine.options),
            ("POST", "options"): self._set_options,
            ("GET", "endpoints"): lambda sent: self._endpoints(),
            ("POST", "endpoints"): self._add_endpoint,
            ("GET", "balance"): self._balance,
            ("POST", "settlements"): self._settle_in,
            ("POST", "events"): acts.send_event,
            ("POST", "objects"): acts.place_object,
            ("POST", "reset"): self._reset,
        }
        return fixed.get((method, *path))

    def _requests(self, sent: Json) -> Json:
        after = _integer(sent.get("after", "0"), "after")
        return {"requests": self.journal.read(method=sent.get("method"), path=sent.get("path"), after=after)}

    def _forget_requests(self, sent: Json) -> Json:
        self.journal.clear()
        return {"requests": []}

    def _clock(self, sent: Json) -> Json:
        return {"now": self.engine.clock.now(), "offsetSeconds": self.engine.clock.offset}

    def _move_clock(self, sent: Json) -> Json:
        """Move forward; what becomes due is done before the answer."""
        _only(sent, "advanceSeconds")
        self.engine.advance_clock(options.number(sent.get("advanceSeconds"), "advanceSeconds", high=10 * 366 * 86_400))
        return self._clock({})

    def _deliveries(self, sent: Json) -> Json:
        return {"mode": options.as_json(self.engine.queue.mode), "deliveries": self.engine.queue.report()}

    def _set_mode(self, sent: Json) -> Json:
        self.engine.set_mode(options.delivery_mode(sent))
        return options.as_json(self.engine.queue.mode)

    def _flush(self, sent: Json) -> Json:
        """Send what is held, one after the other, and answer when each was answered (not with `wait: false`)."""
        _only(sent, "order", "seed", "wait")
        mode = self.engine.queue.mode
        order = sent.get("order", "random" if mode.mode == "reorder" else "fifo")
        seed, wait = sent.get("seed", mode.seed), sent.get("wait", True)
        if order not in ORDERS:
            raise BadControl(f"order must be one of {', '.join(ORDERS)}")
        if isinstance(seed, bool) or not isinstance(seed, int) or not isinstance(wait, bool):
            raise BadControl("seed must be an integer, wait true or false")
        return {"flushed": self.engine.queue.flush(order=order, seed=seed, wait=wait)}

    def _set_options(self, sent: Json) -> Json:
        self.engine.set_options(options.from_json(self.engine.options, sent))
        return options.as_json(self.engine.options)

    def _endpoints(self) -> Json:
        found = [
            {"id": e.id, "url": e.url, "secrets": e.secrets, "accounts": e.accounts, "events": e.events}
            for e in self.engine.queue.endpoints
        ]
        return {"endpoints": found}

    def _add_endpoint(self, sent: Json) -> Json:
        """An endpoint beside the one of the command line, for the accounts named."""
        _only(sent, "url", "secrets", "accounts", "events")
        url, secrets = sent.get("url"), _texts(sent.get("secrets"), "secrets")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise BadControl("url must be an http(s) address")
        accounts, events = _texts(sent.get("accounts", []), "accounts"), _texts(sent.get("events", ["*"]), "events")
        added = Endpoint(ids.new_id("we"), url, secrets, accounts, events)
        extra = [endpoint for endpoint in self.engine.queue.endpoints if endpoint.id != "we_default"]
        self.engine.set_endpoints([*extra, added])
        return self._endpoints()

    def _balance(self, sent: Json) -> Json:
        with self.engine.lock:
            found = self.engine.store.select("kind = 'balance_transaction'", (), newest_first=False)
        return {"accounts": totals(found)}

    def _settle_in(self, sent: Json) -> Json:
        found = settlement.read(sent)
        self.engine.settle_in(found)
        return {"account": found.account, "currency": found.currency, "rates": found.rates}

    def _reset(self, sent: Json) -> Json:
        self.engine.reset()
        self.journal.clear()
        return {"reset": True}


def _body(request: Request) -> Json:
    if not request.body:
        return {}
    try:
        values = json.loads(request.body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise BadControl(f"the body is not JSON: {exc}") from None
    if not isinstance(values, dict):
        raise BadControl("the body must be a JSON object")
    return values


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _only(sent: Json, *names: str) -> None:
    unknown = set(sent) - set(names)
    if unknown:
        raise BadControl(f"unknown member {', '.join(sorted(unknown))}; there are {', '.join(names)}")


def _integer(text: str, name: str) -> int:
    if not text.isdecimal() or not math.isfinite(int(text[:18])):
        raise BadControl(f"{name} must be a number")
    return int(text)


def _texts(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadControl(f"{name} must be a list of texts")
    return tuple(value)
