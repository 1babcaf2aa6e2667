"""Variant keys: one spelling for "this SKU in this colour and size". Pure.

`SKU#color:black|size:M`: attributes sorted by name, everything that could be mistaken for the grammar percent-encoded
(RFC 3986's encoding of the UTF-8 bytes, upper-case digits). A SKU without attributes is its own key.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from tenants.errors import InvalidRequest

MAX_KEY_LENGTH: Final = 255
MAX_SKU_LENGTH: Final = 64

_RESERVED: Final = frozenset("#:|%")
# Whitespace, controls and invisible marks. By category, as `str.isprintable` changes with every new version of Unicode.
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_ESCAPE: Final = re.compile(r"((?:%[0-9A-F]{2})+)")


class MalformedVariant(InvalidRequest, ValueError):
    """A variant key, SKU or attribute that can't be read, or has more than one reading."""


def variant_key(sku: str, attributes: Mapping[str, str]) -> str:
    """The canonical key of `sku` with `attributes`, in any order given.

    Raises MalformedVariant on an empty SKU, name or value, on text that isn't valid Unicode, and when the key would be
    longer than 255 characters.
    """
    key = _encode(sku, "SKU")
    if attributes:
        key += "#" + attributes_key(attributes)
    if len(key) > MAX_KEY_LENGTH:
        raise MalformedVariant(f"A variant key has at most {MAX_KEY_LENGTH} characters.")
    return key


def attributes_key(attributes: Mapping[str, str]) -> str:
    """The attribute-only form, `color:black|size:M`; empty for no attributes. Raises MalformedVariant."""
    pairs = sorted(attributes.items())
    return "|".join(f"{_encode(name, 'attribute name')}:{_encode(value, 'attribute value')}" for name, value in pairs)


def parse_variant_key(key: str) -> tuple[str, dict[str, str]]:
    """The SKU and attributes of a canonical key. Raises MalformedVariant on any other spelling."""
    encoded_sku, separator, rest = key.partition("#")
    sku = _decode(encoded_sku, "SKU")
    attributes = parse_attributes_key(rest) if separator else {}
    if variant_key(sku, attributes) != key:
        raise MalformedVariant("The variant key is not in its canonical spelling.")
    return sku, attributes


def parse_attributes_key(key: str) -> dict[str, str]:
    """The attributes of the attribute-only form, in canonical order or not. Raises MalformedVariant."""
    attributes: dict[str, str] = {}
    for pair in key.split("|"):
        name, separator, value = pair.partition(":")
        if not separator:
            raise MalformedVariant("An attribute is written name:value.")
        decoded = _decode(name, "attribute name")
        if decoded in attributes:
            raise MalformedVariant(f"The attribute {decoded!r} is named twice.")
        attributes[decoded] = _decode(value, "attribute value")
    return attributes


def complete_key(sku: str, key: str) -> str:
    """The canonical key of `sku` from what a caller wrote beside it: nothing, the attribute-only form or a whole key.

    Raises MalformedVariant when it can't be read or names another SKU.
    """
    if not key:
        return variant_key(sku, {})
    if key == _encode(sku, "SKU") or "#" in key:
        named, _ = parse_variant_key(key)
        if named != sku:
            raise MalformedVariant(f"The variant key names the SKU {named!r}, not {sku!r}.")
        return key
    return variant_key(sku, parse_attributes_key(key))


def _encode(text: str, what: str) -> str:
    if not text:
        raise MalformedVariant(f"The {what} is empty.")
    if text.isascii() and text.replace("-", "").replace("_", "").isalnum():  # nearly every SKU there is
        return text
    try:
        return "".join(_encoded(character) for character in text)
    except UnicodeEncodeError as error:
        raise MalformedVariant(f"The {what} is not valid Unicode.") from error


def _encoded(character: str) -> str:
    encoded = character.encode()  # refuses lone surrogates
    if character in _RESERVED or unicodedata.category(character) in _INVISIBLE:
        return "".join(f"%{byte:02X}" for byte in encoded)
    return character


def _decode(text: str, what: str) -> str:
    if not text:
        raise MalformedVariant(f"The {what} is empty.")
    try:
        decoded = "".join(
            bytes.fromhex(part.replace("%", "")).decode() if part.startswith("%") else part
            for part in _ESCAPE.split(text)
        )
    except ValueError as error:
        raise MalformedVariant(f"The {what} has a malformed percent-encoding.") from error
    if _encode(decoded, what) != text:
        raise MalformedVariant(f"The {what} is not in its canonical spelling.")
    return decoded
