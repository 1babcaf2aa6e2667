"""Who works for a shop, on the shop's page. Platform staff alone say so."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from tenants.audit import record_audit
from tenants.backoffice import TabularInline, changes_of, staff_actor
from tenants.desk_scope import scope_of
from tenants.models import Membership, Shop


class MembershipInline(TabularInline[Membership, Shop]):
    model = Membership
    # Switched off, not deleted: the trail goes on naming it.
    can_delete = False
    fields = ("user", "active")
    verbose_name_plural = "Staff of this shop"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_add_permission(request, obj) and scope_of(request).is_platform

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and scope_of(request).is_platform


def record_memberships(request: HttpRequest, formset: Any, *, reason: str) -> None:
    """One audit entry per membership that began, ended or changed hands, with whose it is (A5)."""
    added = {row.pk for row in formset.new_objects}
    for inline in formset.forms:
        changes = changes_of(inline)
        if not inline.has_changed() or not changes:
            continue
        membership: Membership = inline.instance
        record_audit(
            shop_id=membership.shop_id,
            acting=staff_actor(request),
            action=f"membership.{'added' if membership.pk in added else 'changed'}",
            object_type="membership",
            object_id=membership.user.get_username(),
            reason=reason,
            data={"changes": changes},
        )
