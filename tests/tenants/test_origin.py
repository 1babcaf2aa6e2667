from __future__ import annotations

import pytest

from tenants.origin import from_elsewhere


@pytest.mark.parametrize(
    ("origin", "site", "elsewhere"),
    [
        (None, None, False),
        ("https://shop.example", None, False),
        ("https://shop.example:443", "same-origin", False),
        ("https://SHOP.example", None, False),
        (None, "same-origin", False),
        (None, "none", False),
        ("http://shop.example", None, True),
        ("https://shop.example:8443", None, True),
        ("https://evil.example", None, True),
        ("https://shop.example.evil.example", None, True),
        ("https://shop.example@evil.example", None, True),
        ("https://a.shop.example", "same-site", True),
        ("https://shop.example", "cross-site", True),
        ("https://shop.example", "", True),
        ("null", None, True),
        ("", None, True),
        ("https://[", None, True),
        ("https://shop.example:port", None, True),
        ("file://", None, True),
    ],
)
def test_origins(origin: str | None, site: str | None, elsewhere: bool):
    told = from_elsewhere(origin=origin, fetch_site=site, scheme="https", hostname="shop.example", ports={443})
    assert told is elsewhere
