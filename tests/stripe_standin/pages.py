"""The HTML of the payment page, its 3-D Secure page and its notices. No request to anywhere else, and no script but in
the frames of a shop's page (frames.py).
"""

from __future__ import annotations

from decimal import Decimal

from markupsafe import Markup

from . import money, periods
from .checkout import Paid
from .errors import Json
from .store import Record

DOCUMENT = Markup(
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
    '<title>{title}</title><link rel="stylesheet" href="/c/assets/page.css">{script}</head>'
    '<body><main class="{layout}">{content}</main></body></html>'
)
ROW = Markup('<tr class="{css}"><td>{name}<br><small>{note}</small></td><td>{amount}</td></tr>')
PLAIN_ROW = Markup('<tr class="{css}"><td>{name}</td><td>{amount}</td></tr>')
FIELD = Markup(
    '<label>{label}<input type="{kind}" name="{name}" value="{value}" autocomplete="{complete}" {more}></label>'
)
CHOICE = Markup('<label><input type="radio" name="{name}" value="{value}" {checked}> {label}</label>')
BILLING = "billing_"
CARDS = (
    ("4242 4242 4242 4242", "pays"),
    ("4000 0000 0000 0002", "is declined"),
    ("4000 0000 0000 9995", "has no funds"),
    ("4000 0027 6000 3184", "asks for 3-D Secure"),
)


def document(title: str, content: Markup, *, layout: str = "", script: bool = False) -> bytes:
    module = Markup('<script type="module" src="/c/assets/frame.js"></script>') if script else ""
    return str(DOCUMENT.format(title=title, content=content, layout=layout, script=module)).encode()


def payment_page(session: Record, *, known_email: str | None, paid: Paid | None, typed: Json) -> bytes:
    """The page of an open session; after a failed try with its reason and what was typed."""
    due = money.display(session.body["amount_total"], session.body["currency"])
    content = payment_form(session, known_email=known_email, paid=paid, typed=typed, action=f"/c/pay/{session.id}")
    return document(f"Pay {due}", content, layout="two")


def payment_form(session: Record, *, known_email: str | None, paid: Paid | None, typed: Json, action: str) -> Markup:
    """What is bought, and the form that pays it."""
    body = session.body
    due = money.display(body["amount_total"], body["currency"])
    summary = Markup("<section><h1>To pay</h1><p class=total>{due}</p><table>{rows}</table></section>").format(
        due=due, rows=Markup("").join(_rows(session))
    )
    back = Markup('<p><a href="{}">Back</a></p>').format(body["cancel_url"]) if body["cancel_url"] else ""
    error = Markup('<p class="error" role="alert">{}</p>').format(paid.message) if paid and paid.message else ""
    form = Markup(
        "<section><h2>Your details <span class=badge>test mode</span></h2>{error}"
        '<form method="post" action="{action}" novalidate>{fields}<button type="submit">{pay}</button></form>{note}'
        "{back}{hints}</section>"
    ).format(
        error=error,
        action=action,
        note=_note(body),
        fields=_fields(session, known_email, typed),
        # Without a script the button can't follow a choice that changes the total.
        pay=_pay_label(session, due),
        back=back,
        hints=hints(),
    )
    return summary + form


def _pay_label(session: Record, due: str) -> str:
    if session.body["mode"] == "subscription" and not session.body["amount_total"]:
        return "Subscribe"
    return "Pay" if len(session.hidden["shipping"]) > 1 else f"Pay {due}"


def _note(body: Json) -> Markup:
    message = ((body["custom_text"] or {}).get("submit") or {}).get("message")
    return Markup("<p><small>{}</small></p>").format(message) if message else Markup("")


def _rows(session: Record) -> list[Markup]:
    body = session.body
    currency, details = body["currency"], body["total_details"]
    rows = [
        ROW.format(
            css="",
            name=line["description"],
            note=_counted(line),
            amount=money.display(line["amount_subtotal"], currency),
        )
        for line in session.hidden["lines"]
    ]
    parts = (
        ("Subtotal", body["amount_subtotal"]),
        ("Discount", -details["amount_discount"]),
        ("Shipping", details["amount_shipping"]),
        ("Tax", details["amount_tax"]),
    )
    rows += [
        PLAIN_ROW.format(css="", name=name, amount=money.display(amount, currency))
        for name, amount in parts
        if amount or name == "Subtotal"
    ]
    return [*rows, PLAIN_ROW.format(css="sum", name="Total", amount=money.display(body["amount_total"], currency))]


def _counted(line: Json) -> str:
    """`2 ×`, and for what recurs what it costs how often."""
    price, quantity = line["price"], line["quantity"]
    if price["type"] != "recurring":
        return f"{quantity} ×"
    each = money.display(money.round_half_up(Decimal(price["unit_amount_decimal"])), price["currency"])
    return f"{quantity} × {each} / {periods.words(price['recurring'])}" + (", after the trial" if line["free"] else "")


