"""How many checkouts one caller may begin in a minute, per shop (K5). Repeats of a checkout begin none."""

from __future__ import annotations

from dataclasses import dataclass, field

from checkout.metrics import RATE_LIMITED
from tenants.context import ShopContext
from tenants.errors import RateLimited
from tenants.rate_windows import rate_windows


@dataclass(slots=True)
class Turnstile:
    """Stands between the look-up of what a request may repeat and everything that a new checkout costs.

    `client` is the caller's bucket (tenants/client_ip.py). A request passes once, however often its checkout has to
    begin again because of rivals.
    """

    shop: ShopContext
    client: str
    _passed: bool = field(default=False, init=False)

    def let_in(self) -> None:
        """Counts this request. Raises RateLimited when its caller has begun as many as the shop allows."""
        policy = self.shop.policy
        if self._passed or not policy.checkout_rate_limit_enabled:
            return
        wait = rate_windows.acquire(
            f"checkout:{self.shop.shop_id}:{self.client}",
            limit=policy.checkout_rate_limit_per_minute,
            shop_label=self.shop.shop_id,
        )
        if wait:
            RATE_LIMITED.labels(self.shop.shop_id).inc()
            raise RateLimited(wait)
        self._passed = True
