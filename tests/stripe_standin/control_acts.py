"""What the control surface does to one session, refund or event, as customer, bank or Stripe's staff would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import cards, checkout, disputes, invoice_pages, refunds, sessions
from .checkout import Paid, Payment
from .engine import Engine
from .errors import Json, missing_object
from .options import BadControl
from .page_flow import answer_challenge, await_shop, pay
from .store import Record
from .unit import Caller, Unit

Act = Callable[[Json], Json]
PAY_MEMBERS = {
    "card", "email", "name", "phone", "address", "shipping", "shippingRate", "method", "threeDS", "settle", "wait",
}  # fmt: skip
PLACED = ("subscription", "invoice")
TEXTS = ("card", "email", "name", "phone", "shippingRate")


@dataclass(frozen=True, slots=True)
class Acts:
    engine: Engine

    def session(self, session_id: str, verb: str) -> Act | None:
        verbs: dict[str, Callable[[Record, Json], Json]] = {
            "pay": self._pay,
            "challenge": self._challenge,
            "settle_async": self._settle,
            "expire": self._expire,
            "late_pay": self._late_pay,
        }
        act = verbs.get(verb)
        return (lambda sent: act(self._find("checkout.session", session_id), sent)) if act else None

    def refund(self, refund_id: str, verb: str) -> Act | None:
        verbs: dict[str, Callable[[Record, Json], Json]] = {"fail": self._fail_refund, "succeed": self._succeed_refund}
        act = verbs.get(verb)
        return (lambda sent: act(self._find("refund", refund_id), sent)) if act else None

    def redeliver(self, event_id: str) -> Act:
        return lambda sent: {"deliveries": self.engine.queue.redeliver(self._find("event", event_id))}

    def send_event(self, sent: Json) -> Json:
        """An event of any type with any object: for what the stand-in doesn't do by itself, renewals for example."""
        unknown = set(sent) - {"type", "object", "account", "connected"}
        kind, shown, account = sent.get("type"), sent.get("object"), sent.get("account", "acct_standin")
        if unknown or not isinstance(kind, str) or not isinstance(account, str):
            raise BadControl("send type (a text), object (a JSON object) and, if you like, account and connected")
        if not isinstance(shown, dict) or not isinstance(shown.get("id"), str):
            raise BadControl("object must be a JSON object with an id")
        platform = f"platform of {account}" if sent.get("connected") is True else account
        record = Record(account, platform, str(shown.get("object", "unknown")), shown)
        ran = self.engine.run(Caller.owner_of(record), lambda unit: unit.announce(kind, record))
        return {"event": ran.value.body}

    def place_object(self, sent: Json) -> Json:
        """A subscription or an invoice as Stripe would have it now, for the API to show; a later one replaces it."""
        shown, account = sent.get("object"), sent.get("account", "acct_standin")
        if set(sent) - {"object", "account"} or not isinstance(account, str) or not isinstance(shown, dict):
            raise BadControl("send object (a JSON object) and, if you like, account")
        if shown.get("object") not in PLACED or not isinstance(shown.get("id"), str):
            raise BadControl(f"object must be a JSON object with an id, of kind {' or '.join(PLACED)}")
        record = Record(account, account, shown["object"], shown)
        self.engine.run(Caller.owner_of(record), lambda unit: unit.save(record))
        return {"object": record.body}

    # Invoices

    def pay_invoice(self, invoice_id: str) -> Act:
        return lambda sent: self._pay_invoice(self._find("invoice", invoice_id), sent)

    def _pay_invoice(self, invoice: Record, sent: Json) -> Json:
        """Submit the page of an open invoice; then, if asked, answer 3-D Secure."""
        card, keep = sent.get("card", "4242424242424242"), sent.get("save", True)
        if set(sent) - {"card", "threeDS", "save"} or not isinstance(card, str) or not isinstance(keep, bool):
            raise BadControl("send, if you like, card (a text), threeDS and save (true or false)")
        answer = _choice(sent, "threeDS", ("approve", "fail", "abandon"), default="abandon")
        paid = invoice_pages.pay(self.engine, invoice, cards.digits(card), keep=keep)
        if paid.state == "challenge" and answer != "abandon":
            intent = self._find("payment_intent", str(self._find("invoice", invoice.id).hidden["intent"]))
            paid = answer_challenge(self.engine, intent, approved=answer == "approve", late=False).value
        current = self._find("invoice", invoice.id).body
        return {"state": paid.state, "code": paid.code, "message": paid.message, "invoice": current}

    # Disputes

    def begin_dispute(self, charge_id: str) -> Act:
        return lambda sent: self._begin_dispute(self._find("charge", charge_id), sent)

    def dispute(self, dispute_id: str, verb: str) -> Act | None:
        verbs: dict[str, Callable[[Unit, Record, Json], bool]] = {
            "respond": lambda unit, found, sent: disputes.respond(unit, found),
            "escalate": lambda unit, found, sent: disputes.escalate(unit, found),
            "close": lambda unit, found, sent: disputes.close(
                unit, found, won=_choice(sent, "outcome", ("won", "lost")) == "won"
            ),
        }
        act = verbs.get(verb)
        return (lambda sent: self._on_dispute(self._find("dispute", dispute_id), act, sent)) if act else None

    def _begin_dispute(self, charge: Record, sent: Json) -> Json:
        reason, amount, inquiry = sent.get("reason", "fraudulent"), sent.get("amount"), sent.get("inquiry", False)
        if set(sent) - {"reason", "amount", "inquiry"} or not isinstance(reason, str) or not isinstance(inquiry, bool):
            raise BadControl("send, if you like, reason (a text), amount (minor units) and inquiry (true or false)")
        if not charge.body["captured"] or charge.body["status"] != "succeeded" or charge.body["disputed"]:
            raise BadControl("only a captured charge can be disputed, and only once")
        most: int = charge.body["amount_captured"]
        amount = most if amount is None else amount
        if type(amount) is not int or not 0 < amount <= most:
            raise BadControl(f"amount must be a whole number from 1 to {most}")

        def work(unit: Unit) -> Record:
            found = unit.need("charge", charge.id)
            return disputes.begin(unit, found, reason=reason, amount=amount, inquiry=inquiry)

        return {"dispute": self.engine.run(Caller.owner_of(charge), work).value.body}

    def _on_dispute(self, dispute: Record, act: Callable[[Unit, Record, Json], bool], sent: Json) -> Json:
        ran = self.engine.run(Caller.owner_of(dispute), lambda unit: act(unit, unit.need("dispute", dispute.id), sent))
        if not ran.value:
            raise BadControl(f"the dispute is {dispute.body['status']}")
        return {"dispute": self._find("dispute", dispute.id).body}

    def _find(self, kind: str, object_id: str) -> Record:
        with self.engine.lock:
            self.engine.lapse_due()
            record = self.engine.store.find(kind, object_id)
        if record is None:
            raise missing_object(kind, object_id)
        return record

    # Sessions

    def _pay(self, session: Record, sent: Json) -> Json:
        """Fill in and submit the page; then, if asked, answer 3-D Secure or settle the debit."""
        payment, answer, settle, wait = read_payment(sent)
        ran = pay(self.engine, session, payment)
        if ran.value.state == "challenge" and answer in ("approve", "fail"):
            intent = self._intent_of(session)
            ran = answer_challenge(self.engine, intent, approved=answer == "approve", late=False)
        if wait and ran.value.done:
            await_shop(self.engine, ran)
        if settle and ran.value.state == "complete":
            self._settle_intent(self._intent_of(session), succeeded=settle == "succeed")
        return self._shown(session, ran.value)

    def _challenge(self, session: Record, sent: Json) -> Json:
        """The customer comes back to a challenge that was left open."""
        outcome = _choice(sent, "outcome", ("approve", "fail"))
        ran = answer_challenge(self.engine, self._intent_of(session), approved=outcome == "approve", late=False)
        if ran.value.done:
            await_shop(self.engine, ran)
        return self._shown(session, ran.value)

    def _late_pay(self, session: Record, sent: Json) -> Json:
        """The bank approves the challenge of a session that expired meanwhile, and the money arrives all the same."""
        if session.body["status"] != "expired":
            raise BadControl(f"the session is {session.body['status']}, a late payment needs an expired one")
        intent = self._intent_of(session)
        if intent.body["status"] != "requires_action":
            raise BadControl("no 3-D Secure challenge was in flight: pay with card 4000002760003184 and "
                             'threeDS "abandon" before the session expires')  # fmt: skip
        ran = answer_challenge(self.engine, intent, approved=True, late=True)
        await_shop(self.engine, ran)
        return self._shown(session, ran.value)

    def _settle(self, session: Record, sent: Json) -> Json:
        outcome = _choice(sent, "outcome", ("succeeded", "failed"))
        if not self._settle_intent(self._intent_of(session), succeeded=outcome == "succeeded"):
            raise BadControl("the session has no payment in processing")
        return self._shown(session, Paid("complete"))

    def _expire(self, session: Record, sent: Json) -> Json:
        """As the clock would, or the API call: the same 400 when the session isn't open."""
        self.engine.run(Caller.owner_of(session), lambda unit: sessions.expire(unit, {}, session.id))
        return self._shown(session, Paid("expired"))

    def _settle_intent(self, intent: Record, *, succeeded: bool) -> bool:
        def work(unit: Unit) -> bool:
            return checkout.settle_debit(unit, unit.need("payment_intent", intent.id), succeeded=succeeded)

        return self.engine.run(Caller.owner_of(intent), work).value

    def _intent_of(self, session: Record) -> Record:
        intent_id = sessions.intent_id(self._find("checkout.session", session.id))
        if not intent_id:
            raise BadControl("nobody has tried to pay this session yet")
        return self._find("payment_intent", intent_id)

    def _shown(self, session: Record, paid: Paid) -> Json:
        current = self._find("checkout.session", session.id)
        intent_id = sessions.intent_id(current)
        return {
            "state": paid.state,
            "code": paid.code,
            "message": paid.message,
            "redirectUrl": checkout.return_url(current) if current.body["status"] == "complete" else None,
            "session": current.body,
            "paymentIntent": self._find("payment_intent", intent_id).body if intent_id else None,
        }

    # Refunds

    def _fail_refund(self, refund: Record, sent: Json) -> Json:
        reason = sent.get("reason", "lost_or_stolen_card")
        if not isinstance(reason, str):
            raise BadControl("reason must be a text")
        return self._on_refund(refund, lambda unit, found: refunds.fail(unit, found, reason))

    def _succeed_refund(self, refund: Record, sent: Json) -> Json:
        return self._on_refund(refund, refunds.succeed)

    def _on_refund(self, refund: Record, act: Callable[[Unit, Record], bool]) -> Json:
        ran = self.engine.run(Caller.owner_of(refund), lambda unit: act(unit, unit.need("refund", refund.id)))
        if not ran.value:
            raise BadControl(f"the refund is {refund.body['status']} already")
        return {"refund": self._find("refund", refund.id).body}


