"""The banner of the emergency bypass, on every page of the back office."""

from __future__ import annotations

from typing import Any

from django import template

from tenants.bypass import unchecked_shops
from tenants.staff import staff_scope

register = template.Library()


@register.simple_tag(takes_context=True)
def shops_without_checks(context: dict[str, Any]) -> list[str]:
    """Names of the reader's shops that sell without checking stock. One query; none for strangers."""
    request = context.get("request")
    if request is None or not request.user.is_staff:
        return []
    return unchecked_shops(staff_scope(request.user))
