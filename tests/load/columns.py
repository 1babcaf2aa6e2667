"""What the rows of every table have in common, `n` being a row's number: nine in ten are the first shop's."""

from __future__ import annotations

from typing import Final

# A uuid whose order is the number's, as the ids that the product makes follow time.
ID: Final = "lpad(to_hex(n), 32, '0')::uuid"
SHOP: Final = "CASE WHEN n %% 10 = 0 THEN 'other' ELSE 'band' END"
AT: Final = "timestamptz '2026-01-01' + n * interval '10 seconds'"
RARELY: Final = "n %% 1000 = 0"
