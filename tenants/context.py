"""The shop of the work at hand: established once at the boundary, passed on explicitly, never defaulted (T1)."""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import Any, Final

import msgspec
import structlog
from django.conf import settings
from django.db.models import F
from django.http import HttpRequest

from tenants.database import begin_scope, end_scope
from tenants.errors import ShopRequired
from tenants.models import Shop, ShopSettings
from tenants.policy import ShopPolicy, effective_policy
from tenants.postgres.kept import KeptQuery


class ShopContext(msgspec.Struct, frozen=True):
    """One shop, for one piece of work. `host` is the host asked for, `canonical_host` the shop's own; both may be empty
    outside a request. `open_for_business` is false for a closed shop, whose money in flight still settles.

    A struct, because one is made per request, in a fifth of the time that a frozen dataclass takes.
    """

    shop_id: str
    name: str
    open_for_business: bool
    policy: ShopPolicy
    request_id: str
    environment: str
    host: str
    canonical_host: str


def _variable_of_lines(name: str) -> ContextVar[Any]:
    """What structlog keeps `name` in: every request sets it, in a tenth of the time that `bind_contextvars` takes."""
    token = structlog.contextvars.bind_contextvars(**{name: None})[name]
    token.var.reset(token)
    return token.var


_current: ContextVar[ShopContext | None] = ContextVar("holdfast_shop", default=None)
request_id_of_lines = _variable_of_lines("request_id")
"""Set for the length of a request, so that every line written meanwhile has its id."""

_shop_id_of_lines = _variable_of_lines("shop_id")


def current_shop() -> ShopContext:
    """The bound shop; raises ShopRequired when none is."""
    shop = _current.get()
    if shop is None:
        raise ShopRequired("No shop has been established for this operation.")
    return shop


def shop_of(request: HttpRequest) -> ShopContext:
    """The shop that the front door found for `request`; raises ShopRequired on a host that is no shop's."""
    shop: ShopContext | None = getattr(request, "shop", None)
    if shop is None:
        raise ShopRequired("This host belongs to no shop.")
    return shop


class bind_shop:
    """Makes `shop` current for the block: its id is on every log line, and statements see no other shop's rows. None is
    the platform's own work, which sees all. Raises RuntimeError in the midst of another shop's work.
    """

    __slots__ = ("_before", "_lines_before", "_scope_before", "_shop")

    def __init__(self, shop: ShopContext | None) -> None:
        self._shop = shop

    def __enter__(self) -> None:
        shop_id = self._shop.shop_id if self._shop else None
        self._scope_before = begin_scope(shop_id)
        self._before = _current.set(self._shop)
        self._lines_before = _shop_id_of_lines.set(shop_id)

    def __exit__(self, *failure: object) -> None:
        _shop_id_of_lines.reset(self._lines_before)
        _current.reset(self._before)
        end_scope(self._scope_before)


def new_request_id() -> str:
    return os.urandom(16).hex()


def load_shop(shop_id: str, *, request_id: str = "", host: str = "") -> ShopContext:
    """Context of an existing shop, active or closed, for jobs and events. One query.

    Raises ShopRequired when there is no such shop. Entry points for new business check `open_for_business` too.
    """
    for row in _SETTINGS.rows(shop_id):
        shop = row.shop = Shop(pk=shop_id, name=vars(row)["shop_name"], status=vars(row)["shop_status"])
        return shop_context(shop, request_id=request_id or new_request_id(), host=host, canonical_host="")
    raise ShopRequired(f"There is no shop {shop_id!r}.")


_SETTINGS: Final = KeptQuery(
    lambda shop_id: ShopSettings.objects.for_shop(shop_id).annotate(
        shop_name=F("shop__name"), shop_status=F("shop__status")
    ),
    str,
)


def shop_context(shop: Shop, *, request_id: str, host: str, canonical_host: str) -> ShopContext:
    """Freezes a loaded shop, with its settings resolved. No query when `settings` is already loaded."""
    return ShopContext(
        shop_id=shop.pk,
        name=shop.name,
        open_for_business=shop.is_active,
        policy=effective_policy(shop.settings),
        request_id=request_id,
        environment=settings.ENVIRONMENT,
        host=host,
        canonical_host=canonical_host,
    )
