"""Variant keys (C1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.variants import (
    MalformedVariant,
    attributes_key,
    complete_key,
    parse_attributes_key,
    parse_variant_key,
    variant_key,
)
from tenants.errors import InvalidRequest

TEXT = st.text(min_size=1, max_size=12)
ATTRIBUTES = st.dictionaries(TEXT, TEXT, max_size=3)


@given(sku=TEXT, attributes=ATTRIBUTES)
def test_every_key_reads_back(sku, attributes):
    try:
        key = variant_key(sku, attributes)
    except MalformedVariant as error:
        assert "255" in error.detail, "only its length may refuse valid text"
        return
    assert parse_variant_key(key) == (sku, attributes)
    assert not any(character.isspace() or not character for character in key)
    assert complete_key(sku, key) == key
    if attributes:
        assert complete_key(sku, attributes_key(attributes)) == key


@given(st.text(max_size=40))
def test_whatever_reads_is_canonical(key):
    try:
        sku, attributes = parse_variant_key(key)
    except MalformedVariant:
        return
    assert variant_key(sku, attributes) == key


def test_the_documented_form():
    assert variant_key("SKU", {"size": "M", "color": "black"}) == "SKU#color:black|size:M"
    assert variant_key("SKU", {}) == "SKU"
    assert variant_key("50% #1", {"a|b": "c:d"}) == "50%25%20%231#a%7Cb:c%3Ad"
    assert variant_key("Mütze", {"größe": "M"}) == "Mütze#größe:M"
    assert attributes_key({"size": "M", "color": "black"}) == "color:black|size:M"
    assert parse_attributes_key("size:M|color:black") == {"size": "M", "color": "black"}


@pytest.mark.parametrize(
    ("sku", "written", "key"),
    [
        ("A", "", "A"),
        ("A", "A", "A"),
        ("A", "size:M", "A#size:M"),
        ("A", "size:M|color:red", "A#color:red|size:M"),
        ("A", "A#color:red|size:M", "A#color:red|size:M"),
        ("size:M", "size%3AM", "size%3AM"),
    ],
)
def test_what_is_written_beside_a_sku(sku, written, key):
    assert complete_key(sku, written) == key


@pytest.mark.parametrize("written", ["B#size:M", "B", "#size:M", "A#color:b|a:c", "size", "size:", ":M", "a:1|a:2"])
def test_what_contradicts_the_sku_is_refused(written):
    with pytest.raises(MalformedVariant):
        complete_key("A", written)


@pytest.mark.parametrize(
    "key",
    [
        "", "#a:b", "A#", "A#a", "A#a:", "A#:b", "A#a:b|", "A#a:b|a:c", "A#b:1|a:1", "A#a:b:c", "A#a:b#c:d",
        "A b", "A\n", "A%2", "A%41", "A%2f", "A%FF", "A%", "A\u200b", "\ud800",
    ],
)  # fmt: skip
def test_any_other_spelling_is_refused(key):
    with pytest.raises(MalformedVariant):
        parse_variant_key(key)


def test_its_error_is_a_value_error_that_answers_400():
    with pytest.raises(ValueError, match="empty") as refused:
        variant_key("", {})
    assert isinstance(refused.value, InvalidRequest)
    with pytest.raises(MalformedVariant):
        variant_key("A", {"size": ""})
    with pytest.raises(MalformedVariant):
        variant_key("A" * 256, {})
