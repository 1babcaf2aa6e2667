"""`manage.py charge_late_fees`: beat does it every quarter of an hour; here for one shop, or told without doing it."""

from __future__ import annotations

from typing import Any

from commerce.management.rental_job import RentalJobCommand
from tenants.database import as_system


class Command(RentalJobCommand):
    help = "Collects late fees and damage beyond the deposit of rentals that are back."
    job = "charge_late_fees"

    @as_system()
    def handle(self, *args: Any, **options: Any) -> None:
        self.run(options)
