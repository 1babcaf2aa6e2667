"""The inventory authority, asked over HTTP. Standard library only: workers and tools use it without Django.

    authority = InventoryAuthorityClient()          # or url=…, token=…, timeout_ms=…
    held = authority.hold([Item("SPORT-HEADBAND", 2, {"color": "teal"})])
    authority.commit(held.hold_id)

Configured by arguments, else by INVENTORY_AUTHORITY_URL, INVENTORY_AUTHORITY_TOKEN and INVENTORY_AUTHORITY_TIMEOUT.
docs/clients.md tells the rest.
"""

from inventory.client.answers import Available, Checked, HeldLine, Item, RemoteHold, Short, Validation
from inventory.client.authority import InventoryAuthorityClient
from inventory.client.errors import (
    AuthorityBusy,
    AuthorityConflict,
    AuthorityDenied,
    AuthorityError,
    AuthorityInvalid,
    AuthorityShort,
    AuthorityTimeout,
    AuthorityUnavailable,
)

__all__ = [
    "AuthorityBusy",
    "AuthorityConflict",
    "AuthorityDenied",
    "AuthorityError",
    "AuthorityInvalid",
    "AuthorityShort",
    "AuthorityTimeout",
    "AuthorityUnavailable",
    "Available",
    "Checked",
    "HeldLine",
    "InventoryAuthorityClient",
    "Item",
    "RemoteHold",
    "Short",
    "Validation",
]
