"""What crosses the border of subscribing: the command that comes in and the answer that goes out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StartSubscription:
    """One request to subscribe, validated in form. `email` as it was typed."""

    plan_code: str
    email: str
    quantity: int
    coupon_code: str
    client_key: str | None
    locale: str
    success_url: str
    cancel_url: str

    @property
    def customer(self) -> str:
        """Who counts as one customer: an address in any case."""
        return self.email.strip().lower()


@dataclass(frozen=True, slots=True)
class SubscribeAnswer:
    """`created` tells a new session from a repeat; `url` and `client_secret` are empty when it can't be paid any more.

    `subtotal` and `total` are what is paid now, in minor units: nothing while a trial begins.
    """

    created: bool
    session_id: str
    url: str
    client_secret: str
    ui_mode: str
    plan_code: str
    quantity: int
    trial_days: int
    unit_amount: int
    subtotal: int
    total: int
    currency: str
    expires_at: datetime
