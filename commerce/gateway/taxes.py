"""Tax rates as objects of a Stripe account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import stripe

from commerce.gateway.client import StripeAccess, _call, _options


def create_tax_rate(access: StripeAccess, *, params: Mapping[str, Any], key: str) -> str:
    """Makes one under a stored key and answers its id, txr_…. Raises StripeFailure.

    `percentage` goes as text: a float would lose what a decimal says. Source: Stripe's API, Create a tax rate.
    """

    def send(client: stripe.StripeClient) -> str:
        rate = client.v1.tax_rates.create(cast("Any", dict(params)), cast("Any", _options(access, key)))
        return str(rate.id)

    return _call(access, "tax_rates.create", send)
