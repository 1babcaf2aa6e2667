"""What is asked of Stripe about subscriptions that are there: changed, ended, and what a change would cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import stripe

from commerce.gateway.client import StripeAccess, _call, _options
from commerce.money import from_stripe_amount
from tenants.storable import storable


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """One line of the invoice that would be. `amount` in our minor units, negative for what is given back."""

    description: str
    amount: int
    proration: bool


@dataclass(frozen=True, slots=True)
class InvoicePreview:
    """What would be invoiced. Amounts in our minor units of `currency` (ISO 4217, upper case)."""

    currency: str
    due: int
    lines: tuple[PreviewLine, ...]

    @property
    def prorated(self) -> int:
        """What the change itself costs, or gives back where it is negative."""
        return sum(line.amount for line in self.lines if line.proration)


def update_subscription(access: StripeAccess, subscription_id: str, *, params: Mapping[str, Any], key: str) -> None:
    """Sends stored parameters under their stored key. Raises StripeFailure.

    The answer isn't for use: under a key that was used before it is as old as the first one.
    """
    _call(
        access,
        "subscriptions.update",
        lambda client: client.v1.subscriptions.update(
            subscription_id, cast("Any", dict(params)), cast("Any", _options(access, key))
        ),
    )


def end_subscription(access: StripeAccess, subscription_id: str, *, params: Mapping[str, Any], key: str) -> None:
    """Ends it at once, as `update_subscription`. Stripe keeps no keys for DELETE: a second one is refused, since what
    has ended can't end.
    """
    _call(
        access,
        "subscriptions.cancel",
        lambda client: client.v1.subscriptions.cancel(
            subscription_id, cast("Any", dict(params)), cast("Any", _options(access, key))
        ),
    )


def preview_invoice(access: StripeAccess, *, params: Mapping[str, Any]) -> InvoicePreview:
    """What `params` would come to; nothing is changed. Raises StripeFailure. Source: Stripe, Create a preview."""

    def send(client: stripe.StripeClient) -> InvoicePreview:
        found = client.v1.invoices.create_preview(cast("Any", dict(params)), cast("Any", _options(access)))
        return preview_facts(storable(found.to_dict(for_json=True)))

    return _call(access, "invoices.create_preview", send)


def preview_facts(plain: Mapping[str, Any]) -> InvoicePreview:
    currency = str(plain["currency"]).upper()
    lines = (plain.get("lines") or {}).get("data") or ()
    return InvoicePreview(
        currency=currency,
        due=_signed(int(plain.get("amount_due") or 0), currency),
        lines=tuple(
            PreviewLine(
                description=str(line.get("description") or ""),
                amount=_signed(int(line.get("amount") or 0), currency),
                proration=_is_proration(line),
            )
            for line in lines
        ),
    )


def _is_proration(line: Mapping[str, Any]) -> bool:
    """Since API 2025-03-31.basil a line says what it is of inside `parent`."""
    parent = line.get("parent") or {}
    details = (parent.get(f"{kind}_details") or {} for kind in ("subscription_item", "invoice_item"))
    return any(bool(detail.get("proration")) for detail in details)


def _signed(amount: int, currency: str) -> int:
    size = from_stripe_amount(abs(amount), currency) if amount else 0
    return -size if amount < 0 else size
