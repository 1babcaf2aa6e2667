"""What a customer typed as a code, and the one spelling it is kept in."""

from __future__ import annotations

import re
from typing import Final

CODE: Final = re.compile(r"\A[A-Z0-9][A-Z0-9_-]{1,39}\Z")
LONGEST: Final = 40
"""Characters; also what Stripe shows of a coupon's name. Source: Stripe's API 2026-10-28.endive, Create a coupon."""


def canonical(typed: str) -> str | None:
    """The code in upper case without surrounding spaces; None for what no coupon can be called.

    Judged before it is raised: `ı` and `ß` become ASCII letters by it, and a code would have spellings nobody chose.
    """
    code = typed.strip()
    if not code.isascii():
        return None
    code = code.upper()
    return code if CODE.match(code) else None
