"""Shape of the inventory API's input."""

from __future__ import annotations

from typing import Final

from django.http import QueryDict

from inventory.variants import MAX_SKU_LENGTH
from tenants.errors import InvalidRequest

MAX_SKUS: Final = 100


def read_skus(query: QueryDict) -> list[str]:
    """The `sku` parameters in their order, each once. Raises InvalidRequest on anything else in the query."""
    if unknown := sorted(set(query) - {"sku"}):
        raise InvalidRequest("The query is not valid.", {name: ["Unknown parameter."] for name in unknown})
    given = query.getlist("sku")
    if not 1 <= len(given) <= MAX_SKUS:
        raise InvalidRequest("The query is not valid.", {"sku": [f"1 to {MAX_SKUS} of them."]})
    if any(not 1 <= len(sku) <= MAX_SKU_LENGTH or "\0" in sku for sku in given):
        raise InvalidRequest("The query is not valid.", {"sku": [f"Each has 1 to {MAX_SKU_LENGTH} characters."]})
    return list(dict.fromkeys(given))
