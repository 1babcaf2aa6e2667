"""Endpoints that only read: events, balance transactions, the account."""

from __future__ import annotations

from typing import Any

from . import ledger, listing
from .errors import Json
from .store import Record
from .unit import Unit

EVENT_DAYS = 30


def list_events(unit: Unit, params: Json) -> Json:
    """Events of the last 30 days, newest first."""
    more: list[tuple[str, list[Any]]] = [("created >= ?", [unit.now - EVENT_DAYS * 86_400])]
    patterns = params.get("types") or ([params["type"]] if "type" in params else [])
    if patterns:
        condition, values = listing.type_condition(patterns)
        more.append((condition, list(values)))
    if "delivery_success" in params:
        comparison = "= 0" if params["delivery_success"] else "> 0"
        more.append((f"json_extract(body, '$.pending_webhooks') {comparison}", []))
    return listing.page(unit, params, "event", "/v1/events", {}, more=more)


def retrieve_event(unit: Unit, params: Json, event_id: str) -> Json:
    return unit.need("event", event_id).body


def list_transactions(unit: Unit, params: Json) -> Json:
    found: Json = {name: params[name] for name in ("currency", "source", "type") if name in params}

    def show(record: Record) -> Json:
        return ledger.shown(record, unit.now)

    return listing.page(unit, params, "balance_transaction", "/v1/balance_transactions", found, show=show)


def retrieve_transaction(unit: Unit, params: Json, transaction_id: str) -> Json:
    return ledger.shown(unit.need("balance_transaction", transaction_id), unit.now)


def own_account(unit: Unit, params: Json) -> Json:
    return _account(unit.caller.account)


def retrieve_account(unit: Unit, params: Json, account_id: str) -> Json:
    return _account(account_id)


def _account(account_id: str) -> Json:
    """Every account exists and can charge; the stand-in has no onboarding."""
    return {
        "id": account_id,
        "object": "account",
        "business_profile": {"mcc": None, "name": account_id.removeprefix("acct_"), "url": None},
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": "US",
        "created": 1_700_000_000,
        "default_currency": "usd",
        "details_submitted": True,
        "email": None,
        "external_accounts": listing.listed(f"/v1/accounts/{account_id}/external_accounts", []),
        "metadata": {},
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": account_id, "timezone": "Etc/UTC"}},
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": "standard",
    }
