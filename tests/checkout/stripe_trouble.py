"""Everything that can come back from a call to Stripe instead of its answer, as the stand-in or the network does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from commerce.gateway import client
from tests.fixtures.stack import wait_for
from tests.fixtures.standin import StandIn

SESSIONS = "/v1/checkout/sessions"
# Seconds that a call is given, and that the slow ones take.
PATIENCE, SLOW = 0.5, 1.0
HTML = "<html><body><h1>403 Forbidden</h1>cloud proxy</body></html>"


@dataclass(frozen=True)
class Trouble:
    """One row. `refused`: Stripe's definitive no. `burnt`: the key remembers the failure, for the repeat too."""

    name: str
    fault: dict[str, Any]
    refused: bool = False
    burnt: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def nobody_there(self) -> bool:
        return self.fault["kind"] == "nobody_listens"

    @property
    def slow(self) -> bool:
        return self.fault["kind"] == "latency"


def answered(name: str, status: int, refused: bool = False, **more: Any) -> Trouble:
    return Trouble(name, {"kind": "status", "status": status, "when": "before", **more}, refused)


def refusal(name: str, status: int, kind: str = "invalid_request_error", code: str = "refused_by_test") -> Trouble:
    return answered(name, status, refused=True, type=kind, code=code)


def moved(status: int) -> Trouble:
    # To where the very same request would succeed, if anybody followed.
    return answered(f"redirect {status}", status, body="", headers={"Location": SESSIONS})


REFUSALS = (
    refusal("invalid request", 400),
    refusal("parameter missing", 400, code="parameter_missing"),
    refusal("not found", 404, code="resource_missing"),
    refusal("authentication", 401),
    refusal("permission", 403),
)
SILENCE = (
    Trouble("connection refused", {"kind": "nobody_listens"}),
    Trouble("dropped before", {"kind": "drop_before"}),
    Trouble("dropped after", {"kind": "drop_after"}),
    Trouble("reset before", {"kind": "reset", "when": "before"}),
    Trouble("reset after", {"kind": "reset", "when": "after"}),
    Trouble("half an answer", {"kind": "half_answer"}),
    Trouble("timeout before", {"kind": "latency", "seconds": SLOW, "when": "before"}),
    Trouble("timeout after", {"kind": "latency", "seconds": SLOW, "when": "after"}),
)
NOT_NOW = (
    Trouble("rate limit", {"kind": "rate_limit"}),
    Trouble("lock timeout", {"kind": "rate_limit", "code": "lock_timeout"}),
    answered("rate limit of old", 400, type="invalid_request_error", code="rate_limit"),
    answered("twin in flight", 409, type="invalid_request_error", code="idempotency_key_in_use"),
    answered("idempotency error", 400, type="idempotency_error"),
    answered("card error", 402, type="card_error", code="card_declined"),
    *(answered(f"{status} before", status) for status in (500, 502, 503, 504)),
    Trouble("500 remembered", {"kind": "status", "status": 500, "when": "after"}, burnt=True),
)
NOT_STRIPE = (
    Trouble("502 page before", {"kind": "html"}),
    Trouble("502 page after", {"kind": "html", "when": "after"}),
    *(answered(f"{status} page", status, body=HTML) for status in (200, 400, 401, 403, 404, 407, 418)),
    *(answered(f"{status} without error", status, body={"message": "no"}) for status in (400, 401, 403, 404)),
    answered("error is a text", 401, body={"error": "invalid_client"}),
    answered("error is null", 400, body={"error": None}),
    answered("nothing", 200, body=""),
    answered("no content", 204, body=""),
    answered("broken JSON", 200, body='{"id": "cs_test_1", "object": "checkout.session", "url"'),
    answered("a text", 200, body='"cs_test_1"'),
    answered("a list", 200, body="[]"),
    answered("null", 200, body="null"),
    answered("an empty object", 200, body={}),
    answered("another kind of object", 200, body={"id": "pi_1", "object": "payment_intent", "currency": "eur"}),
    answered("somebody else's session", 200, body={
        "id": "cs_test_other", "object": "checkout.session", "client_reference_id": "another", "currency": "eur",
        "status": "open", "payment_status": "unpaid", "amount_total": 1, "expires_at": 4102444800, "url": "https://x/",
    }),
    *(moved(status) for status in (301, 302, 303, 307, 308)),
)  # fmt: skip
UNKNOWNS = (*SILENCE, *NOT_NOW, *NOT_STRIPE)
# One of each way to be read, for the calls that end and look at sessions: which row is which is shown by the creation.
OF_EACH_KIND = (
    *REFUSALS,
    *SILENCE,
    *(t for t in (*NOT_NOW, *NOT_STRIPE) if t.name in {
        "rate limit", "twin in flight", "card error", "500 before", "502 page after", "200 page", "400 page",
        "401 without error", "nothing", "an empty object", "somebody else's session", "redirect 302", "redirect 307",
    }),
)  # fmt: skip


@contextmanager
def in_trouble(standin: StandIn, settings: Any, trouble: Trouble, *, path: str, method: str = "POST") -> Iterator[None]:
    """The next call to `path` meets the trouble; afterwards Stripe is well again, and nothing is under way any more."""
    before = len(standin.requests(path, method))
    if trouble.nobody_there:
        settings.STRIPE_API_BASE = "http://127.0.0.1:9"
        client._client.cache_clear()
    else:
        settings.STRIPE_READ_TIMEOUT = PATIENCE if trouble.slow else settings.STRIPE_READ_TIMEOUT
        standin.fault(path=path, method=method, **trouble.fault)
    yield
    settings.STRIPE_API_BASE = standin.url
    client._client.cache_clear()
    if trouble.slow:
        wait_for(lambda: len(standin.requests(path, method)) > before, "the slow call has ended")
