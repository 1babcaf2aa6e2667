"""One call of the API, from the bytes to the answer: key, route, parameters, idempotency, execution, faults."""

from __future__ import annotations

import base64
import binascii
import re
import sys
import time
import traceback
from dataclasses import dataclass, field, replace

from . import API_VERSION, expansion, forms, ids, params, routes
from .engine import Engine
from .errors import ApiError, Json, bad_request, invalid_key, rate_limited, server_error
from .faults import Fault, Strike
from .idempotency import MAX_LENGTH, REMEMBERED_SECONDS, InFlight, Key, fingerprint, mismatch, too_long
from .journal import Journal
from .messages import DROPPED, RESET, Reply, Request, dumped, json_reply
from .store import Saved
from .unit import Caller, Unit

ACCOUNT = re.compile(r"acct_[A-Za-z0-9_]{1,64}")
SECRET_KEY = re.compile(r"sk_test_([A-Za-z0-9_]{1,64})")


@dataclass(slots=True)
class Call:
    """What is known of the request so far; the journal shows it even when it was refused half-way."""

    request: Request
    strike: Strike
    request_id: str = field(default_factory=lambda: ids.new_id("req", 14))
    account: str | None = None
    sent: Json = field(default_factory=dict)


class Api:
    def __init__(self, engine: Engine, journal: Journal) -> None:
        self._engine = engine
        self._journal = journal
        self._in_flight = InFlight()

    def answer(self, request: Request) -> Reply:
        """Answer one request under /v1 and write it down."""
        started = time.monotonic()
        call = Call(request, self._engine.faults.take(request.method, request.path))
        reply = self._hurt_before(call) or self._hurt_after(call, self._answered(call))
        shown = {"Request-Id": call.request_id, "Stripe-Version": API_VERSION, **reply.headers}
        key = request.headers.get("idempotency-key")
        if key:
            shown["Idempotency-Key"] = key
        if call.account and request.headers.get("stripe-account"):
            shown["Stripe-Account"] = call.account
        reply = replace(reply, headers=shown)
        self._journal.add(
            request,
            request_id=call.request_id,
            account=call.account,
            params=call.sent,
            reply=reply,
            faults=call.strike.names(),
            started=started,
        )
        return reply

    def _answered(self, call: Call) -> Reply:
        try:
            return self._execute(call)
        except ApiError as exc:
            return json_reply(exc.status, exc.body())

    # Faults around the execution

    def _hurt_before(self, call: Call) -> Reply | None:
        strike = call.strike
        if strike.fault is None or strike.fault.after():
            return None
        if strike.fault.kind == "drop_before":
            return DROPPED
        if strike.fault.kind == "reset":
            return RESET
        call.sent = _sent(call.request)
        if strike.fault.kind == "html":
            return bad_gateway()
        if strike.fault.kind == "rate_limit":
            error = rate_limited(strike.fault.settings.get("code", "rate_limit"))
            return json_reply(error.status, error.body(), strike.fault.settings.get("headers"))
        if strike.fault.settings.get("save"):
            return None  # the failure belongs to the execution, which remembers it
        return status_reply(strike.fault)

    def _hurt_after(self, call: Call, reply: Reply) -> Reply:
        time.sleep(call.strike.delay_seconds(after=True))
        if call.strike.is_now("drop_after", after=True):
            return replace(reply, drop=True)
        if call.strike.is_now("reset", after=True):
            return replace(reply, reset=True)
        if call.strike.is_now("half_answer", after=True):
            return replace(reply, half=True)
        return bad_gateway() if call.strike.is_now("html", after=True) else reply

    # Execution

    def _execute(self, call: Call) -> Reply:
        request = call.request
        caller = self._caller(call)
        call.sent = _sent(request)
        route, arguments = routes.find(request.method, request.path)
        version = request.headers.get("stripe-version", API_VERSION)
        if version != API_VERSION:
            raise bad_request(f"The stand-in speaks version {API_VERSION} only, not {version}.")
        key = self._key(call, caller)
        with self._engine.lock:
            saved = self._saved(key)
            if saved is None and key:
                self._in_flight.claim(key)
        if saved is not None:
            replayed = {"Idempotent-Replayed": "true", "Original-Request": saved.request_id}
            return Reply(saved.status, saved.body, replayed)
        try:
            values = params.read_form(route.endpoint, call.sent, now=self._engine.clock.now())
            time.sleep(call.strike.delay_seconds(after=False))
            return self._engine.run(caller, lambda unit: self._run(unit, call, route, arguments, values, key)).value
        finally:
            if key:
                with self._engine.lock:
                    self._in_flight.release(key)

    def _run(self, unit: Unit, call: Call, route: routes.Route, arguments: list[str], values: Json,
             key: Key | None) -> Reply:  # fmt: skip
        """Execute and remember, in one transaction."""
        fault = call.strike.fault
        told = status_reply(fault) if fault and fault.kind == "status" else None
        skipped = told is not None and call.strike.is_now("status", after=False)
        executed = None if skipped else self._outcome(unit, route, arguments, values)
        reply = told or executed
        assert reply is not None
        if key and (told is None or (fault and fault.settings.get("save", True))):
            saved = Saved(key.fingerprint, reply.status, reply.body, call.request_id, unit.now)
            unit.engine.store.save_result(key.scope, key.text, saved)
        return reply

    def _outcome(self, unit: Unit, route: routes.Route, arguments: list[str], values: Json) -> Reply:
        try:
            with unit.undone_on_refusal():
                body = route.handler(unit, values, *arguments)
                return json_reply(200, expansion.expand(unit, body, values.get("expand") or []))
        except ApiError as exc:
            return json_reply(exc.status, exc.body())
        except Exception:
            traceback.print_exc(file=sys.stderr)
            error = server_error("The stand-in has a defect; its standard error shows where.")
            return json_reply(error.status, error.body())

    # Who and which

    def _caller(self, call: Call) -> Caller:
        own = own_account(call.request.headers.get("authorization", ""))
        named = call.request.headers.get("stripe-account") or own
        if not ACCOUNT.fullmatch(named):
            raise ApiError(403, f"The key has no access to the account '{named}'.", code="account_invalid")
        call.account = named
        key = call.request.headers.get("idempotency-key") if call.request.method == "POST" else None
        return Caller(named, own, call.request_id, key)

    def _key(self, call: Call, caller: Caller) -> Key | None:
        if not caller.idempotency_key:
            return None
        if len(caller.idempotency_key) > MAX_LENGTH:
            raise too_long()
        scope = f"{caller.platform}/{caller.account}"
        print_ = fingerprint(call.request.method, call.request.path, call.sent)
        return Key(scope, caller.idempotency_key, print_)

    def _saved(self, key: Key | None) -> Saved | None:
        if key is None:
            return None
        oldest = self._engine.clock.now() - REMEMBERED_SECONDS
        saved = self._engine.store.saved_result(key.scope, key.text, not_before=oldest)
        if saved and saved.fingerprint != key.fingerprint:
            raise mismatch(key)
        return saved


