"""The payment page over HTTP: what it shows, what its forms do, and where it sends the customer next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

from . import cards, checkout, pages, session_lines, sessions
from .checkout import Paid, Payment
from .engine import Engine, Ran
from .messages import Reply, Request
from .store import Record
from .unit import Caller, Unit

STYLE = Path(__file__).with_name("page.css").read_bytes()
HTML = "text/html; charset=utf-8"
# The customer waits for the shop's answer to one of these before the page sends them on.
AWAITED = ("checkout.session.completed",)
TAX_ADDED = Paid("invalid", None, "Tax has been added for your address. Please look at the total, then pay.")
POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'"


@dataclass(frozen=True, slots=True)
class Pages:
    engine: Engine

    def answer(self, request: Request) -> Reply:
        match [request.method, *request.path.strip("/").split("/")]:
            case ["GET", "c", "assets", "page.css"]:
                return Reply(200, STYLE, {"Cache-Control": "max-age=300"}, "text/css; charset=utf-8")
            # A page of the shop's own (elements) knows the client secret only; it begins with the session's id.
            case ["GET", "c", "pay", named]:
                return self._show(named.split("_secret_")[0])
            case ["POST", "c", "pay", named]:
                return self._submit(named.split("_secret_")[0], form_of(request))
            case ["GET", "c", "3ds", intent_id]:
                return self._show_challenge(intent_id)
            case ["POST", "c", "3ds", intent_id]:
                return self._answer_challenge(intent_id, form_of(request))
        return html(404, pages.notice("Not found", "There is no such page."))

    def _find(self, kind: str, object_id: str) -> Record | None:
        with self.engine.lock:
            self.engine.lapse_due()
            return self.engine.store.find(kind, object_id)

    def _show(self, session_id: str) -> Reply:
        session = self._find("checkout.session", session_id)
        if session is None:
            return html(404, pages.notice("Not found", "This payment page doesn't exist."))
        if session.body["status"] != "open":
            return closed(session)
        with self.engine.lock:
            error = self._last_error(session)
        return html(200, self._page(session, error, {}))

    def _page(self, session: Record, paid: Paid | None, typed: dict[str, str]) -> bytes:
        customer_id = session.body["customer"]
        customer = None
        if customer_id:
            with self.engine.lock:
                customer = self.engine.store.get(session.account, "customer", customer_id)
        email = session.body["customer_email"] or (customer.body["email"] if customer else None)
        return pages.payment_page(session, known_email=email, paid=paid, typed=typed)

    def _last_error(self, session: Record) -> Paid | None:
        """A challenge that failed sends the customer back here; the page then says why."""
        intent = self.engine.store.get(session.account, "payment_intent", sessions.intent_id(session))
        error = intent.body["last_payment_error"] if intent else None
        return Paid("declined", error["code"], error["message"]) if error else None

    def _submit(self, session_id: str, form: dict[str, str]) -> Reply:
        session = self._find("checkout.session", session_id)
        if session is None:
            return html(404, pages.notice("Not found", "This payment page doesn't exist."))
        if "update" in form:
            return self._update(session, form)
        if refused := missing(session, form):
            return html(422, self._page(session, refused, form))
        if add_tax(self.engine, session):
            shown = self._find("checkout.session", session_id) or session
            return html(200, self._page(shown, TAX_ADDED, form))
        ran = pay(self.engine, session, payment_of(form))
        paid = ran.value
        session = self._find("checkout.session", session_id) or session
        if paid.done:
            await_shop(self.engine, ran)
            return closed(session)
        if paid.state == "challenge":
            return see(f"/c/3ds/{sessions.intent_id(session)}")
        if paid.state == "expired":
            return closed(session)
        return html(402 if paid.state == "declined" else 422, self._page(session, paid, form))

    def _update(self, session: Record, form: dict[str, str]) -> Reply:
        """Show the total with another shipping choice; nothing is paid yet."""

        def work(unit: Unit) -> Paid | None:
            found = unit.need("checkout.session", session.id)
            return checkout.choose_shipping(unit, found, form.get("shipping_rate"))

        refused = self.engine.run(Caller.owner_of(session), work).value
        shown = self._find("checkout.session", session.id) or session
        if shown.body["status"] != "open":
            return closed(shown)
        return html(422 if refused else 200, self._page(shown, refused, form))

    def _show_challenge(self, intent_id: str) -> Reply:
        intent = self._find("payment_intent", intent_id)
        if intent is None or intent.body["status"] != "requires_action":
            return html(404, pages.notice("Nothing to approve", "This payment doesn't wait for an approval."))
        session_id = intent.hidden.get("session")
        back = f"/c/pay/{session_id}" if session_id else intent.hidden.get("return_url")
        return html(200, pages.challenge_page(intent, back=back))

    def _answer_challenge(self, intent_id: str, form: dict[str, str]) -> Reply:
        intent = self._find("payment_intent", intent_id)
        if intent is None:
            return html(404, pages.notice("Nothing to approve", "This payment doesn't exist."))
        ran = answer_challenge(self.engine, intent, approved=form.get("outcome") == "approve", late=False)
        session = self._find("checkout.session", intent.hidden.get("session") or "")
        if session is None:
            url = intent.hidden.get("return_url")
            return see(url) if url else html(200, pages.notice("Done", "You can close this page."))
        if ran.value.done:
            await_shop(self.engine, ran)
        return closed(session) if session.body["status"] != "open" else see(f"/c/pay/{session.id}")


def add_tax(engine: Engine, session: Record) -> bool:
    """The address is there: whether that has changed the total, which the customer sees before anything is charged."""

    def work(unit: Unit) -> bool:
        return session_lines.locate(unit, unit.need("checkout.session", session.id))

    return engine.run(Caller.owner_of(session), work).value


def pay(engine: Engine, session: Record, payment: Payment) -> Ran[Paid]:
    """Submit a payment for a session, as one unit of work of its own account."""

    def work(unit: Unit) -> Paid:
        return checkout.pay(unit, unit.need("checkout.session", session.id), payment)

    return engine.run(Caller.owner_of(session), work)


def answer_challenge(engine: Engine, intent: Record, *, approved: bool, late: bool) -> Ran[Paid]:
    def work(unit: Unit) -> Paid:
        known = unit.need("payment_intent", intent.id)
        return checkout.answer_challenge(unit, known, approved=approved, late=late)

    return engine.run(Caller.owner_of(intent), work)


def await_shop(engine: Engine, ran: Ran[Paid]) -> None:
    """Wait, as Stripe's page does, until the shop answered the completion event; never longer than the option says."""
    event = ran.event(*AWAITED)
    if event:
        engine.queue.wait_answered(event.id, engine.options.page_wait_seconds)


