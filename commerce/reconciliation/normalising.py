"""A record as somebody else wrote it → one sale in minor units, or every reason why it can't be one (O3). Pure.

Older senders wrote major units as floats and strings, and currencies in any case. What can only mean one thing is
translated and said to be `normalised`; what could mean two is refused. Nothing is rounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from commerce.currencies import CURRENCIES
from commerce.money import LARGEST, MoneyError, to_minor
from commerce.orders.models import Order

AMOUNTS: Final = ("total", "subtotal", "tax", "shipping", "discount", "deposit")
TEXTS: Final = {"orderNumber": 24, "sessionId": 255, "paymentIntentId": 255}
CUSTOMER: Final = {"email": 254, "name": 200, "phone": 40}
KNOWN: Final = frozenset(
    {*AMOUNTS, *TEXTS, "externalId", "status", "currency", "unit", "lines", "customer", "createdAt"}
)
LONGEST_ID: Final = 255
LONGEST_SKU: Final = 64
MOST_LINES: Final = 200
MOST_UNITS: Final = 1_000_000

CONFIRMED, CANCELED = Order.Status.CONFIRMED, Order.Status.CANCELED
# A sale that is still under way has nothing to take over, and a refund is read from Stripe, never believed.
STATUSES: Final[Mapping[str, str]] = {"confirmed": CONFIRMED, "canceled": CANCELED}
OLDER_STATUSES: Final[Mapping[str, str]] = {
    "paid": CONFIRMED,
    "complete": CONFIRMED,
    "completed": CONFIRMED,
    "succeeded": CONFIRMED,
    "cancelled": CANCELED,
    "failed": CANCELED,
    "expired": CANCELED,
}
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")
_POINT: Final = re.compile(r"[0-9]+\.[0-9]+\Z")
_DIGITS: Final = re.compile(r"[0-9]{1,19}\Z")


class Refused(Exception):
    """`fields`: what is wrong, by the name of the member, as the caller wrote it."""

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        super().__init__("; ".join(fields))
        self.fields = dict(fields)


@dataclass(frozen=True, slots=True)
class SaleLine:
    """Units of one SKU at their price, in minor units."""

    sku: str
    quantity: int
    unit_amount: int


@dataclass(frozen=True, slots=True)
class Sale:
    """One sale; amounts in minor units of `currency`, which add up. `stated`: those that the record told itself."""

    external_id: str
    status: str
    currency: str
    amounts: Mapping[str, int]
    stated: frozenset[str]
    lines: tuple[SaleLine, ...]
    order_number: str
    session_id: str
    payment_intent_id: str
    email: str
    name: str
    phone: str
    created_at: datetime
    normalised: bool


class _Reader:
    """Reads one record's members, and keeps everything that is wrong with them."""

    def __init__(self, record: Mapping[str, object], *, older_forms: bool) -> None:
        self.record = record
        self.older_forms = older_forms
        self.wrong: dict[str, list[str]] = {}
        self.normalised = False

    def refuse(self, member: str, why: str) -> None:
        self.wrong.setdefault(member, []).append(why)

    def text(self, member: str, longest: int, *, within: Mapping[str, object] | None = None, path: str = "") -> str:
        """ "" where it is absent or null."""
        value = (self.record if within is None else within).get(member)
        if value is None:
            return ""
        if not isinstance(value, str) or not value.strip() or len(value) > longest:
            self.refuse(path + member, f"Expected a text of 1 to {longest} characters.")
            return ""
        return value.strip()

    def currency(self) -> str:
        value = self.record.get("currency")
        if not isinstance(value, str) or value.upper() not in CURRENCIES:
            self.refuse("currency", "Expected a currency of ISO 4217, such as EUR.")
            return ""
        if value != value.upper():
            self.older("currency", "Expected upper case.")
        return value.upper()

    def status(self) -> str:
        value = self.record.get("status")
        if isinstance(value, str) and value in STATUSES:
            return STATUSES[value]
        if isinstance(value, str) and value.lower() in {**STATUSES, **OLDER_STATUSES}:
            self.older("status", "Expected confirmed or canceled.")
            return {**STATUSES, **OLDER_STATUSES}[value.lower()]
        self.refuse(
            "status", "Expected confirmed or canceled. Refunds are read from Stripe, sales under way are not taken."
        )
        return ""

    def moment(self, member: str) -> datetime | None:
        value = self.record.get(member)
        try:
            found = datetime.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            found = None
        if found is None or found.tzinfo is None:
            self.refuse(member, "Expected a time with its offset, such as 2026-01-31T12:00:00Z.")
            return None
        return found

    def older(self, member: str, why: str) -> None:
        """A form of earlier senders: translated while those are being replaced, refused after."""
        if self.older_forms:
            self.normalised = True
        else:
            self.refuse(member, why)


def normalise(record: object, *, older_forms: bool) -> Sale:
    """The sale that `record` tells. `older_forms`: whether major units and older words are still taken.

    Raises Refused with every reason at once.
    """
    if not isinstance(record, dict):
        raise Refused({"": ["Expected an object."]})
    reader = _Reader(record, older_forms=older_forms)
    for member in sorted(set(map(str, record)) - KNOWN):
        reader.refuse(member[:80], "Unknown member.")
    external_id = reader.text("externalId", LONGEST_ID)
    if not external_id:
        reader.refuse("externalId", "Is needed.")
    texts = {member: reader.text(member, longest) for member, longest in TEXTS.items()}
    currency, status, created_at = reader.currency(), reader.status(), reader.moment("createdAt")
    customer = _customer(reader)
    read = _amount_reader(reader, currency)
    amounts = {name: amount for name in AMOUNTS if (amount := read(name, record.get(name))) is not None}
    lines = _lines(reader, read)
    if "total" not in amounts and "total" not in reader.wrong:
        reader.refuse("total", "Is needed.")
    whole = {} if reader.wrong else _added_up(reader, amounts, lines)
    if reader.wrong or created_at is None:
        raise Refused(reader.wrong)
    return Sale(
        external_id=external_id,
        status=status,
        currency=currency,
        amounts=whole,
        stated=frozenset(amounts),
        lines=lines,
        order_number=texts["orderNumber"],
        session_id=texts["sessionId"],
        payment_intent_id=texts["paymentIntentId"],
        created_at=created_at,
        normalised=reader.normalised,
        **customer,
    )