def own_account(authorization: str) -> str:
    """The account of a secret key, sent as bearer token or as basic auth's user. Raises ApiError(401)."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            token = base64.b64decode(token, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            token = ""
    found = SECRET_KEY.fullmatch(token.strip())
    if not found:
        shown = token.strip()
        raise invalid_key(f"{shown[:8]}{'*' * 12}{shown[-4:]}" if len(shown) > 16 else "*" * len(shown))
    return f"acct_{found.group(1)}"


def _sent(request: Request) -> Json:
    if request.method in ("GET", "DELETE"):
        return forms.decode_form(request.query)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.body and kind != "application/x-www-form-urlencoded":
        raise bad_request(f"Send a form (application/x-www-form-urlencoded), not {kind or 'an unnamed type'}.")
    return forms.decode_form(request.body)


def status_reply(fault: Fault) -> Reply:
    """The answer that a `status` fault prescribes: a body of its own, or an error of that status."""
    settings = fault.settings
    status, headers, body = settings["status"], settings.get("headers", {}), settings.get("body")
    if isinstance(body, str):
        return Reply(status, body.encode(), headers, "text/plain")
    if body is None:
        kind = settings.get("type", "api_error" if status >= 500 else "invalid_request_error")
        message = settings.get("message", "The stand-in answers this as it was told to.")
        body = ApiError(status, message, type=kind, code=settings.get("code")).body()
    return Reply(status, dumped(body), headers)


def bad_gateway() -> Reply:
    return Reply(502, b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>",
                 content_type="text/html")  # fmt: skip
