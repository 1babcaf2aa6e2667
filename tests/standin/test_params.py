"""The request check alone, without a server: what may be sent to which endpoint."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

import pytest
import stripe
from stripe._encode import _api_encode

from tests.standin.shop import line, session_params
from tests.stripe_standin.errors import ApiError
from tests.stripe_standin.forms import decode_form
from tests.stripe_standin.params import check, read_form

SESSION = "checkout.sessions.create"
NOW = int(time.time())
CARD_LATER = {"amount": 5000, "currency": "eur", "capture_method": "manual", "customer": "cus_1",
              "payment_method": "pm_1", "off_session": True, "confirm": True}  # fmt: skip

GOOD: list[tuple[str, Any]] = [
    (SESSION, session_params()),
    (SESSION, session_params(allowed_payment_method_types=["card"])),
    (SESSION, session_params(expires_at=NOW + 1800)),
    (SESSION, session_params(expires_at=NOW + 86_400)),
    (SESSION, session_params(ui_mode="elements", success_url=None, cancel_url=None, return_url="https://x.test/")),
    (SESSION, session_params(adaptive_pricing={"enabled": False}, automatic_tax={"enabled": True})),
    ("checkout.sessions.expire", {}),
    ("refunds.create", {"payment_intent": "pi_1", "amount": 100, "reason": "requested_by_customer"}),
    ("payment_intents.create", CARD_LATER),
    ("payment_intents.capture", {"amount_to_capture": 100}),
    ("customers.create", {"email": "a@example.com", "address": ""}),
    ("coupons.create", {"percent_off": 12.5, "duration": "once"}),
    ("events.list", {"delivery_success": False, "types": ["charge.refunded"], "created": {"gte": 1}, "limit": 100}),
    ("prices.create", {"currency": "eur", "unit_amount_decimal": "12.5", "product": "prod_1"}),
]
BAD: list[tuple[str, Any, set[str]]] = [
    (SESSION, session_params(ui_mode="hosted"), {"ui_mode"}),
    (SESSION, session_params(payment_method_types=["card"]), {"payment_method_types"}),
    (SESSION, session_params(line_item=[line(1)]), {"line_item"}),
    (SESSION, session_params(idempotency_key="k"), {"idempotency_key"}),
    (SESSION, session_params(stripe_account="acct_1"), {"stripe_account"}),
    (SESSION, session_params(line_items=[line(5, colour="red")]), {"line_items[0][colour]"}),
    (SESSION, session_params(metadata={"n" * 41: "x"}), {f"metadata[{'n' * 41}]"}),
    (SESSION, session_params(metadata={"n": "x" * 501}), {"metadata[n]"}),
    (SESSION, session_params(metadata={f"k{i}": "x" for i in range(51)}), {"metadata"}),
    (SESSION, session_params(expires_at=NOW + 1799), {"expires_at"}),
    (SESSION, session_params(expires_at=NOW + 86_401), {"expires_at"}),
    (SESSION, session_params(line_items=[line(550, currency="isk")]), {"line_items[0][price_data][unit_amount]"}),
    (SESSION, session_params(line_items=[line(5, currency="xxx")]), {"line_items[0][price_data][unit_amount]"}),
    (SESSION, session_params(line_items=[line(-5)]), {"line_items[0][price_data][unit_amount]"}),
    (SESSION, session_params(line_items=[line(5, price="price_1")]), {"line_items[0][price]"}),
    (SESSION, session_params(line_items=None), {"line_items"}),
    (SESSION, session_params(mode=None), {"mode"}),
    (SESSION, session_params(success_url=None), {"success_url"}),
    (SESSION, session_params(ui_mode="embedded_page"), {"success_url", "cancel_url"}),
    (SESSION, session_params(return_url="https://x.test/"), {"return_url"}),
    (SESSION, session_params(success_url="javascript:alert(1)"), {"success_url"}),
    (SESSION, session_params(cancel_url="/cart"), {"cancel_url"}),
    (SESSION, session_params(customer_email="kim"), {"customer_email"}),
    (SESSION, session_params(customer="cus_1", customer_email="a@example.com"), {"customer_email"}),
    (SESSION, session_params(discounts=[{"coupon": "a"}, {"coupon": "b"}]), {"discounts"}),
    (SESSION, session_params(client_reference_id="x" * 201), {"client_reference_id"}),
    ("refunds.create", {"payment_intent": "pi_1", "reason": "changed mind"}, {"reason"}),
    ("refunds.create", {"amount": 3}, {"payment_intent"}),
    ("refunds.create", {"charge": "ch_1", "amount": 0}, {"amount"}),
    ("payment_intents.create", {"currency": "eur"}, {"amount"}),
    ("payment_intents.create", {**CARD_LATER, "confirm": False}, {"off_session"}),
    ("payment_intents.create", {**CARD_LATER, "payment_method_types": ["card"]}, {"payment_method_types"}),
    ("customers.create", {"address": {"city": "X", "zip": "1"}}, {"address[zip]"}),
    ("coupons.create", {"duration": "once"}, {"percent_off"}),
    ("coupons.create", {"percent_off": 101}, {"percent_off"}),
    ("coupons.create", {"amount_off": 1234, "currency": "isk"}, {"amount_off"}),
    ("coupons.create", {"amount_off": 100_000_000, "currency": "eur"}, {"amount_off"}),
    ("coupons.create", {"percent_off": 10, "name": "n" * 41}, {"name"}),
    ("events.list", {"limit": 101}, {"limit"}),
]


def on_the_wire(params: Any) -> Any:
    """Through the SDK's own encoder and back: what a server gets to see."""
    return decode_form(urlencode(list(_api_encode(params))))


