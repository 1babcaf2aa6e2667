"""Records as senders write them: what can mean one thing means that, what could mean two is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commerce.currencies import CURRENCIES
from commerce.money import from_minor
from commerce.reconciliation.normalising import AMOUNTS, Refused, SaleLine, normalise


def record(**changes: Any) -> dict[str, Any]:
    told = {
        "externalId": "A-1", "status": "confirmed", "currency": "EUR", "total": 1250,
        "createdAt": "2026-01-31T12:00:00Z",
    } | changes  # fmt: skip
    return {name: value for name, value in told.items() if value is not ...}


def refused(value: object, *, older_forms: bool = True) -> dict[str, list[str]]:
    with pytest.raises(Refused) as refusal:
        normalise(value, older_forms=older_forms)
    return refusal.value.fields


def test_a_record_of_today_is_taken_as_it_is():
    sale = normalise(
        record(
            subtotal=2000, discount=1000, shipping=490, tax=10, deposit=500, total=2000, sessionId="cs_1",
            lines=[{"sku": "HB-01", "quantity": 2, "unitAmount": 1000}],
            customer={"email": "a@b.example", "name": "Ana"},
        ),
        older_forms=False,
    )  # fmt: skip
    assert sale.amounts == {
        "total": 2000, "subtotal": 2000, "tax": 10, "shipping": 490, "discount": 1000, "deposit": 500,
    }  # fmt: skip
    assert (sale.lines, sale.session_id, sale.email) == ((SaleLine("HB-01", 2, 1000),), "cs_1", "a@b.example")
    assert (sale.normalised, sale.created_at) == (False, datetime(2026, 1, 31, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("told", "total"),
    [
        ({"total": "12.50"}, 1250),
        ({"total": 12.5}, 1250),
        ({"total": "12.5"}, 1250),
        ({"total": 0.29}, 29),
        ({"total": "12.50", "unit": "major"}, 1250),
        ({"total": 12, "unit": "major"}, 1200),
        ({"total": 12.0, "unit": "major"}, 1200),
        ({"total": "1250", "unit": "minor"}, 1250),
        ({"total": "1250", "unit": "major", "currency": "JPY"}, 1250),
        ({"total": 1250.0, "unit": "major", "currency": "JPY"}, 1250),
        ({"total": "1.250", "currency": "KWD"}, 1250),
        ({"currency": "eur"}, 1250),
        ({"status": "paid"}, 1250),
        ({"status": "Completed"}, 1250),
    ],
)
def test_older_forms_are_translated_while_they_are_taken(told: dict[str, Any], total: int):
    sale = normalise(record(**told), older_forms=True)
    assert (sale.amounts["total"], sale.amounts["subtotal"], sale.normalised) == (total, total, True)
    assert refused(record(**told), older_forms=False)


@pytest.mark.parametrize(
    ("told", "member"),
    [
        ({"total": "1250"}, "total"),  # cents or euros?
        ({"total": 1250.0}, "total"),
        ({"total": "1,250.00"}, "total"),
        ({"total": "1.250,00"}, "total"),
        ({"total": "12,50"}, "total"),
        ({"total": "1 250.00"}, "total"),
        ({"total": "12.505"}, "total"),
        ({"total": 0.1 + 0.2}, "total"),
        ({"total": 1e300}, "total"),
        ({"total": 1e-7}, "total"),
        ({"total": "1e3"}, "total"),
        ({"total": "€12.50"}, "total"),
        ({"total": ""}, "total"),
        ({"total": True}, "total"),
        ({"total": None}, "total"),
        ({"total": ...}, "total"),
        ({"total": -1250}, "total"),
        ({"total": "-12.50"}, "total"),
        ({"total": [1250]}, "total"),
        ({"total": 2**63}, "total"),
        ({"total": "12.50", "currency": "JPY"}, "total"),
        ({"total": 12.5, "unit": "minor"}, "total"),
        ({"total": "12.50", "unit": "minor"}, "total"),
        ({"total": "12.50", "tax": 2}, "tax"),  # euros beside cents?
        ({"unit": "cents"}, "unit"),
        ({"currency": ...}, "currency"),
        ({"currency": None}, "currency"),
        ({"currency": "EURO"}, "currency"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": 978}, "currency"),
        ({"status": "pending"}, "status"),
        ({"status": "refunded"}, "status"),
        ({"status": 1}, "status"),
        ({"createdAt": "2026-01-31"}, "createdAt"),
        ({"createdAt": "2026-01-31T12:00:00"}, "createdAt"),
        ({"createdAt": 1769860800}, "createdAt"),
        ({"createdAt": "31.01.2026 12:00"}, "createdAt"),
        ({"externalId": ...}, "externalId"),
        ({"externalId": ""}, "externalId"),
        ({"externalId": 17}, "externalId"),
        ({"externalId": "x" * 256}, "externalId"),
        ({"subtotal": 1000}, "total"),
        ({"tax": 1251}, "total"),
        ({"discount": 1, "subtotal": 0, "total": 0}, "total"),
        ({"lines": []}, "lines"),
        ({"lines": [{"sku": "A", "quantity": 1}]}, "lines[0]"),
        ({"lines": [{"sku": "A", "quantity": 0, "unitAmount": 1}]}, "lines[0].quantity"),
        ({"lines": [{"sku": "A", "quantity": True, "unitAmount": 1}]}, "lines[0].quantity"),
        ({"lines": [{"sku": "", "quantity": 1, "unitAmount": 1}]}, "lines[0].sku"),
        ({"lines": [{"sku": "A", "quantity": 1, "unitAmount": None}]}, "lines[0].unitAmount"),
        ({"lines": [{"sku": "A", "quantity": 1, "unitAmount": 1249}]}, "total"),
        ({"lines": [{"sku": "A", "quantity": 1, "unitAmount": 1249}], "subtotal": 1250}, "subtotal"),
        ({"customer": {"email": "nobody"}}, "customer.email"),
        ({"customer": {"card": "4242"}}, "customer"),
        ({"customer": "Ana"}, "customer"),
        ({"sessionId": 5}, "sessionId"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_or_could_mean_two_things_is_refused_by_name(told: dict[str, Any], member: str):
    assert member in refused(record(**told))


@pytest.mark.parametrize("value", [None, [], "A-1", 7, {}])
def test_what_is_no_record_is_refused(value: object):
    assert refused(value)


def test_every_reason_is_told_at_once():
    assert set(refused(record(currency="EURO", status="maybe", createdAt="now", colour=1))) == {
        "currency", "status", "createdAt", "colour",
    }  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    amounts=st.fixed_dictionaries({name: st.integers(0, 10**12) for name in AMOUNTS[1:]}),
    currency=st.sampled_from(sorted(CURRENCIES)),
    data=st.data(),
)
def test_whatever_form_it_comes_in_it_is_the_same_to_the_minor_unit(
    amounts: dict[str, int], currency: str, data: st.DataObject
):
    discount = min(amounts["discount"], amounts["subtotal"])
    told = amounts | {"discount": discount}
    told["total"] = told["subtotal"] - discount + told["shipping"] + told["tax"] + told["deposit"]
    form = data.draw(st.sampled_from(["minor", "text", "major"]))
    written: dict[str, Any] = {
        "minor": lambda: told,
        "text": lambda: {name: str(amount) for name, amount in told.items()} | {"unit": "minor"},
        "major": lambda: {name: str(from_minor(amount, currency)) for name, amount in told.items()} | {"unit": "major"},
    }[form]()
    sale = normalise(json.loads(json.dumps(record(**(written | {"currency": currency})))), older_forms=True)
    assert (sale.amounts, sale.normalised) == (told, form != "minor")


@settings(deadline=None)
@given(cents=st.integers(0, 10**11))
def test_a_float_with_cents_means_what_it_shows(cents: int):
    shown = Decimal(cents).scaleb(-2)
    if cents % 100:
        sale = normalise(json.loads(json.dumps(record(total=json.loads(str(shown))))), older_forms=True)
        assert sale.amounts["total"] == cents
