"""What staff may read of a payload."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from tests.webhooks.deliver import event
from tests.webhooks.test_dead_letters import COMPLETED, paid_session
from webhooks.masking import HIDDEN, masked, masked_text

H = HIDDEN


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        # Persons
        ({"email": "ada@example.test"}, {"email": H}),
        ({"customer_email": "ada@example.test", "receipt_email": None}, {"customer_email": H, "receipt_email": None}),
        (
            {"phone": "+44 20 7946 0000", "name": "Ada", "business_name": "Ada Ltd"},
            {"phone": H, "name": H, "business_name": H},
        ),
        (
            {"address": {"line1": "1 High St", "line2": None, "city": "Bath", "postal_code": "BA1", "country": "GB"}},
            {"address": {"line1": H, "line2": None, "city": H, "postal_code": H, "country": "GB"}},
        ),
        (
            {
                "customer_details": {
                    "name": "Ada",
                    "tax_exempt": "none",
                    "tax_ids": [{"type": "gb_vat", "value": "123"}],
                }
            },
            {"customer_details": {"name": H, "tax_exempt": "none", "tax_ids": [{"type": "gb_vat", "value": H}]}},
        ),
        (
            {
                "collected_information": {
                    "shipping_details": {"name": "Ada", "address": {"country": "GB", "city": "Bath"}}
                }
            },
            {"collected_information": {"shipping_details": {"name": H, "address": {"country": "GB", "city": H}}}},
        ),
        (
            {"custom_fields": [{"key": "engraving", "text": {"value": "For Ada"}}]},
            {"custom_fields": [{"key": H, "text": {"value": H}}]},
        ),
        ({"evidence": {"customer_purchase_ip": "10.0.0.1"}}, {"evidence": {"customer_purchase_ip": H}}),
        # Cards and accounts
        (
            {
                "payment_method_details": {
                    "type": "card",
                    "card": {
                        "brand": "visa",
                        "last4": "4242",
                        "exp_month": 12,
                        "exp_year": 2030,
                        "fingerprint": "Xt5EWLLDS7FJjR1c",
                        "funding": "credit",
                        "country": "US",
                    },
                }
            },
            {
                "payment_method_details": {
                    "type": "card",
                    "card": {
                        "brand": "visa",
                        "last4": H,
                        "exp_month": H,
                        "exp_year": H,
                        "fingerprint": H,
                        "funding": "credit",
                        "country": "US",
                    },
                }
            },
        ),
        ({"card": {"last4": "4242", "dynamic_last4": "1"}}, {"card": {"last4": H, "dynamic_last4": H}}),
        ({"sepa_debit": {"iban": "DE89370400440532013000", "bic": "X"}}, {"sepa_debit": {"iban": H, "bic": H}}),
        # Secrets
        ({"client_secret": "pi_1_secret_abc"}, {"client_secret": H}),
        ({"url": "https://checkout.stripe.com/c/pay/cs_1#fid"}, {"url": H}),
        ({"receipt_url": "https://pay.stripe.com/r", "invoice_pdf": "https://x"}, {"receipt_url": H, "invoice_pdf": H}),
        ({"note": "sk_live_51H whsec_abc pi_1_secret_x"}, {"note": f"{H} {H} {H}"}),
        # In free text
        ({"description": "For ada@example.test, 4242 4242 4242 4242"}, {"description": f"For {H}, {H}"}),
        ({"description": "Call +44 20 7946 0000"}, {"description": f"Call {H}"}),
        # What stays
        (
            {"email": None, "name": "", "phone_number_collection": {"enabled": False}},
            {"email": None, "name": "", "phone_number_collection": {"enabled": False}},
        ),
        (
            {"success_url": "https://shop/thanks", "cancel_url": "https://shop/cart"},
            {"success_url": "https://shop/thanks", "cancel_url": "https://shop/cart"},
        ),
        (
            {
                "id": "cs_test_a1",
                "amount_total": 123456789012,
                "created": 1795221873,
                "currency": "eur",
                "livemode": False,
                "metadata": {"order_id": "01912345-6789-7123-8123-123456789012", "shop_id": "band"},
            },
            {
                "id": "cs_test_a1",
                "amount_total": 123456789012,
                "created": 1795221873,
                "currency": "eur",
                "livemode": False,
                "metadata": {"order_id": "01912345-6789-7123-8123-123456789012", "shop_id": "band"},
            },
        ),
        ([1, None, True, "2026-11-21 14:05"], [1, None, True, "2026-11-21 14:05"]),
    ],
)
def test_what_is_masked_and_what_stays(shown: Any, expected: Any) -> None:
    assert masked(shown) == expected


def test_masking_leaves_its_input_alone() -> None:
    payload = {"data": {"object": {"customer_details": {"email": "ada@example.test"}}}}
    assert masked(payload) == {"data": {"object": {"customer_details": {"email": H}}}}
    assert payload["data"]["object"]["customer_details"]["email"] == "ada@example.test"


def test_a_real_session_keeps_no_person_and_no_secret(trade: Trade, standin: StandIn) -> None:
    shown = str(masked(event(COMPLETED, paid_session(trade, standin))))
    for hidden in ("ada@example.test", "Robin", "94107", "_secret_"):
        assert hidden not in shown
    assert "'amount_total': 2500" in shown and "'shop_id': 'band'" in shown


def test_errors_are_masked_too() -> None:
    assert masked_text("IntegrityError: (ada@example.test) exists") == f"IntegrityError: ({H}) exists"