@pytest.mark.parametrize("wire", [False, True])
@pytest.mark.parametrize(("endpoint", "params"), GOOD)
def test_good_parameters_pass(endpoint: str, params: Any, wire: bool) -> None:
    assert check(endpoint, on_the_wire(params) if wire else params, now=NOW, wire=wire) == []


@pytest.mark.parametrize("wire", [False, True])
@pytest.mark.parametrize(("endpoint", "params", "named"), BAD)
def test_bad_parameters_are_named(endpoint: str, params: Any, named: set[str], wire: bool) -> None:
    found = check(endpoint, on_the_wire(params) if wire else params, now=NOW, wire=wire)
    assert {problem.param for problem in found} == named


@pytest.mark.parametrize(
    ("params", "named"),
    [
        (session_params(line_items=[line(5)], metadata={"order": 1}), {"metadata[order]"}),
        (session_params(automatic_tax={}), {"automatic_tax[enabled]"}),
    ],
)
def test_wrong_types_are_found_before_they_are_encoded(params: Any, named: set[str]) -> None:
    assert {problem.param for problem in check(SESSION, params, now=NOW)} == named


@pytest.mark.parametrize(
    ("endpoint", "params", "code"),
    [
        (SESSION, {"nope": "1"}, "parameter_unknown"),
        (SESSION, {"mode": "payment", "success_url": "https://x.test/"}, "parameter_missing"),
        ("refunds.create", {"payment_intent": "pi_1", "amount": "ten"}, "parameter_invalid_integer"),
        ("payment_intents.create", {"amount": "1", "currency": "eur", "payment_method_types": ["card"]},
         "payment_method_types_no_longer_supported"),
    ],
)  # fmt: skip
def test_refusals_carry_stripes_codes(endpoint: str, params: Any, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        read_form(endpoint, params, now=NOW)
    assert (caught.value.status, caught.value.code) == (400, code)


def test_forms_become_values_of_the_right_type() -> None:
    sent = on_the_wire(session_params(automatic_tax={"enabled": True}, expires_at=NOW + 3600))
    read = read_form(SESSION, sent, now=NOW)
    assert (read["automatic_tax"], read["expires_at"]) == ({"enabled": True}, NOW + 3600)
    assert read["line_items"][0]["price_data"]["unit_amount"] == 1999


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        ("a[b][0][c]=1&a[b][0][d]=&e=x", {"a": {"b": [{"c": "1", "d": ""}]}, "e": "x"}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("metadata[0]=x&metadata[1]=y", {"metadata": {"0": "x", "1": "y"}}),
        ("a[10]=k&a[2]=b", {"a": ["b", "k"]}),
        ("", {}),
    ],
)
def test_forms_are_decoded(raw: str, values: Any) -> None:
    assert decode_form(raw) == values


@pytest.mark.parametrize("raw", ["a=1&a[b]=2", "a[b]=2&a=1", "a" + "[b]" * 20 + "=1", b"a=\xff", "a=%ff"])
def test_contradicting_forms_are_refused(raw: str | bytes) -> None:
    with pytest.raises(ApiError) as caught:
        decode_form(raw)
    assert caught.value.status == 400


def test_refusals_reach_the_sdk(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(session_params(ui_mode="hosted"))
    assert (caught.value.param, caught.value.code) == ("ui_mode", "parameter_invalid")
    assert "hosted_page" in str(caught.value)
    assert client.v1.checkout.sessions.list().data == []
