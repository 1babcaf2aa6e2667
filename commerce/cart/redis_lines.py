"""Lines of carts in Redis: one key for every content a cart has had, never written twice.

A key is named by shop, cart and a version drawn for it, so a writer can't spoil what another has written: which version
is the cart's is decided by its row alone (commerce/cart/storage.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar
from uuid import UUID

import msgspec
import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from commerce.cart.errors import CartsUnavailable
from commerce.cart.lines import Lines

log = structlog.get_logger(__name__)
T = TypeVar("T")

# A customer waits for at most two of these per call: one try on a pooled connection, one on a new one.
SECONDS: Final = 1.0
# On top of a cart's life. A payment that fails after weeks makes a cart young again without touching its lines.
GRACE_DAYS: Final = 60
DAY: Final = 86_400


class _Document(msgspec.Struct, frozen=True):
    """Names whose lines they are once more: what was copied under another key is nobody's."""

    shop: str
    cart: UUID
    lines: Lines


def get_lines(*, shop_id: str, cart_id: UUID, version: UUID) -> Lines | None:
    """The lines of that version, kept for longer from now on; None when Redis hasn't got them, or something else.

    Raises CartsUnavailable.
    """
    key = _key(shop_id, cart_id, version)
    data = with_redis(lambda client: client.getex(key, ex=_seconds()))
    if data is None:
        return None
    try:
        found = msgspec.json.decode(data, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError):
        log.error("cart_lines_unreadable", shop_id=shop_id, cart_id=str(cart_id))
        return None
    return found.lines if (found.shop, found.cart) == (shop_id, cart_id) else None


def put_lines(*, shop_id: str, cart_id: UUID, version: UUID, lines: Lines) -> None:
    """Writes a new version. Raises CartsUnavailable; whether it was written is unknown then, and doesn't matter."""
    data = msgspec.json.encode(_Document(shop_id, cart_id, lines))
    with_redis(lambda client: client.set(_key(shop_id, cart_id, version), data, ex=_seconds()))


def drop_lines(*, shop_id: str, cart_id: UUID, version: UUID) -> None:
    """Removes a version that no row names. Never raises: what stays is found by nobody and ends with its time."""
    try:
        with_redis(lambda client: client.delete(_key(shop_id, cart_id, version)))
    except CartsUnavailable:
        log.info("cart_lines_left_behind", shop_id=shop_id, cart_id=str(cart_id))


def with_redis(work: Callable[[redis.Redis], T]) -> T:
    """`work` with the carts' Redis. Raises CartsUnavailable when that is out of reach or refuses, full for instance."""
    try:
        return work(_client(settings.REDIS_CARTS_URL))
    except (redis.RedisError, OSError) as error:
        log.warning("carts_without_redis", error=type(error).__name__)
        raise CartsUnavailable from error


@lru_cache(maxsize=4)
def _client(url: str) -> redis.Redis:
    """One pool per process. Once more on a connection that had gone stale, never a third time."""
    return redis.Redis.from_url(
        url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, retry=Retry(NoBackoff(), 1)
    )


def _seconds() -> int:
    return (int(settings.CART_ABANDONED_DAYS) + GRACE_DAYS) * DAY


def _key(shop_id: str, cart_id: UUID, version: UUID) -> str:
    return f"{settings.REDIS_KEY_PREFIX}:cart:{shop_id}:{cart_id.hex}:{version.hex}"
