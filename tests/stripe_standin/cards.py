"""The test cards, and how the bank behind each one behaves."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from .errors import Json


@dataclass(frozen=True, slots=True)
class Bank:
    """`declines` and `challenges` count while the customer is there; the `later` ones for off-session payments."""

    brand: str = "visa"
    declines: str | None = None
    challenges: bool = False
    declines_later: str | None = None
    challenges_later: bool = False
    refunds_pend: bool = False
    declines_after_challenge: str | None = None


BANKS = {
    "4242424242424242": Bank(),
    "4000056655665556": Bank(),
    "5555555555554444": Bank(brand="mastercard"),
    "378282246310005": Bank(brand="amex"),
    "4000000000000002": Bank(declines="generic_decline", declines_later="generic_decline"),
    "4000000000009995": Bank(declines="insufficient_funds", declines_later="insufficient_funds"),
    "4000000000000069": Bank(declines="expired_card", declines_later="expired_card"),
    "4000000000000127": Bank(declines="incorrect_cvc", declines_later="incorrect_cvc"),
    "4000000000000119": Bank(declines="processing_error", declines_later="processing_error"),
    "4000000000000341": Bank(declines_later="generic_decline"),
    "4000002760003184": Bank(challenges=True, challenges_later=True),
    "4000002500003155": Bank(challenges=True),
    "4000008400001629": Bank(challenges=True, declines_after_challenge="generic_decline", challenges_later=True),
    "4000000000007726": Bank(refunds_pend=True),
}
UNKNOWN_CARD = Bank(declines="incorrect_number", declines_later="incorrect_number")

# Ready-made payment methods of the test mode, for intents that never saw a page.
NAMED_METHODS = {
    "pm_card_visa": "4242424242424242",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_amex": "378282246310005",
    "pm_card_visa_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_authenticationRequired": "4000002760003184",
    "pm_card_authenticationRequiredOnSetup": "4000002500003155",
}

# decline code -> (error code, what the customer reads)
REASONS = {
    "generic_decline": ("card_declined", "Your card was declined."),
    "insufficient_funds": ("card_declined", "Your card has insufficient funds."),
    "expired_card": ("expired_card", "Your card has expired."),
    "incorrect_cvc": ("incorrect_cvc", "Your card's security code is incorrect."),
    "processing_error": (
        "processing_error",
        "The card could not be processed. Try again a little later.",
    ),
    "incorrect_number": ("incorrect_number", "Your card number is incorrect. Use one of the test cards."),
    "authentication_required": ("authentication_required", "Your card requires authentication for this payment."),
    "authentication_failed": (
        "payment_intent_authentication_failure",
        "We could not authenticate your payment method. Try again or use another one.",
    ),
    "debit_failed": ("payment_method_provider_decline", "The bank debit could not be collected."),
}


def digits(number: str) -> str:
    return re.sub(r"[\s-]", "", number)


def bank_of(number: str) -> Bank:
    return BANKS.get(number, UNKNOWN_CARD)


def card_details(number: str) -> Json:
    """The `card` member of a payment method. The full number is kept hidden, never shown."""
    bank = bank_of(number)
    return {
        "brand": bank.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "display_brand": bank.brand,
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": hashlib.sha256(number.encode()).hexdigest()[:16],
        "funding": "credit",
        "generated_from": None,
        "last4": number[-4:],
        "networks": {"available": [bank.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }
