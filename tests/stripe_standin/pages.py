"""The HTML of the payment page, its 3-D Secure page and its notices. No script, no request to anywhere else."""

from __future__ import annotations

from markupsafe import Markup

from . import money
from .checkout import Paid
from .errors import Json
from .store import Record

DOCUMENT = Markup(
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
    '<title>{title}</title><link rel="stylesheet" href="/c/assets/page.css"></head>'
    '<body><main class="{layout}">{content}</main></body></html>'
)
ROW = Markup('<tr class="{css}"><td>{name}<br><small>{note}</small></td><td>{amount}</td></tr>')
PLAIN_ROW = Markup('<tr class="{css}"><td>{name}</td><td>{amount}</td></tr>')
FIELD = Markup(
    '<label>{label}<input type="{kind}" name="{name}" value="{value}" autocomplete="{complete}" {more}></label>'
)
CHOICE = Markup('<label><input type="radio" name="{name}" value="{value}" {checked}> {label}</label>')
CARDS = (
    ("4242 4242 4242 4242", "pays"),
    ("4000 0000 0000 0002", "is declined"),
    ("4000 0000 0000 9995", "has no funds"),
    ("4000 0027 6000 3184", "asks for 3-D Secure"),
)


def document(title: str, content: Markup, *, layout: str = "") -> bytes:
    return str(DOCUMENT.format(title=title, content=content, layout=layout)).encode()


def payment_page(session: Record, *, known_email: str | None, paid: Paid | None, typed: Json) -> bytes:
    """The page of an open session; after a failed try with its reason and what was typed."""
    body = session.body
    due = money.display(body["amount_total"], body["currency"])
    summary = Markup("<section><h1>To pay</h1><p class=total>{due}</p><table>{rows}</table></section>").format(
        due=due, rows=Markup("").join(_rows(session))
    )
    back = Markup('<p><a href="{}">Back</a></p>').format(body["cancel_url"]) if body["cancel_url"] else ""
    error = Markup('<p class="error" role="alert">{}</p>').format(paid.message) if paid and paid.message else ""
    form = Markup(
        "<section><h2>Your details <span class=badge>test mode</span></h2>{error}"
        '<form method="post" action="/c/pay/{id}" novalidate>{fields}<button type="submit">{pay}</button></form>'
        "{back}{hints}</section>"
    ).format(
        error=error,
        id=session.id,
        fields=_fields(session, known_email, typed),
        # Without a script the button can't follow a choice that changes the total.
        pay="Pay" if len(session.hidden["shipping"]) > 1 else f"Pay {due}",
        back=back,
        hints=_hints(),
    )
    return document(f"Pay {due}", summary + form, layout="two")


def _rows(session: Record) -> list[Markup]:
    body = session.body
    currency, details = body["currency"], body["total_details"]
    rows = [
        ROW.format(
            css="",
            name=line["description"],
            note=f"{line['quantity']} ×",
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


def _fields(session: Record, known_email: str | None, typed: Json) -> Markup:
    body = session.body
    fields = [_field("E-mail", "email", typed.get("email") or known_email or "", kind="email", complete="email")]
    fields.append(_field("Name", "name", typed.get("name", ""), complete="name"))
    if body["phone_number_collection"]["enabled"]:
        fields.append(_field("Phone", "phone", typed.get("phone", ""), kind="tel", complete="tel"))
    if body["shipping_address_collection"]:
        countries = body["shipping_address_collection"]["allowed_countries"]
        fields += [
            _field("Street", "line1", typed.get("line1", ""), complete="address-line1"),
            _field("Postal code", "postal_code", typed.get("postal_code", ""), complete="postal-code"),
            _field("City", "city", typed.get("city", ""), complete="address-level2"),
            _field("Country", "country", typed.get("country") or countries[0], complete="country"),
        ]
    if session.hidden["shipping"]:
        fields.append(_shipping(session))
    if body["amount_total"]:
        fields += _methods(body, typed)
    return Markup("").join(fields)


def _methods(body: Json, typed: Json) -> list[Markup]:
    offered = body["payment_method_types"]
    number = _field(
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


def _field(label: str, name: str, value: str, *, complete: str, kind: str = "text", more: str = "") -> Markup:
    return FIELD.format(label=label, name=name, value=value, kind=kind, complete=complete, more=Markup(more))


def _hints() -> Markup:
    rows = Markup("").join(Markup("<li><code>{}</code> {}</li>").format(number, effect) for number, effect in CARDS)
    return Markup('<div class="hint"><p>Nothing is charged here. Test cards:</p><ul>{}</ul></div>').format(rows)


def challenge_page(intent: Record, *, back: str | None) -> bytes:
    """The bank's page: approve, fail, or just leave it."""
    due = money.display(intent.body["amount"], intent.body["currency"])
    button = Markup('<button class="{css}" name="outcome" value="{value}">{label}</button>')
    leave = Markup('<p><a href="{}">Leave without an answer</a></p>').format(back) if back else ""
    content = Markup(
        "<section><h1>Your bank asks</h1><p class=total>{due}</p><p>Is this payment yours?</p>"
        '<form method="post" action="/c/3ds/{id}">{approve}{fail}</form>{leave}</section>'
    ).format(
        due=due,
        id=intent.id,
        approve=button.format(css="", value="approve", label="Approve"),
        fail=button.format(css="plain", value="fail", label="Fail the authentication"),
        leave=leave,
    )
    return document("3-D Secure", content)


def notice(title: str, text: str, *, link: str | None = None) -> bytes:
    more = Markup('<p><a href="{}">Go on</a></p>').format(link) if link else ""
    return document(title, Markup("<section><h2>{}</h2><p>{}</p>{}</section>").format(title, text, more))
