"""`{% load money %}`: the one way in which a template shows an amount."""

from __future__ import annotations

from django import template
from django.utils.translation import get_language

from commerce.money import format_minor

register = template.Library()


@register.filter
def money(amount: int, currency: str) -> str:
    """`{{ order.total_amount|money:order.currency }}`: minor units in the active language."""
    return format_minor(amount, currency, get_language() or "en")
