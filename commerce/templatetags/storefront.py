"""`{% load storefront %}`: what the shop's pages need beside amounts."""

from __future__ import annotations

from django import template

from commerce.catalog.images import image_url
from commerce.storefront.words import ATTRIBUTE_WORDS

register = template.Library()


@register.filter
def label(value: str) -> str:
    """An attribute's name or value as customers read it; what nobody has translated shows as it is, capitalised."""
    word = str(ATTRIBUTE_WORDS.get(value, value))
    return word[:1].upper() + word[1:]


register.filter("image_url", image_url)
