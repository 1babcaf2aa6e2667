"""The audit trail: one verb, used by every operation that moves money, stock or tenancy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from django.utils import timezone

from tenants.models import AuditEntry
from tenants.postgres.writing import insert_rows


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `kind` is staff, system, api or customer."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


REAPER = Actor("system", "reaper")
RESOLVER = Actor("system", "resolver")
SETTLEMENT = Actor("system", "settlement")
CUSTOMER = Actor("customer", "storefront")


def record_audit(
    *,
    shop_id: str | None,
    acting: Actor,
    action: str,
    object_type: str,
    object_id: object,
    reason: str = "",
    data: dict[str, Any] | None = None,
) -> None:
    """Writes one entry in the caller's transaction, with the request id bound to the logger."""
    entry = AuditEntry(
        shop_id=shop_id,
        at=timezone.now(),
        actor_kind=acting.kind,
        actor_name=acting.name,
        action=action,
        object_type=object_type,
        object_id=str(object_id),
        reason=reason,
        data=data or {},
        request_id=str(structlog.contextvars.get_contextvars().get("request_id", "")),
    )
    insert_rows([entry])