def _fields(session: Record, known_email: str | None, typed: Json) -> Markup:
    body = session.body
    fields = [field("E-mail", "email", typed.get("email") or known_email or "", kind="email", complete="email")]
    fields.append(field("Name", "name", typed.get("name", ""), complete="name"))
    if body["phone_number_collection"]["enabled"]:
        fields.append(field("Phone", "phone", typed.get("phone", ""), kind="tel", complete="tel"))
    if body["shipping_address_collection"]:
        countries = body["shipping_address_collection"]["allowed_countries"]
        fields += address_fields("", typed, countries[0])
    if body["billing_address_collection"] == "required":
        fields.append(_group("Billing address", address_fields(BILLING, typed, "US")))
    if session.hidden["shipping"]:
        fields.append(_shipping(session))
    if takes_method(body):
        fields += _methods(body, typed)
    return Markup("").join(fields)


def takes_method(body: Json) -> bool:
    """Whether a card is asked for: also in a trial, for what comes after it."""
    later = body["mode"] == "subscription" and body["payment_method_collection"] == "always"
    return bool(body["amount_total"] or later)


def address_fields(prefix: str, typed: Json, country: str) -> list[Markup]:
    """The parts of one address; `prefix` tells two on the same page apart."""
    parts = (
        ("Street", "line1", "address-line1"),
        ("Postal code", "postal_code", "postal-code"),
        ("City", "city", "address-level2"),
        ("Country", "country", "country"),
    )
    preset = {"country": country}
    return [
        field(label, f"{prefix}{name}", typed.get(f"{prefix}{name}") or preset.get(name, ""), complete=complete)
        for label, name, complete in parts
    ]


def _group(legend: str, fields: list[Markup]) -> Markup:
    return Markup("<fieldset><legend>{}</legend>{}</fieldset>").format(legend, Markup("").join(fields))


def _methods(body: Json, typed: Json) -> list[Markup]:
    offered = body["payment_method_types"]
    number = field(
        "Card number", "card", typed.get("card", "4242 4242 4242 4242"), complete="off", more='inputmode="numeric"'
    )
    if offered == ["card"]:
        return [number]
    choices = [("card", "Card")] if "card" in offered else []
    choices.append(("bank_debit", "Bank debit (is collected later)"))
    chosen = typed.get("method") or choices[0][0]
    radios = Markup("").join(
        CHOICE.format(name="method", value=value, label=label, checked="checked" if value == chosen else "")
        for value, label in choices
    )
    fieldset = Markup("<fieldset><legend>Pay with</legend>{}</fieldset>").format(radios)
    return [fieldset, number] if "card" in offered else [fieldset]


def _shipping(session: Record) -> Markup:
    chosen, currency = session.hidden["shipping_choice"], session.body["currency"]
    radios = Markup("").join(
        CHOICE.format(
            name="shipping_rate",
            value=option["id"],
            label=f"{option['name']} ({money.display(option['amount'], currency)})",
            checked="checked" if option["id"] == chosen else "",
        )
        for option in session.hidden["shipping"]
    )
    several = len(session.hidden["shipping"]) > 1
    update = Markup('<button class="plain" name="update" value="1">Update the total</button>') if several else ""
    return Markup("<fieldset><legend>Shipping</legend>{}{}</fieldset>").format(radios, update)


def field(label: str, name: str, value: str, *, complete: str, kind: str = "text", more: str = "") -> Markup:
    return FIELD.format(label=label, name=name, value=value, kind=kind, complete=complete, more=Markup(more))


def hints() -> Markup:
    rows = Markup("").join(Markup("<li><code>{}</code> {}</li>").format(number, effect) for number, effect in CARDS)
    return Markup('<div class="hint"><p>Nothing is charged here. Test cards:</p><ul>{}</ul></div>').format(rows)


def challenge_page(intent: Record, *, back: str | None) -> bytes:
    """The bank's page: approve, fail, or just leave it."""
    leave = Markup('<p><a href="{}">Leave without an answer</a></p>').format(back) if back else Markup("")
    return document("3-D Secure", challenge_form(intent, action=f"/c/3ds/{intent.id}", leave=leave))


def challenge_form(intent: Record, *, action: str, leave: Markup) -> Markup:
    due = money.display(intent.body["amount"], intent.body["currency"])
    button = Markup('<button class="{css}" name="outcome" value="{value}">{label}</button>')
    return Markup(
        "<section><h1>Your bank asks</h1><p class=total>{due}</p><p>Is this payment yours?</p>"
        '<form method="post" action="{action}">{approve}{fail}</form>{leave}</section>'
    ).format(
        due=due,
        action=action,
        approve=button.format(css="", value="approve", label="Approve"),
        fail=button.format(css="plain", value="fail", label="Fail the authentication"),
        leave=leave,
    )


def notice(title: str, text: str, *, link: str | None = None) -> bytes:
    more = Markup('<p><a href="{}">Go on</a></p>').format(link) if link else ""
    return document(title, Markup("<section><h2>{}</h2><p>{}</p>{}</section>").format(title, text, more))
