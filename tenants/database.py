"""Whose rows a statement may see, by PostgreSQL's own row-level security. A forgotten filter finds nothing (T9).

Each entry point names its scope once, and statements carry it with them:
`as_shop(shop_id)`   role `holdfast_web`: rows of that shop alone;
`as_system()`        role `holdfast_system`: the platform's work, which spans shops or comes before any is known;
none                 the login role's own rights: none at all for the application's login, everything for the owner,
                     who migrates (docs/configuration.md, "Database roles").

A scope is never session state. The first statement of every transaction carries `set_config(…, is_local)` in the same
message, and so does a statement that runs alone, which is a transaction of its own: no round trip of its own, nothing
left behind on a connection, whatever pooler hands it out next.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from functools import lru_cache, wraps
from typing import Final, ParamSpec, TypeVar

from django.db import transaction

from tenants.shop_id import SHOP_ID_FORM

P = ParamSpec("P")
T = TypeVar("T")

WEB_ROLE: Final = "holdfast_web"
SYSTEM_ROLE: Final = "holdfast_system"
SHOP_SETTING: Final = "holdfast.shop"


def _settings(role: str, shop_id: str = "") -> str:
    """The statement that sets a scope for the current transaction. Literals: what follows it has the parameters."""
    return f"SELECT set_config('role','{role}',true),set_config('{SHOP_SETTING}','{shop_id}',true);"


@lru_cache(maxsize=4096)
def scope_of_shop(shop_id: str) -> str:
    """What `current_scope` is inside `as_shop(shop_id)`. Raises ValueError for what is no shop's id."""
    if not re.fullmatch(SHOP_ID_FORM, shop_id):
        raise ValueError(f"{shop_id[:80]!r} is no shop's id.")
    return _settings(WEB_ROLE, shop_id)


NO_SCOPE: Final = _settings("none")
SYSTEM: Final = _settings(SYSTEM_ROLE)
current_scope: ContextVar[str] = ContextVar("holdfast_database_scope", default=NO_SCOPE)


def begin_scope(shop_id: str | None) -> Token[str]:
    """From here on statements are of this shop's scope, or of the platform's for None, until `end_scope`.

    Raises ValueError for what is no shop's id, RuntimeError inside the scope of another shop: work for one never turns
    into work for another.
    """
    if shop_id is None:
        return current_scope.set(SYSTEM)
    wanted, around = scope_of_shop(shop_id), current_scope.get()
    if around not in {wanted, NO_SCOPE, SYSTEM}:
        raise RuntimeError(f"Work for another shop is under way: it can't turn to {shop_id}.")
    return current_scope.set(wanted)


def end_scope(begun: Token[str]) -> None:
    current_scope.reset(begun)


@contextmanager
def as_shop(shop_id: str) -> Iterator[None]:
    """Statements in the block see rows of this shop alone. Raises as `begin_scope` does."""
    begun = begin_scope(shop_id)
    try:
        yield
    finally:
        end_scope(begun)


@contextmanager
def as_system() -> Iterator[None]:
    """Statements in the block see every shop's rows. For the platform's own entry points, which say so by this."""
    begun = begin_scope(None)
    try:
        yield
    finally:
        end_scope(begun)


@contextmanager
def shop_tx(shop_id: str) -> Iterator[None]:
    """A durable transaction that sees rows of this shop alone, whoever calls: staff and jobs are lowered to it."""
    with as_shop(shop_id), transaction.atomic(durable=True):
        yield


def in_shop_tx(verb: Callable[P, T]) -> Callable[P, T]:
    """Runs a verb that takes `shop_id` as a keyword in `shop_tx` of that shop."""

    @wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with shop_tx(str(kwargs["shop_id"])):
            return verb(*args, **kwargs)

    return run
