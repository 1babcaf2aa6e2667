"""The demonstration's plans: offered from the start, made known to Stripe when the first customer subscribes."""

from __future__ import annotations

from django.db import transaction

from commerce.demo.assortment import DemoShop
from commerce.models import Plan
from commerce.plans.plans import TypedTerms, set_terms_within


def seed_plans(demo: DemoShop) -> int:
    """Adds what is missing; how many plans that was. Staff may have given the others new terms since."""
    created = 0
    for position, wanted in enumerate(demo.plans):
        with transaction.atomic():
            plan, made = Plan.objects.get_or_create(
                shop_id=demo.id,
                code=wanted.code,
                defaults={
                    "names": dict(wanted.names),
                    "descriptions": dict(wanted.descriptions),
                    "active": True,
                    "position": position,
                },
            )
            interval, count = wanted.every
            if made:
                terms = TypedTerms(demo.currency, wanted.amount, interval, count, wanted.trial_days)
                set_terms_within(plan=plan, terms=terms)
        created += int(made)
    return created
