"""Plans of a shop, offered from the start."""

from __future__ import annotations

from typing import Any

import factory
from factory.django import DjangoModelFactory

from commerce.models import Plan, PlanVersion
from tests.factories.tenants import ShopFactory


class PlanFactory(DjangoModelFactory):
    """A plan that is offered, without terms."""

    class Meta:
        model = Plan

    shop = factory.SubFactory(ShopFactory)
    code = factory.Sequence(lambda number: f"plan-{number}")
    names = factory.Dict({"en": "Club", "de": "Klub"})
    active = True


class PlanVersionFactory(DjangoModelFactory):
    """9.90 euros a month."""

    class Meta:
        model = PlanVersion

    plan = factory.SubFactory(PlanFactory)
    shop = factory.SelfAttribute("plan.shop")
    number = 1
    currency = "EUR"
    amount = 990
    interval = "month"


def make_plan(shop: Any, code: str, amount: int = 990, **terms: Any) -> PlanVersion:
    """A plan called `code` with one version."""
    version: PlanVersion = PlanVersionFactory(plan=PlanFactory(shop=shop, code=code), amount=amount, **terms)
    return version
