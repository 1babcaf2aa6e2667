"""Payloads as staff may see them: without the secrets and the persons in them (W7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

HIDDEN: Final = "•••"

# Names of members, or their endings after an underscore, whose value is a person's, a card's or a key to something.
# Source: the objects of Stripe's API 2026-10-28.endive. Too much hidden costs a look into Stripe's dashboard; too
# little can't be taken back.
_TELLING: Final = re.compile(
    r"(?:^|_)(?:email|emails|name|phone|address|addresses|dob|birth_?date|ip|iban|bic|last4|fingerprint|number|cvc|"
    r"exp_month|exp_year|cryptogram|secret|token|password|pdf|id_number|tax_ids?|user_agent|signature|cashtag|"
    r"line[12]|city|postal_code|state_province|sort_code|evidence|custom_fields)$"
    # Stripe's pages need no login; where the shop sends its customers is no secret.
    r"|(?:^|(?<!cancel)(?<!success)(?<!return)(?<!refresh)_)url$"
)
# Objects that describe a person as a whole: everything in them is hidden but what says nothing about whom.
_ABOUT_SOMEBODY: Final = frozenset(
    {
        "address", "billing", "billing_address", "billing_details", "collected_information", "custom_fields",
        "customer_address", "customer_details", "customer_shipping", "customer_tax_ids", "evidence", "individual",
        "owner", "payer_details", "payment_method_details", "shipping", "shipping_address", "shipping_details",
        "tax_ids",
    }
)  # fmt: skip
_SAYS_NOTHING: Final = frozenset({"object", "country", "type", "brand", "funding", "network", "tax_exempt", "livemode"})

# In free text, such as a description or an error.
_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_SECRET: Final = re.compile(r"\b(?:(?:sk|rk|ek|pk)_(?:live|test)_\w+|whsec_\w+)|\b\w+_secret_\w+")
_CARD_OR_PHONE: Final = re.compile(r"(?<![\w.+-])(?:\+\d(?:[ -]?\d){7,14}|\d(?:[ -]?\d){11,18})(?![\w-])")


def masked(value: Any) -> Any:
    """A JSON value as it may be shown to staff: the same shape, ids, amounts and states; persons and secrets hidden.

    Nulls, empty texts and booleans stay: that something is missing is often the reason one looks.
    """
    if isinstance(value, Mapping):
        return {name: _masked_member(str(name), member) for name, member in value.items()}
    if isinstance(value, list):
        return [masked(member) for member in value]
    return masked_text(value) if isinstance(value, str) else value


def masked_text(text: str) -> str:
    """Free text without e-mail addresses, keys, and numbers that may be cards or phones."""
    for pattern in (_EMAIL, _SECRET, _CARD_OR_PHONE):
        text = pattern.sub(HIDDEN, text)
    return text


def _masked_member(name: str, value: Any) -> Any:
    lowered = name.lower()
    if lowered in _ABOUT_SOMEBODY or _TELLING.search(lowered):
        return _hidden(value)
    return masked(value)


def _hidden(value: Any) -> Any:
    """Every leaf hidden, the shape kept."""
    if isinstance(value, Mapping):
        return {name: masked(member) if name in _SAYS_NOTHING else _hidden(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_hidden(member) for member in value]
    return value if value is None or value == "" or isinstance(value, bool) else HIDDEN
