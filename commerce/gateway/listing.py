"""Lists of an account's objects, page by page: events that were missed; sessions, charges, refunds to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

import stripe
from django.conf import settings

from commerce.gateway.client import StripeAccess, _call, _options, platform_scope
from tenants.metrics import NO_SHOP
from tenants.storable import storable

PAGE: Final = 100
"""Stripe's most for one page of a list."""


@dataclass(frozen=True, slots=True)
class Page:
    """Objects as Stripe shows them, newest first. `last` is where the next page begins, empty after the last one."""

    objects: tuple[Mapping[str, Any], ...]
    last: str


Send = Callable[[stripe.StripeClient, Any, Any], Any]

LISTS: Final[Mapping[str, Send]] = {
    "events": lambda client, params, options: client.v1.events.list(params, options),
    "checkout.sessions": lambda client, params, options: client.v1.checkout.sessions.list(params, options),
    "charges": lambda client, params, options: client.v1.charges.list(params, options),
    "refunds": lambda client, params, options: client.v1.refunds.list(params, options),
}


def platform_access() -> StripeAccess:
    """The platform's own account, for work that is no one shop's."""
    return StripeAccess(scope=platform_scope(), shop_id=NO_SHOP, secret_key=settings.STRIPE_SECRET_KEY, connected="")


def read_page(access: StripeAccess, of: str, *, since: datetime, until: datetime, after: str = "") -> Page:
    """One page of what was created in `[since, until)`, after the object `after`. Raises StripeFailure.

    Stripe keeps events for 30 days; an older `since` finds no more than that.
    """
    params: dict[str, Any] = {
        "limit": PAGE,
        "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())},
    }
    if after:
        params["starting_after"] = after

    def send(client: stripe.StripeClient) -> Page:
        found = LISTS[of](client, cast("Any", params), cast("Any", _options(access)))
        objects = tuple(storable(row.to_dict(for_json=True)) for row in found.data)
        return Page(objects, str(objects[-1]["id"]) if objects and found.has_more else "")

    return _call(access, f"{of}.list", send)


def read_all(access: StripeAccess, of: str, *, since: datetime, until: datetime) -> Iterator[Mapping[str, Any]]:
    """Everything that was created in `[since, until)`, newest first. Raises StripeFailure."""
    after = ""
    while True:
        page = read_page(access, of, since=since, until=until, after=after)
        yield from page.objects
        if not (after := page.last):
            return
