"""Addresses of catalog images."""

from __future__ import annotations

from urllib.parse import quote

from django.conf import settings


def image_url(image: str) -> str:
    """What a page on the shop's host can load: an address as it is, a static path below STATIC_URL, empty for none."""
    if not image or image.startswith(("https://", "http://", "/")):
        return image
    return f"{settings.STATIC_URL}{quote(image)}"
