"""Who may end a hold. Inventory knows no checkout: it declares what it asks, and the setting INVENTORY_RELEASE_GUARD
names the class that answers. Every give-back passes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Protocol, runtime_checkable
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string


@dataclass(frozen=True, slots=True)
class GuardReport:
    """What became of the overdue holds that checkouts own. `kept` are those whose payment is still on its way."""

    found: int = 0
    expired: int = 0
    committed: int = 0
    kept: int = 0
    failed: int = 0

    def __add__(self, other: GuardReport) -> GuardReport:
        return GuardReport(
            found=self.found + other.found,
            expired=self.expired + other.expired,
            committed=self.committed + other.committed,
            kept=self.kept + other.kept,
            failed=self.failed + other.failed,
        )


@runtime_checkable
class ReleaseGuard(Protocol):
    """Made without arguments, kept for the life of the process."""

    def refuse_finish(self, *, shop_id: str, hold_id: UUID, held_for: str) -> None:
        """Raises HoldInCheckout when a checkout owns the hold. Called inside the transaction that would end the hold,
        before the hold is locked; asks nothing over the network.
        """

    def refuse_extend(self, *, shop_id: str, hold_id: UUID, until: datetime) -> None:
        """Raises HoldInCheckout when the hold's checkout is closing, or when its session ends before `until`. Called
        inside the transaction that would extend the hold, before the hold is locked.
        """

    def reap_overdue(self, *, now: datetime, limit: int) -> GuardReport:
        """Ends up to `limit` overdue holds that checkouts own: first made unpayable, then given back, or committed when
        they were paid. Called outside any transaction, and again while it finds `limit` of them: what it has looked at
        and kept, it doesn't find again for a while.
        """

    def free_overdue(self, *, shop_id: str, hold_ids: Sequence[UUID], within_seconds: float) -> int:
        """Tries to give back these overdue holds within the time, because a customer waits for their units. Answers how
        many were given back. Called outside any transaction.
        """


@cache
def release_guard() -> ReleaseGuard:
    """The guard that the setting names. Raises ImportError, or TypeError when it doesn't keep the protocol."""
    guard = import_string(settings.INVENTORY_RELEASE_GUARD)()
    if not isinstance(guard, ReleaseGuard):
        raise TypeError(f"{settings.INVENTORY_RELEASE_GUARD} doesn't implement ReleaseGuard.")
    return guard
