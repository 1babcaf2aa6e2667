"""Session facts to judge, without a stand-in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from commerce.gateway.sessions import SessionFacts

FACTS = SessionFacts(
    id="cs_test_1", status="open", payment_status="unpaid", url="", client_secret="", currency="EUR", total=2500,
    discount=0, shipping=0, tax=0, expires_at=datetime(2026, 1, 1, tzinfo=UTC), reference="", metadata={}, intent_id="",
    intent_status="", charge_id="", customer_id="", method_id="", email="", name="", phone="", billing_address=None,
    shipping_address=None,
)  # fmt: skip


def facts_of(**changes: Any) -> SessionFacts:
    return replace(FACTS, **changes)
