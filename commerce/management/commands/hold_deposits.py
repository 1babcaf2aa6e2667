"""`manage.py hold_deposits`: beat does it every quarter of an hour; here for one shop, or told without doing it."""

from __future__ import annotations

from typing import Any

from commerce.management.rental_job import RentalJobCommand
from tenants.database import as_system


class Command(RentalJobCommand):
    help = "Holds deposits that are only authorised on the saved cards of rentals that are about to begin."
    job = "hold_deposits"

    @as_system()
    def handle(self, *args: Any, **options: Any) -> None:
        self.run(options)
