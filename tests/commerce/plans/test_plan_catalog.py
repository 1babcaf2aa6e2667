"""What storefronts find of plans: those that are offered, on today's terms."""

from __future__ import annotations

from typing import Any

import pytest

from tests.commerce.conftest import visitor
from tests.factories.plans import PlanVersionFactory, make_plan


@pytest.mark.django_db
def test_plans_are_listed_on_todays_terms(open_shop: Any) -> None:
    shop = open_shop()
    assert visitor(shop).get("/api/catalog").json()["plans"] == []
    basic = make_plan(shop, "basic", 500)
    PlanVersionFactory(plan=basic.plan, number=2, amount=700, interval="month", interval_count=3, trial_days=14)
    make_plan(shop, "in-dollars", currency="USD")
    retired = make_plan(shop, "retired").plan
    retired.active = False
    retired.save()
    make_plan(open_shop(), "of-another-shop")
    assert visitor(shop).get("/api/catalog?locale=de").json()["plans"] == [
        {
            "planId": "basic",
            "name": "Klub",
            "description": "",
            "currency": "EUR",
            "unitAmount": 700,
            "interval": "month",
            "intervalCount": 3,
            "trialDays": 14,
        }
    ]
