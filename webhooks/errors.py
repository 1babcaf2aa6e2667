"""Errors of the inbox, by the contract's codes."""

from __future__ import annotations

from tenants.errors import HoldfastError


class SignatureRefused(HoldfastError):
    """Bad or missing signature, or a body that can't be read."""

    code = "webhook_signature"


class TenantUnresolvable(HoldfastError):
    """No shop could be named for an event, which is kept as a dead letter. `ask_again`: Stripe should redeliver it."""

    code = "tenant_unresolvable"

    def __init__(self, event_id: str, *, ask_again: bool) -> None:
        super().__init__("No shop could be named for this event; it is kept.")
        self.event_id, self.ask_again = event_id, ask_again
