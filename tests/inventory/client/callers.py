"""The two clients behind one face, so that every fault is tried on both and means the same to both."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inventory.client import AuthorityError, AuthorityShort, InventoryAuthorityClient, Item, Validation
from tests.house.code import ROOT

MODULE = ROOT / "inventory" / "static" / "inventory" / "inventory-authority-client.js"
DRIVER = Path(__file__).with_name("driver.mjs")
NODE = shutil.which("node")
NAMES = {
    "variant_key": "variantKey", "hold_id": "holdId", "expires_at": "expiresAt", "idempotent_hit": "idempotentHit",
}  # fmt: skip
WORDS = {"ttlSeconds": "ttl_seconds", "idempotencyKey": "idempotency_key"}

# Milliseconds: never, on any machine, unless a test is about it.
LONG = 60_000

Call = Callable[..., dict[str, Any]]


def with_python(url: str, verb: str, *args: Any, **options: Any) -> dict[str, Any]:
    """The outcome of one call: `value`, or `error` with what it carries; and which retries were told of."""
    retried: list[list[Any]] = []
    names = {"timeoutMs": "timeout_ms", "shopId": "shop_id"}
    client = InventoryAuthorityClient(
        url=url,
        on_retry_success=lambda *what: retried.append(list(what)),
        **{
            "token": "tok_secret",
            "timeout_ms": LONG,
            **{names.get(name, name): value for name, value in options.items()},
        },
    )
    positional = [_items(arg) for arg in args if not isinstance(arg, dict)]
    named = {WORDS.get(k, k): v for arg in args if isinstance(arg, dict) for k, v in arg.items()}
    try:
        return {"value": _shown(getattr(client, verb)(*positional, **named)), "retried": retried}
    except AuthorityError as error:
        short = {"insufficient": _shown(error.insufficient)} if isinstance(error, AuthorityShort) else {}
        return {
            "error": type(error).__name__, "code": error.code, "status": error.status,
            "retryAfterMs": error.retry_after_ms, "requestId": error.request_id, "message": str(error),
            "retried": retried, **short,
        }  # fmt: skip


class Node:
    """One Node.js process for all calls: starting one takes longer than most of them."""

    def __init__(self) -> None:
        assert NODE is not None
        self._process = subprocess.Popen(
            [NODE, str(DRIVER), MODULE.as_uri()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def call(self, url: str, verb: str, *args: Any, **options: Any) -> dict[str, Any]:
        told = {
            "verb": verb,
            "args": args,
            "options": {"url": url, "token": "tok_secret", "timeoutMs": LONG, **options},
        }
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


def _items(arg: Any) -> Any:
    if isinstance(arg, list) and arg and isinstance(arg[0], dict):
        return [Item(item["sku"], item["quantity"], item.get("variantAttributes", {})) for item in arg]
    return arg


def _shown(value: Any) -> Any:
    """As the JavaScript client answers it."""
    if isinstance(value, Validation):
        told = {"ok": True, "items": value.items} if value.ok else {"ok": False, "insufficient": value.insufficient}
        return _shown(told)
    if isinstance(value, dict):
        return {NAMES.get(name, name): _shown(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(inner) for inner in value]
    if hasattr(value, "__dataclass_fields__"):
        return _shown(asdict(value))
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value
