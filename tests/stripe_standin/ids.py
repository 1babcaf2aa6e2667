"""Identifiers in Stripe's manner: a prefix that tells the kind, then random letters and digits."""

from __future__ import annotations

import os

ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# Which kind of object a string names; expansion and the control surface follow it.
KINDS = {
    "cs_": "checkout.session",
    "pi_": "payment_intent",
    "ch_": "charge",
    "py_": "charge",
    "txn_": "balance_transaction",
    "re_": "refund",
    "du_": "dispute",
    "sub_": "subscription",
    "in_": "invoice",
    "ii_": "invoiceitem",
    "inpay_": "invoice_payment",
    "di_": "discount",
    "cus_": "customer",
    "pm_": "payment_method",
    "prod_": "product",
    "price_": "price",
    "evt_": "event",
    "shr_": "shipping_rate",
    "txr_": "tax_rate",
}


def random_text(length: int) -> str:
    # The modulo favours a few letters slightly; nothing here needs to resist guessing.
    return bytes(ALPHABET[byte % 62] for byte in os.urandom(length)).decode()


def new_id(prefix: str, length: int = 24) -> str:
    return f"{prefix}_{random_text(length)}"


def session_id() -> str:
    return f"cs_test_a1{random_text(56)}"


def kind_of(object_id: str) -> str | None:
    return next((kind for prefix, kind in KINDS.items() if object_id.startswith(prefix)), None)
