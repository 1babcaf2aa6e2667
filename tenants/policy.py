"""A shop's effective settings: shop → environment → default, read once per request into one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from django.conf import settings

from tenants.models import ShopSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RentalTerms:
    """Which periods a shop rents out for, in whole days, both ends of a period counted.

    `lead_days`: from today to the earliest pick-up, 0 for today. `horizon_days`: from today to the latest pick-up.
    """

    min_days: int
    max_days: int
    lead_days: int
    horizon_days: int


@dataclass(frozen=True, slots=True)
class TaxPolicy:
    """`mode`: none, automatic (Stripe computes, prices `inclusive` or not) or static (the shop's own rates, `country`
    where no address says otherwise). `code`: Stripe's tax code for products without one, may be empty.
    """

    mode: str
    inclusive: bool
    code: str
    country: str


@dataclass(frozen=True, slots=True)
class ShopPolicy:
    """Times in seconds; `drift_abs` in the currency's major unit; `drift_pct` as a share of one."""

    kind: str
    currency: str
    default_locale: str
    locales: tuple[str, ...]
    time_zone: str
    checkout_ui: str
    billing_address: str
    asks_phone: bool
    payment_note: str
    tax: TaxPolicy
    inventory_mode: str
    skip_inventory_validation: bool
    hold_ttl_seconds: int
    shortage_policy: str
    reprice_policy: str
    drift_abs: Decimal
    drift_pct: Decimal
    checkout_rate_limit_enabled: bool
    checkout_rate_limit_per_minute: int
    rental: RentalTerms
    deposit_mode: str
    saves_card: bool
    subscription_grace_days: int

    @property
    def authorises_deposits(self) -> bool:
        """Whether deposits are no part of what is charged at the checkout (K8)."""
        return self.kind == "rental" and self.deposit_mode == ShopSettings.DepositMode.AUTHORISED

    @property
    def keeps_card(self) -> bool:
        """Whether the card is kept for what may be owed later. A sale keeps none."""
        return self.authorises_deposits or (self.kind == "rental" and self.saves_card)

    @property
    def holds_stock(self) -> bool:
        """Whether a checkout holds its units while the customer pays (I11)."""
        return self.inventory_mode == "reserve_ttl" and not self.skip_inventory_validation


def _first(own: T | None, fallback: T) -> T:
    return fallback if own is None else own


def effective_policy(row: ShopSettings) -> ShopPolicy:
    """Every setting with the shop's own value, else the environment's (whose readers hold the defaults)."""
    return ShopPolicy(
        kind=row.kind,
        currency=row.currency,
        default_locale=row.default_locale,
        locales=tuple(row.locales) or (row.default_locale,),
        time_zone=row.time_zone,
        checkout_ui=row.checkout_ui,
        billing_address=row.billing_address,
        asks_phone=row.asks_phone,
        payment_note=row.payment_note,
        tax=TaxPolicy(row.tax_mode, row.tax_behavior == "inclusive", row.tax_code, row.tax_country),
        inventory_mode=_first(row.inventory_mode, settings.INVENTORY_MODE),
        skip_inventory_validation=_first(row.skip_inventory_validation, settings.SKIP_INVENTORY_VALIDATION),
        hold_ttl_seconds=_first(row.hold_ttl_seconds, settings.INVENTORY_HOLD_TTL_SECONDS),
        shortage_policy=row.shortage_policy,
        reprice_policy=_first(row.reprice_policy, settings.CHECKOUT_REPRICE_POLICY),
        drift_abs=_first(row.reprice_drift_abs, settings.CHECKOUT_REPRICE_DRIFT_ABS),
        drift_pct=_first(row.reprice_drift_pct, settings.CHECKOUT_REPRICE_DRIFT_PCT),
        checkout_rate_limit_enabled=_first(row.checkout_rate_limit_enabled, settings.CHECKOUT_RATE_LIMIT_ENABLED),
        checkout_rate_limit_per_minute=_first(
            row.checkout_rate_limit_per_minute, settings.CHECKOUT_RATE_LIMIT_REQUESTS_PER_MINUTE
        ),
        rental=RentalTerms(
            min_days=_first(row.rental_min_days, settings.RENTAL_MIN_DAYS),
            max_days=_first(row.rental_max_days, settings.RENTAL_MAX_DAYS),
            lead_days=_first(row.rental_lead_days, settings.RENTAL_LEAD_DAYS),
            horizon_days=_first(row.rental_horizon_days, settings.RENTAL_HORIZON_DAYS),
        ),
        deposit_mode=row.deposit_mode,
        saves_card=row.saves_card,
        subscription_grace_days=row.subscription_grace_days,
    )
