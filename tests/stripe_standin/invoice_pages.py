"""The page of an invoice, behind its `hosted_invoice_url`: what is owed, and a card that pays it from then on."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from . import billing_payments, cards, invoicing, methods, money, page_flow, pages, subscription_states
from .checkout import Paid
from .engine import Engine
from .errors import Json
from .messages import Reply, Request
from .store import Record
from .unit import Caller, Unit

PAYABLE = ("open", "uncollectible")
STATUS = {
    "paid": "This invoice is paid.",
    "void": "This invoice is void. Nothing is owed.",
    "draft": "This invoice isn't final yet.",
}


@dataclass(frozen=True, slots=True)
class InvoicePages:
    engine: Engine

    def answer(self, request: Request) -> Reply:
        match [request.method, *request.path.strip("/").split("/")]:
            case ["GET", "c", "invoice", invoice_id]:
                return self._show(invoice_id, 200, None)
            case ["GET", "c", "invoice", invoice_id, "pdf"]:
                return self._show(invoice_id, 200, None)  # the same page: nobody reads a PDF here
            case ["POST", "c", "invoice", invoice_id]:
                return self._submit(invoice_id, page_flow.form_of(request))
        return _missing()

    def _find(self, invoice_id: str) -> Record | None:
        with self.engine.lock:
            self.engine.lapse_due()
            return self.engine.store.find("invoice", invoice_id)

    def _show(self, invoice_id: str, status: int, paid: Paid | None) -> Reply:
        invoice = self._find(invoice_id)
        if invoice is None:
            return _missing()
        with self.engine.lock:
            intent = self.engine.store.find("payment_intent", invoice.hidden.get("intent") or "")
        waits = intent is not None and intent.body["status"] == "requires_action"
        content = _page(invoice, paid, challenge=f"/c/3ds/{intent.id}" if waits and intent else None)
        return page_flow.html(status, pages.document(f"Invoice {invoice.body['number'] or ''}", content, layout="two"))

    def _submit(self, invoice_id: str, form: dict[str, str]) -> Reply:
        invoice = self._find(invoice_id)
        if invoice is None:
            return _missing()
        paid = pay(self.engine, invoice, cards.digits(form.get("card", "")), keep=True)
        if paid.state == "challenge":
            intent = (self._find(invoice_id) or invoice).hidden["intent"]
            return page_flow.see(f"/c/3ds/{intent}")
        return self._show(invoice_id, 402 if paid.state == "declined" else 200, paid)


def pay(engine: Engine, invoice: Record, card: str, *, keep: bool) -> Paid:
    """The customer pays an open invoice with this card. `keep` makes it what the next invoices are collected with."""

    def work(unit: Unit) -> Paid:
        return _pay(unit, unit.need("invoice", invoice.id), card, keep=keep)

    return engine.run(Caller.owner_of(invoice), work).value


def _pay(unit: Unit, invoice: Record, card: str, *, keep: bool) -> Paid:
    if invoice.body["status"] == "paid":
        return Paid("already_complete")
    known = "subscription" in invoice.hidden and unit.get("customer", invoice.body["customer"])
    if invoice.body["status"] not in PAYABLE or not known:
        return Paid("invalid", "not_payable", STATUS.get(invoice.body["status"], "This invoice can't be paid here."))
    billing = methods.no_billing() | {"email": invoice.body["customer_email"], "name": invoice.body["customer_name"]}
    method = methods.make_card(unit, card, billing)
    done = billing_payments.attempt(unit, invoice, method=method, automatic=False)
    intent = invoicing.intent_of(unit, invoice)
    waits = intent is not None and intent.body["status"] == "requires_action"
    if keep and (done or waits):
        use_from_now_on(unit, invoice, method)
    if done:
        return Paid("complete")
    error: Json = (intent.body["last_payment_error"] if intent else None) or {}
    if waits:
        return Paid("challenge")
    return Paid("declined", error.get("decline_code") or error.get("code"), error.get("message"))


def use_from_now_on(unit: Unit, invoice: Record, method: Record) -> None:
    """Save the card with the customer and collect the subscription's next invoices with it, as Stripe's page does."""
    customer = unit.need("customer", invoice.body["customer"])
    methods.attach(unit, method, customer.id)
    before = dict(customer.body)
    customer.body["invoice_settings"] = customer.body["invoice_settings"] | {"default_payment_method": method.id}
    unit.save(customer)
    previous = {"invoice_settings": before["invoice_settings"]}
    unit.announce("customer.updated", customer, previous=previous)
    subscription = unit.need("subscription", invoice.hidden["subscription"])
    if subscription.body["status"] not in subscription_states.ENDED:
        with subscription_states.changing(unit, subscription) as body:
            body["default_payment_method"] = method.id


def _page(invoice: Record, paid: Paid | None, *, challenge: str | None) -> Markup:
    body = invoice.body
    currency = body["currency"]
    due = money.display(body["amount_remaining"], currency)
    rows = [
        pages.PLAIN_ROW.format(css="", name=line["description"], amount=money.display(line["amount"], currency))
        for line in invoice.hidden.get("lines") or body["lines"]["data"]
    ]
    discount = sum(part["amount"] for part in body["total_discount_amounts"])
    tax = sum(part["amount"] for part in body["total_taxes"] if part["tax_behavior"] == "exclusive")
    balance = body["amount_due"] - body["total"]
    for name, amount in (("Discount", -discount), ("Tax", tax), ("Balance", balance)):
        if amount:
            rows.append(pages.PLAIN_ROW.format(css="", name=name, amount=money.display(amount, currency)))
    if body["amount_paid"]:
        paid_already = money.display(-body["amount_paid"], currency)
        rows.append(pages.PLAIN_ROW.format(css="", name="Paid", amount=paid_already))
    rows.append(pages.PLAIN_ROW.format(css="sum", name="Due", amount=due))
    summary = Markup("<section><h1>Invoice {}</h1><p class=total>{}</p><table>{}</table></section>").format(
        body["number"] or "", due, Markup("").join(rows)
    )
    return summary + _form(invoice, paid, due, challenge)


def _form(invoice: Record, paid: Paid | None, due: str, challenge: str | None) -> Markup:
    if invoice.body["status"] not in PAYABLE:
        text = STATUS.get(invoice.body["status"], "")
        return Markup("<section><h2>{}</h2></section>").format(text)
    error = Markup('<p class="error" role="alert">{}</p>').format(paid.message) if paid and paid.message else ""
    waits = Markup('<p><a href="{}">Your bank asks: confirm the payment</a></p>').format(challenge) if challenge else ""
    field = pages.field("Card number", "card", "4242 4242 4242 4242", complete="off", more='inputmode="numeric"')
    return Markup(
        "<section><h2>Pay <span class=badge>test mode</span></h2>{}{}"
        '<form method="post" action="/c/invoice/{}" novalidate>{}<button type="submit">Pay {}</button></form>'
        "<p><small>The card is kept for the next invoices.</small></p>{}</section>"
    ).format(error, waits, invoice.id, field, due, pages.hints())


def _missing() -> Reply:
    return page_flow.html(404, pages.notice("Not found", "There is no such invoice."))
