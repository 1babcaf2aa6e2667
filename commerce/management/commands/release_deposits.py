"""`manage.py release_deposits`: beat does it every quarter of an hour; here for one shop, or told without doing it."""

from __future__ import annotations

from typing import Any

from commerce.management.rental_job import RentalJobCommand
from tenants.database import as_system


class Command(RentalJobCommand):
    help = "Gives back the deposits of rentals that are over."
    job = "release_deposits"

    @as_system()
    def handle(self, *args: Any, **options: Any) -> None:
        self.run(options)
