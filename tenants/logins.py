"""Failed logins and the lock that follows them. django-axes counts and locks; this reads and unlocks."""

from __future__ import annotations

import math

from axes.models import AccessAttempt
from axes.utils import reset
from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from tenants.audit import Actor, record_audit
from tenants.errors import WrongState


def seconds_locked(*, username: str | None, address: str) -> int:
    """Whole seconds until this name may be tried again from this address, at least one."""
    attempts = AccessAttempt.objects.filter(username=username, ip_address=address)
    last = attempts.aggregate(last=Max("attempt_time"))["last"]
    left = settings.AXES_COOLOFF_TIME if last is None else last + settings.AXES_COOLOFF_TIME - timezone.now()
    return max(1, math.ceil(left.total_seconds()))


@transaction.atomic
def unlock_login(*, username: str, address: str, reason: str, acting: Actor) -> None:
    """Forgets the failures of one name from one address. Raises WrongState where there are none.

    The trail names the account and not the address: it keeps for ever what the lock keeps for minutes.
    """
    if not username or not address or not reset(ip=address, username=username):
        raise WrongState("Nothing is counted against this login any more.")
    record_audit(
        shop_id=None,
        acting=acting,
        action="login.unlocked",
        object_type="login",
        object_id=username,
        reason=reason,
    )