def closed(session: Record) -> Reply:
    """Where a session leads that can't be paid any more."""
    body = session.body
    if body["status"] == "complete":
        url = checkout.return_url(session)
        return see(url) if url else html(200, pages.notice("Thank you", "The payment is made."))
    text = "This checkout session has expired. Nothing was charged."
    return html(410, pages.notice("Session expired", text, link=_web(body["cancel_url"])))


def payment_of(form: dict[str, str]) -> Payment:
    parts = ("line1", "city", "postal_code", "country")
    shipping = {name: form[name].strip() for name in parts if form.get(name)}
    billing = {name: form[f"{pages.BILLING}{name}"].strip() for name in parts if form.get(f"{pages.BILLING}{name}")}
    return Payment(
        method=form.get("method", checkout.CARD),
        card=cards.digits(form.get("card", "")),
        email=form.get("email", "").strip(),
        name=form.get("name", "").strip() or "Robin Example",
        phone=form.get("phone", "").strip() or None,
        address=billing,
        shipping_address=shipping,
        shipping_rate=form.get("shipping_rate"),
    )


def form_of(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode("utf-8", errors="replace"), keep_blank_values=True))


def query_of(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.query, keep_blank_values=True))


def missing(session: Record, form: dict[str, str]) -> Paid | None:
    """What the page insists on and a browser that is made to may leave out."""
    wanted = session.body["billing_address_collection"] == "required"
    if wanted and not all(form.get(f"{pages.BILLING}{name}", "").strip() for name in ("line1", "country")):
        return Paid("invalid", "address_required", "Enter your billing address.")
    return None


def _web(url: str | None) -> str | None:
    return url if url and urlsplit(url).scheme in ("http", "https") else None


def html(status: int, body: bytes) -> Reply:
    return Reply(status, body, {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}, HTML)


def see(url: str) -> Reply:
    """Headers carry ASCII only; what is escaped already stays as it is."""
    return Reply(303, b"", {"Location": quote(url, safe="%/:?#[]@!$&'()*+,;=~{}")}, HTML)
