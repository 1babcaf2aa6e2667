"""Staff's hands on a plan: new terms, offered, retired. What is typed: commerce/admin/plan_forms.py."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from commerce.plans.models import Plan, PlanVersion
from tenants.audit import Actor, record_audit
from tenants.errors import NotFound


@dataclass(frozen=True, slots=True)
class TypedTerms:
    """Terms as staff set them. `amount` in minor units of `currency`."""

    currency: str
    amount: int
    interval: str
    interval_count: int
    trial_days: int


def newest_version(plan: Plan) -> PlanVersion | None:
    return PlanVersion.objects.for_shop(plan.shop_id).filter(plan=plan).order_by("-number").first()


def set_terms_within(*, plan: Plan, terms: TypedTerms) -> PlanVersion | None:
    """A new version where the terms differ from the newest one's, else None. In the caller's transaction."""
    locked = Plan.objects.for_shop(plan.shop_id).select_for_update(no_key=True).get(pk=plan.pk)
    last = newest_version(locked)
    if last is not None and typed_terms(last) == terms:
        return None
    return PlanVersion.objects.create(
        shop_id=plan.shop_id,
        plan=locked,
        number=last.number + 1 if last else 1,
        currency=terms.currency,
        amount=terms.amount,
        interval=terms.interval,
        interval_count=terms.interval_count,
        trial_days=terms.trial_days,
    )


def typed_terms(version: PlanVersion) -> TypedTerms:
    return TypedTerms(
        currency=version.currency,
        amount=version.amount,
        interval=version.interval,
        interval_count=version.interval_count,
        trial_days=version.trial_days,
    )


@transaction.atomic(durable=True)
def switch_plan(*, shop_id: str, plan_id: UUID, active: bool, reason: str, acting: Actor) -> bool:
    """Offers a plan or retires it, for who subscribes from now on: subscribers and open payments keep theirs. Audited.

    False, and nothing written, when it is so already. Raises NotFound.
    """
    plan = Plan.objects.for_shop(shop_id).select_for_update(no_key=True).filter(pk=plan_id).first()
    if plan is None:
        raise NotFound("There is no such plan.")
    if plan.active == active:
        return False
    plan.active = active
    plan.save(update_fields=["active"])
    record_audit(
        shop_id=shop_id,
        acting=acting,
        action="plan.offered" if active else "plan.retired",
        object_type="plan",
        object_id=plan_id,
        reason=reason,
        data={"code": plan.code},
    )
    return True
