"""What a secret looks like, so that text on its way out can be freed of it. Standard library only: logging uses it."""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "•••"

# Stripe's secret, restricted and ephemeral keys and signing secrets. Publishable keys (pk_) are no secret.
_SECRET: Final = re.compile(r"(?<![A-Za-z0-9])(?:(?:sk|rk|ek)_(?:live|test)_\w+|whsec_\w+)")


def without_secrets(text: str) -> str:
    """`text` with every key and signing secret of Stripe's hidden."""
    # Nearly no text has one, and finding a word is ten times faster than trying a pattern at every letter.
    if "_live_" in text or "_test_" in text or "whsec_" in text:
        return _SECRET.sub(HIDDEN, text)
    return text
