"""Has a price changed since the customer saw it? Pure functions; the session uses the catalog's prices in any case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from checkout.contracts import PriceChange, SeenPrices
from checkout.repricing import Quote
from commerce.money import from_minor
from tenants.policy import ShopPolicy


@dataclass(frozen=True, slots=True)
class DriftVerdict:
    """`changes` lists what exceeds the tolerance. `refuses` is set under `enforce_and_reject` alone, `tells` unless the
    shop only logs.
    """

    changes: Sequence[PriceChange]
    refuses: bool
    tells: bool


def judge_drift(quote: Quote, seen: SeenPrices, policy: ShopPolicy) -> DriftVerdict:
    """Compares the quote with the first baseline there is: expected lines, expected subtotal, the cart's prices."""
    changes = [c for c in _differences(quote, seen) if _exceeds(c, quote.currency, policy)]
    return DriftVerdict(
        changes=changes,
        refuses=bool(changes) and policy.reprice_policy == "enforce_and_reject",
        tells=policy.reprice_policy != "log_only",
    )


def _differences(quote: Quote, seen: SeenPrices) -> list[PriceChange]:
    if seen.by_sku:
        return [
            PriceChange(line.sku, line.variant_key, seen.by_sku[line.sku], line.unit_amount)
            for line in quote.lines
            if line.sku in seen.by_sku and seen.by_sku[line.sku] != line.unit_amount
        ]
    if seen.subtotal is not None:
        if seen.subtotal == quote.subtotal:
            return []
        return [PriceChange("", "", seen.subtotal, quote.subtotal)]
    return [
        PriceChange(line.sku, line.variant_key, line.shown_amount, line.unit_amount)
        for line in quote.lines
        if line.shown_amount is not None
        and line.shown_currency == quote.currency
        and line.shown_amount != line.unit_amount
    ]


def _exceeds(change: PriceChange, currency: str, policy: ShopPolicy) -> bool:
    """Above the larger of the absolute tolerance (major unit) and the relative one."""
    difference = from_minor(abs(change.now - change.was), currency)
    return difference > max(policy.drift_abs, from_minor(change.was, currency) * policy.drift_pct)
