"""What rentals need without anybody asking: days for what is overdue, and the days of what was canceled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db.models import F, Q
from django.utils import timezone

from commerce.orders.locks import order_tx
from commerce.rentals.calling_off import free_canceled
from commerce.rentals.cases import RentalCommand, open_case
from commerce.rentals.models import Rental, RentalEvent
from commerce.rentals.overdue import follow_overdue_within
from commerce.rentals.periods import zone_today
from inventory.errors import InventoryBusy
from tenants.audit import Actor
from tenants.context import load_shop
from tenants.database import as_system
from tenants.models import Shop

log = structlog.get_logger(__name__)

CARETAKER: Final = Actor("system", "rentals")
AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Looked:
    """What a run did: rentals whose overdue units were followed, canceled ones whose days were freed, and failures."""

    followed: int = 0
    freed: int = 0
    failed: int = 0


def look_after(*, now: datetime | None = None, limit: int = AT_ONCE) -> Looked:
    """One run over all shops, each rental in a transaction of its own under its own shop. What is left is the next
    run's. To be called under the system's scope, outside any transaction.
    """
    now = now or timezone.now()
    followed = freed = failed = 0
    for shop_id, rental_id in _canceled(limit):
        done = _try(shop_id, rental_id, cancel=True)
        freed, failed = freed + done, failed + (not done)
    for shop_id, rental_id in _overdue(now, limit):
        done = _try(shop_id, rental_id, cancel=False)
        followed, failed = followed + done, failed + (not done)
    return Looked(followed, freed, failed)


def follow_overdue(*, shop_id: str, rental_id: UUID) -> None:
    """Keeps the days of one rental's overdue units. Raises InventoryBusy."""
    shop = load_shop(shop_id)
    with order_tx(shop_id):
        command = RentalCommand(rental_id=rental_id, action=RentalEvent.Action.RETURN, key="")
        case = open_case(shop=shop, command=command, acting=CARETAKER)
        follow_overdue_within(case)
        case.rental.followed_on = case.today  # also where nothing is late any more: not before tomorrow again
        case.rental.save(update_fields=["endangered", "followed_on"])


def _try(shop_id: str, rental_id: UUID, *, cancel: bool) -> bool:
    try:
        if cancel:
            free_canceled(shop=load_shop(shop_id), rental_id=rental_id, acting=CARETAKER)
        else:
            follow_overdue(shop_id=shop_id, rental_id=rental_id)
    except InventoryBusy as busy:
        log.warning("rental_left_for_later", rental=str(rental_id), shop_id=shop_id, error=str(busy))
        return False
    except Exception:
        # One rental that can't be looked after keeps nobody else waiting; it stays due, and is told each time.
        log.exception("rental_not_looked_after", rental=str(rental_id), shop_id=shop_id)
        return False
    return True


def _canceled(limit: int) -> list[tuple[str, UUID]]:
    with as_system():
        rows = Rental.objects.filter(frees_days=True).order_by("created_at")
        return list(rows.values_list("shop_id", "pk")[:limit])


def _overdue(now: datetime, limit: int) -> list[tuple[str, UUID]]:
    """Shop by shop, as each has its own midnight."""
    found: list[tuple[str, UUID]] = []
    with as_system():
        latest = now.date() + timedelta(days=1)
        shops = Shop.objects.filter(pk__in=Rental.objects.filter(next_due_on__lt=latest).values("shop_id"))
        for shop in shops.select_related("settings"):
            today = zone_today(shop.settings.time_zone)
            rows = Rental.objects.for_shop(shop.pk).filter(next_due_on__lt=today)
            due = rows.filter(Q(followed_on__isnull=True) | Q(followed_on__lt=today))
            due = due.order_by(F("followed_on").asc(nulls_first=True))
            found += due.values_list("shop_id", "pk")[: limit - len(found)]
            if len(found) >= limit:
                break
    return found
