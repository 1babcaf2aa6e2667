from __future__ import annotations

import pytest

from tests.commerce.rentals.counter import Counter
from tests.fixtures.periods import monday
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import RentalTrade


@pytest.fixture
def counter(rental_trade: RentalTrade, standin: StandIn) -> Counter:
    return Counter(rental_trade, standin, monday())
