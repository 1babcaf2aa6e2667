"""A task is one shop's or the platform's; run by Celery's own tracer, as in a worker. With a broker: tests/config."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from celery import signature
from django.db import transaction

from tenants.context import bind_shop, current_shop, load_shop
from tenants.errors import ShopConflict, ShopRequired
from tests.factories.tenants import ShopFactory
from tests.tenants.shop_tasks import look_around, look_at_all

pytestmark = pytest.mark.django_db

NO_SHOP: list[Any] = [{}, {"shop_id": ""}, {"shop_id": None}, {"shop_id": 7}, {"shop": "acme"}]


def found(task: Any, **kwargs: Any) -> dict[str, Any]:
    answer: dict[str, Any] = task.apply(kwargs=kwargs, throw=True).get()
    return answer


def test_it_runs_for_the_shop_it_was_sent_for():
    ShopFactory(id="acme")
    with structlog.contextvars.bound_contextvars(request_id="caused-by-this"):
        seen = found(look_around, shop_id="acme", note="hello")
    assert seen == {
        "note": "hello",
        "shop_id": "acme",
        "current": "acme",
        "open": True,
        "request_id": "caused-by-this",
        "logged": {"request_id": "caused-by-this", "shop_id": "acme"},
    }
    with pytest.raises(ShopRequired):
        current_shop()  # nothing of it is left behind


def test_it_has_a_request_id_whoever_sent_it():
    ShopFactory(id="acme")
    one, two = found(look_around, shop_id="acme"), found(look_around, shop_id="acme")
    assert len(one["request_id"]) == 32
    assert one["logged"]["request_id"] == one["request_id"] != two["request_id"]


def test_a_closed_shop_still_settles():
    ShopFactory(id="acme", status="closed")
    assert found(look_around, shop_id="acme")["open"] is False


@pytest.mark.parametrize("kwargs", NO_SHOP)
def test_it_refuses_to_run_without_a_shop(kwargs: dict[str, Any]):
    with pytest.raises(ShopRequired):
        look_around.apply(kwargs=kwargs, throw=True)


def test_it_refuses_to_run_for_a_shop_that_is_not_there():
    with pytest.raises(ShopRequired, match="nobody"):
        look_around.apply(kwargs={"shop_id": "nobody"}, throw=True)


@pytest.mark.parametrize("kwargs", NO_SHOP)
def test_it_refuses_to_be_sent_without_a_shop(kwargs: dict[str, Any]):
    """However it is sent; after a commit it would be too late to say so."""
    for send in (
        lambda: look_around.delay(**kwargs),
        lambda: look_around.apply_async(kwargs=kwargs),
        lambda: look_around.apply_async((), kwargs, countdown=5),
        lambda: signature(look_around.name, kwargs=kwargs).apply_async(),
        lambda: look_around.delay_on_commit(**kwargs),
        lambda: look_around.apply_async_on_commit(kwargs=kwargs),
        lambda: look_around.apply_async_on_commit((), kwargs),
    ):
        with transaction.atomic(), pytest.raises(ShopRequired, match=r"tests\.look_around works for one shop"):
            send()
    with pytest.raises(ShopRequired):
        look_around.delay("acme")  # named by position


def test_work_for_one_shop_sends_nothing_for_another():
    ShopFactory(id="acme")
    ShopFactory(id="birch")
    with bind_shop(load_shop("acme")), pytest.raises(ShopConflict, match="for birch was sent from work for acme"):
        look_around.delay_on_commit(shop_id="birch")


def test_the_platforms_work_has_no_shop():
    ShopFactory(id="acme")
    with bind_shop(load_shop("acme")):
        seen = found(look_at_all)
    assert (seen["current"], seen["shops"], seen["logged"]["shop_id"]) == ("", 1, None)
    assert len(seen["logged"]["request_id"]) == 32
