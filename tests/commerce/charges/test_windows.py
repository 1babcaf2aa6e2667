"""When a deposit is held: late enough to live until the end, early enough to be there at the pick-up."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from commerce.charges.windows import hold_moment

FRIDAY = date(2027, 3, 5)
VISA, DAY = timedelta(hours=114), timedelta(hours=24)


@pytest.mark.parametrize(
    ("days", "inspection", "moment"),
    [
        (1, 1, datetime(2027, 3, 4, tzinfo=UTC)),
        (2, 1, datetime(2027, 3, 4, tzinfo=UTC)),
        # Until Tuesday's beginning: four days and eighteen hours before that.
        (3, 1, datetime(2027, 3, 4, 6, tzinfo=UTC)),
        (3, 0, datetime(2027, 3, 4, tzinfo=UTC)),
        (4, 0, datetime(2027, 3, 4, 6, tzinfo=UTC)),
        (4, 1, None),
        (30, 0, None),
    ],
)
def test_from_when_on(days: int, inspection: int, moment: datetime | None) -> None:
    found = hold_moment(
        starts_on=FRIDAY, ends_on=FRIDAY + timedelta(days=days - 1), inspection_days=inspection, zone="UTC",
        window=VISA, lead=DAY,
    )  # fmt: skip
    assert found == moment


def test_by_the_shops_clocks() -> None:
    found = hold_moment(
        starts_on=FRIDAY, ends_on=FRIDAY, inspection_days=0, zone="Europe/Berlin", window=VISA, lead=DAY
    )
    assert found == datetime(2027, 3, 3, 23, tzinfo=UTC)
