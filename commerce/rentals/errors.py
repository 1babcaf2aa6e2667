"""Errors of rentals, by the contract's codes."""

from __future__ import annotations

from typing import Any

from tenants.errors import HoldfastError, WrongState


class RentalWrongState(WrongState):
    """What was asked for isn't possible as the rental is; `status` says how it is."""

    def __init__(self, detail: str, *, status: str) -> None:
        super().__init__(detail)
        self.status = status

    def members(self) -> dict[str, Any]:
        return {"rentalStatus": self.status}


class RentalKeyConflict(HoldfastError):
    """The idempotency key was used before for something else that was done to this rental."""

    code = "idempotency_conflict"

    def __init__(self) -> None:
        super().__init__("This idempotency key was used for another request.")