def read_payment(sent: Json) -> tuple[Payment, str | None, str | None, bool]:
    """The payment, the answer to 3-D Secure, how a debit settles, and whether to wait for the shop."""
    unknown = set(sent) - PAY_MEMBERS
    if unknown:
        raise BadControl(f"unknown member {', '.join(sorted(unknown))}; there are {', '.join(sorted(PAY_MEMBERS))}")
    for name in TEXTS:
        if not isinstance(sent.get(name, ""), str):
            raise BadControl(f"{name} must be a text")
    for name in ("address", "shipping"):
        if not isinstance(sent.get(name, {}), dict):
            raise BadControl(f"{name} must be a JSON object")
    wait = sent.get("wait", True)
    if not isinstance(wait, bool):
        raise BadControl("wait must be true or false")
    method = _choice(sent, "method", (checkout.CARD, checkout.BANK_DEBIT), default=checkout.CARD)
    answer = _choice(sent, "threeDS", ("approve", "fail", "abandon"), default="abandon")
    settle = _choice(sent, "settle", ("succeed", "fail"), default="") or None
    payment = Payment(
        method=method,
        card=cards.digits(sent.get("card", "4242424242424242")),
        email=sent.get("email", "buyer@example.com"),
        name=sent.get("name", "Robin Example"),
        phone=sent.get("phone"),
        address=sent.get("address", {}),
        shipping_address=sent.get("shipping", {}),
        shipping_rate=sent.get("shippingRate"),
    )
    return payment, answer, settle, wait


def _choice(sent: Json, name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
    value = sent.get(name, default)
    if value is None or (value != default and value not in allowed):
        raise BadControl(f"{name} must be one of {', '.join(allowed)}")
    return str(value)
