"""The story of one order, told in order: every app adds the moments it knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from django.utils.safestring import SafeString

from commerce.admin.display import table, to_the_second, zone_of
from tenants.display import EMPTY, duration
from tenants.models import Shop


class Step(IntEnum):
    """What comes first of two moments with one time, as those that one transaction wrote."""

    ATTEMPT = 1
    ORDER = 2
    HOLD = 3
    SESSION = 4
    EVENT = 5
    HOLD_ENDED = 6
    SETTLED = 7
    RENTAL = 8
    JOURNAL = 9
    AUDIT = 10
    MAIL = 11


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened. `what` and `details` may be safe HTML; anything else is escaped."""

    at: datetime
    step: Step
    what: str
    details: str = ""


def told(moments: Iterable[Moment], shop: Shop) -> SafeString | str:
    """The moments as a table: the shop's time, and how long after the first one."""
    ordered = sorted(moments, key=lambda moment: (moment.at, moment.step))
    if not ordered:
        return EMPTY
    began = ordered[0].at
    return table(
        [f"Time in {zone_of(shop)}", "After", "What", "Details"],
        [
            (
                to_the_second(shop, moment.at),
                f"+{duration((moment.at - began).total_seconds())}",
                moment.what,
                moment.details,
            )
            for moment in ordered
        ],
        right={1},
        whole={0, 1, 2},
    )
