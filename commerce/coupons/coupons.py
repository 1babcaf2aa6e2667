"""Staff's hands on a coupon: ended, and offered again. What it promises is typed: commerce/admin/coupon_forms.py."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from commerce.coupons.models import Coupon
from tenants.audit import Actor, record_audit
from tenants.errors import NotFound


@transaction.atomic(durable=True)
def switch_coupon(*, shop_id: str, coupon_id: UUID, active: bool, reason: str, acting: Actor) -> bool:
    """Ends a coupon or offers it again, for checkouts that begin from now on; open ones keep theirs. Audited.

    False, and nothing written, when it is so already. Raises NotFound.
    """
    coupon = Coupon.objects.for_shop(shop_id).select_for_update(no_key=True).filter(pk=coupon_id).first()
    if coupon is None:
        raise NotFound("There is no such coupon.")
    if coupon.active == active:
        return False
    coupon.active = active
    coupon.save(update_fields=["active"])
    record_audit(
        shop_id=shop_id,
        acting=acting,
        action="coupon.resumed" if active else "coupon.ended",
        object_type="coupon",
        object_id=coupon_id,
        reason=reason,
        data={"code": coupon.code},
    )
    return True
