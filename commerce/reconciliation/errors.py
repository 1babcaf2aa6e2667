"""What a sender of records can run into."""

from __future__ import annotations

from tenants.errors import InvalidRequest


class ReconciliationRejected(InvalidRequest):
    """Every record of the request was refused; `fields` says why, by record. They are kept all the same."""

    code = "reconciliation_rejected"
