"""Who may end a hold. Inventory knows no checkout: it declares what it asks, and the setting INVENTORY_RELEASE_GUARD
names the class that answers. Every give-back passes here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Protocol, runtime_checkable
from uuid import UUID

from django.conf import settings
from django.db.models import Model
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


@dataclass(frozen=True, slots=True)
class HoldStory:
    """What stands behind a hold, for staff. `rows` are others' rows with pages of their own (order, checkout, cart),
    `session` the payment provider's id and `session_url` its page there, `then` what happens when the hold's time is
    up, in a sentence, and `latest` the moment that it can't be extended beyond.
    """

    rows: tuple[Model, ...]
    session: str
    session_url: str | None
    then: str
    latest: datetime | None


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

    def tell(self, *, hold_ids: Sequence[UUID]) -> Mapping[UUID, HoldStory]:
        """What stands behind these active holds, for those that have something behind them; of any shop. Rows are the
        shop's of their hold. Asks nothing over the network, and the database once at most.
        """


@cache
def release_guard() -> ReleaseGuard:
    """The guard that the setting names. Raises ImportError, or TypeError when it doesn't keep the protocol."""
    guard = import_string(settings.INVENTORY_RELEASE_GUARD)()
    if not isinstance(guard, ReleaseGuard):
        raise TypeError(f"{settings.INVENTORY_RELEASE_GUARD} doesn't implement ReleaseGuard.")
    return guard
