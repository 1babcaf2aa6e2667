"""The two kinds of Celery task: one shop's, or the platform's. There is no third (tests/house/tasks.py)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from celery.contrib.django.task import DjangoTask

from tenants.context import bind_shop, current_shop, load_shop, new_request_id
from tenants.database import as_system
from tenants.errors import ShopConflict, ShopRequired

if TYPE_CHECKING:
    from celery.result import AsyncResult


class SystemTask(DjangoTask[..., Any]):
    """The platform's work: it finds what is due for every shop, and does each part for the shop it belongs to.

    No shop is bound while it runs, whoever sent it, and its statements see every shop's rows.
    """

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with _one_request_id(), bind_shop(None):
            return self.run(*args, **kwargs)


class ShopTask(DjangoTask[..., Any]):
    """Work for one shop, named by the keyword `shop_id`. While it runs that shop is `current_shop()`.

    Sending and running raise ShopRequired without a shop (running also for one that doesn't exist), and sending raises
    ShopConflict from the midst of another shop's work. A closed shop is let in: its money in flight still settles.
    """

    abstract = True

    def apply_async(
        self, args: tuple[Any, ...] | None = None, kwargs: dict[str, Any] | None = None, *more: Any, **options: Any
    ) -> AsyncResult[Any]:
        self._shop_to_send_for(kwargs or {})
        return super().apply_async(args, kwargs, *more, **options)

    # Both answer None, whatever the stubs say of their base. Asked now: after the commit nobody would hear of it.
    def delay_on_commit(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        self._shop_to_send_for(kwargs)
        super().delay_on_commit(*args, **kwargs)

    def apply_async_on_commit(  # type: ignore[override]
        self, args: tuple[Any, ...] | None = None, kwargs: dict[str, Any] | None = None, *more: Any, **options: Any
    ) -> None:
        self._shop_to_send_for(kwargs or {})
        super().apply_async_on_commit(args, kwargs, *more, **options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        shop_id = self._named_shop(kwargs)
        with _one_request_id() as request_id:
            with as_system():  # whether there is such a shop is the platform's to know
                shop = load_shop(shop_id, request_id=request_id)
            with bind_shop(shop):
                return self.run(*args, **kwargs)

    def _named_shop(self, kwargs: dict[str, Any]) -> str:
        shop_id = kwargs.get("shop_id")
        if not shop_id or not isinstance(shop_id, str):
            raise ShopRequired(f"{self.name} works for one shop, named by shop_id.")
        return shop_id

    def _shop_to_send_for(self, kwargs: dict[str, Any]) -> None:
        shop_id = self._named_shop(kwargs)
        try:
            at_work = current_shop().shop_id
        except ShopRequired:
            return  # the platform's work, or nobody's
        if shop_id != at_work:
            raise ShopConflict(f"{self.name} for {shop_id} was sent from work for {at_work}.")


@contextmanager
def _one_request_id() -> Iterator[str]:
    """The id of the request that caused this task, which the worker has bound; beat's tasks get one of their own."""
    request_id = str(structlog.contextvars.get_contextvars().get("request_id") or new_request_id())
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        yield request_id
