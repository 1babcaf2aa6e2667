"""What a secret looks like, so that text on its way out can be freed of it. Standard library only: logging uses it."""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "•••"

# Stripe's secret, restricted and ephemeral keys and signing secrets. Publishable keys (pk_) are no secret.
_SECRET: Final = re.compile(r"(?<![A-Za-z0-9])(?:(?:sk|rk|ek)_(?:live|test)_\w+|whsec_\w+)")


def without_secrets(text: str) -> str:
    """`text` with every key and signing secret of Stripe's hidden."""
    return _SECRET.sub(HIDDEN, text) if "_" in text else text