def _customer(reader: _Reader) -> dict[str, str]:
    value = reader.record.get("customer")
    if value is None:
        return dict.fromkeys(CUSTOMER, "")
    if not isinstance(value, dict) or set(value) - set(CUSTOMER):
        reader.refuse("customer", "Expected an object of email, name and phone.")
        return dict.fromkeys(CUSTOMER, "")
    found = {name: reader.text(name, longest, within=value, path="customer.") for name, longest in CUSTOMER.items()}
    if found["email"] and not _EMAIL.match(found["email"]):
        reader.refuse("customer.email", "Expected an e-mail address.")
    return found


def _amount_reader(reader: _Reader, currency: str) -> Callable[[str, object], int | None]:
    """Reads amounts of one record, all in the unit that it is written in; None where there is none or it is refused.

    `unit` decides. Without it integers are minor units, and numbers with decimals are major ones; a record that has
    both, or a whole number written as a text or a float, could mean either.
    """
    unit = reader.record.get("unit")
    if unit not in (None, "minor", "major"):
        reader.refuse("unit", "Expected minor or major.")
        return lambda member, value: None
    kinds = set()

    def read(member: str, value: object) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            reader.refuse(member, "Expected an amount.")
            return None
        written = repr(value) if isinstance(value, float) else str(value)
        kind = "minor" if isinstance(value, int) else "major" if _POINT.match(written) else ""
        if isinstance(value, float) and written.endswith(".0"):
            kind = ""  # what a program makes of a whole number in either unit
        meant = unit or kind
        kinds.add(meant)
        if not meant or len(kinds) > 1:
            reader.refuse(member, "Could be minor or major units: name the unit.")
            return None
        try:
            return _minor(reader, member, written, meant=meant, plain=isinstance(value, int), currency=currency)
        except MoneyError as error:
            reader.refuse(member, error.detail)
            return None

    return read


def _minor(reader: _Reader, member: str, written: str, *, meant: str, plain: bool, currency: str) -> int | None:
    """Raises MoneyError. `written` is the number's text; `plain`: it was an integer."""
    if written.startswith("-"):
        reader.refuse(member, "Is negative.")
        return None
    if meant == "minor":
        if not _DIGITS.match(written) or int(written) > LARGEST:
            reader.refuse(member, "Minor units are whole numbers.")
            return None
        if not plain:
            reader.older(member, "Expected an integer in minor units.")
        return int(written)
    reader.older(member, "Expected an integer in minor units.")
    # A float has lost its zeros, and one more than the currency has is no amount at all.
    return to_minor(written.removesuffix(".0"), currency) if currency else None


def _lines(reader: _Reader, read: Callable[[str, object], int | None]) -> tuple[SaleLine, ...]:
    value = reader.record.get("lines")
    if value is None:
        return ()
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_LINES:
        reader.refuse("lines", f"Expected 1 to {MOST_LINES} lines.")
        return ()
    found = []
    for at, line in enumerate(value):
        path = f"lines[{at}]"
        if not isinstance(line, dict) or set(line) != {"sku", "quantity", "unitAmount"}:
            reader.refuse(path, "Expected sku, quantity and unitAmount.")
            continue
        quantity = line["quantity"]
        if isinstance(quantity, bool) or not isinstance(quantity, int) or not 1 <= quantity <= MOST_UNITS:
            reader.refuse(f"{path}.quantity", f"Expected 1 to {MOST_UNITS}.")
            continue
        sku = reader.text("sku", LONGEST_SKU, within=line, path=f"{path}.")
        amount = read(f"{path}.unitAmount", line["unitAmount"])
        if sku and amount is not None:
            found.append(SaleLine(sku, quantity, amount))
        elif not sku and f"{path}.sku" not in reader.wrong:
            reader.refuse(f"{path}.sku", "Is needed.")
        elif amount is None and f"{path}.unitAmount" not in reader.wrong:
            reader.refuse(f"{path}.unitAmount", "Is needed.")
    return tuple(found)


def _added_up(reader: _Reader, amounts: Mapping[str, int], lines: tuple[SaleLine, ...]) -> dict[str, int]:
    """All six, where they add up as an order's do: total = subtotal − discount + shipping + tax + deposit."""
    whole = {name: amounts.get(name, 0) for name in AMOUNTS}
    beside = whole["shipping"] + whole["tax"] + whole["deposit"] - whole["discount"]
    of_lines = sum(line.quantity * line.unit_amount for line in lines)
    if "subtotal" not in amounts:
        whole["subtotal"] = of_lines if lines else whole["total"] - beside
    if lines and of_lines != whole["subtotal"]:
        reader.refuse("subtotal", f"The lines come to {of_lines}, not to {whole['subtotal']}, in minor units.")
    if whole["subtotal"] < 0 or whole["subtotal"] + beside != whole["total"]:
        reader.refuse("total", "Is not subtotal − discount + shipping + tax + deposit.")
    if whole["discount"] > whole["subtotal"]:
        reader.refuse("discount", "Is more than the subtotal.")
    if max(whole.values()) > LARGEST:
        reader.refuse("total", "Is out of range.")
    return whole
