"""What a shop is called. Knows no model, so that whatever stands below them can use it."""

from typing import Final

SHOP_ID_FORM: Final = r"\A[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"
