"""Errors of subscribing, by the contract's codes."""

from __future__ import annotations

from tenants.errors import HoldfastError


class AlreadySubscribed(HoldfastError):
    """The customer has this plan. More of it is a change of quantity; another one on purpose takes a key of its own."""

    code = "wrong_state"

    def __init__(self) -> None:
        super().__init__("There is a subscription to this plan already.")
