"""Dead letters: events replayed by hand, and shown without the secrets and the persons in them (W7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from django.db import transaction

from tenants.audit import Actor, record_audit
from tenants.errors import HoldfastError, NotFound
from tenants.staff import StaffScope
from webhooks.inbox import handle_event
from webhooks.models import StripeEvent
from webhooks.triage import Triage, triage

log = structlog.get_logger(__name__)
Status = StripeEvent.Status

REPLAYABLE: Final = frozenset({Status.RECEIVED, Status.FAILED, Status.DEAD})


class NotReplayable(HoldfastError):
    """The event has had its effect, needs none, or is being handled at this moment."""

    code = "wrong_state"


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of a replay: `outcome` is processed, processing (another is at it), deferred (failed, will be
    retried), dead or ignored; `reason` says why it wasn't processed.
    """

    event_id: str
    outcome: str
    shop_id: str | None
    reason: str


def replay_event(*, event_pk: int, scope: StaffScope, reason: str, acting: Actor) -> Replay:
    """Resolves a stored event once more and handles it as if it had just arrived.

    Audited before it is handled: what follows may move money, and a crash must not leave that unexplained.
    Raises NotFound, also outside the caller's `scope`; NotReplayable unless the event is received, failed or dead, and
    when it turns out to be of a shop outside that scope. Durable; asks Stripe.
    """
    event, found = _take_up(event_pk=event_pk, scope=scope, reason=reason, acting=acting)  # tx 1
    if found.resolution is None:
        return Replay(event.event_id, "ignored", None, "Nothing here handles events of this type.")
    if found.shop_id is None:
        return Replay(event.event_id, "dead", None, found.resolution.reason)
    outcome = handle_event(event_pk=event.pk)  # no tx around it: asks Stripe, then its handler's own
    event.refresh_from_db(fields=["status", "error"])
    log.info("event_replayed", event_id=event.event_id, shop_id=found.shop_id, outcome=outcome)
    if outcome == "deferred" and event.status == Status.DEAD:
        outcome = "dead"
    return Replay(event.event_id, outcome, found.shop_id, "" if outcome == "processed" else event.error)


@transaction.atomic(durable=True)
def _take_up(*, event_pk: int, scope: StaffScope, reason: str, acting: Actor) -> tuple[StripeEvent, Triage]:
    event = scope.rows(StripeEvent.objects.select_for_update(no_key=True), "shop").filter(pk=event_pk).first()
    if event is None:
        raise NotFound("There is no such event.")
    if event.status not in REPLAYABLE:
        raise NotReplayable(f"The event is {event.get_status_display().lower()}: there is nothing to replay.")
    was = event.status
    found = triage(event)
    if found.shop_id is not None and not scope.sees(found.shop_id):
        raise NotReplayable("What it is about is not this shop's. The platform's staff can look into it.")
    record_audit(
        shop_id=found.shop_id,
        acting=acting,
        action="event.replay",
        object_type="stripe_event",
        object_id=event.event_id,
        reason=reason,
        data={"type": event.type, "account": event.account, "was": was, "resolved_by": event.resolved_by},
    )
    return event, found


# ---------------------------------------------------------------- what may be shown
HIDDEN: Final = "•••"

# Names of members, or their endings after an underscore, whose value is a person's, a card's or a key to something.
# Source: the objects of Stripe's API 2026-10-28.endive. Too much hidden costs a look into Stripe's dashboard; too
# little can't be taken back.
_TELLING: Final = re.compile(
    r"(?:^|_)(?:email|emails|name|phone|address|addresses|dob|birth_?date|ip|iban|bic|last4|fingerprint|number|cvc|"
    r"exp_month|exp_year|cryptogram|secret|token|password|pdf|id_number|tax_ids?|user_agent|signature|cashtag|"
    r"line[12]|city|postal_code|state_province|sort_code|evidence|custom_fields)$"
    # Stripe's pages need no login; where the shop sends its customers is no secret.
    r"|(?:^|(?<!cancel)(?<!success)(?<!return)(?<!refresh)_)url$"
)
# Objects that describe a person as a whole: everything in them is hidden but what says nothing about whom.
_ABOUT_SOMEBODY: Final = frozenset(
    {
        "address", "billing", "billing_address", "billing_details", "collected_information", "custom_fields",
        "customer_address", "customer_details", "customer_shipping", "customer_tax_ids", "evidence", "individual",
        "owner", "payer_details", "payment_method_details", "shipping", "shipping_address", "shipping_details",
        "tax_ids",
    }
)  # fmt: skip
_SAYS_NOTHING: Final = frozenset({"object", "country", "type", "brand", "funding", "network", "tax_exempt", "livemode"})

# In free text, such as a description or an error.
_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_SECRET: Final = re.compile(r"\b(?:(?:sk|rk|ek|pk)_(?:live|test)_\w+|whsec_\w+)|\b\w+_secret_\w+")
_CARD_OR_PHONE: Final = re.compile(r"(?<![\w.+-])(?:\+\d(?:[ -]?\d){7,14}|\d(?:[ -]?\d){11,18})(?![\w-])")


def masked(value: Any) -> Any:
    """A JSON value as it may be shown to staff: the same shape, ids, amounts and states; persons and secrets hidden.

    Nulls, empty texts and booleans stay: that something is missing is often the reason one looks.
    """
    if isinstance(value, Mapping):
        return {name: _masked_member(str(name), member) for name, member in value.items()}
    if isinstance(value, list):
        return [masked(member) for member in value]
    return masked_text(value) if isinstance(value, str) else value


def masked_text(text: str) -> str:
    """Free text without e-mail addresses, keys, and numbers that may be cards or phones."""
    for pattern in (_EMAIL, _SECRET, _CARD_OR_PHONE):
        text = pattern.sub(HIDDEN, text)
    return text


def _masked_member(name: str, value: Any) -> Any:
    lowered = name.lower()
    if lowered in _ABOUT_SOMEBODY or _TELLING.search(lowered):
        return _hidden(value)
    return masked(value)


def _hidden(value: Any) -> Any:
    """Every leaf hidden, the shape kept."""
    if isinstance(value, Mapping):
        return {name: masked(member) if name in _SAYS_NOTHING else _hidden(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_hidden(member) for member in value]
    return value if value is None or value == "" or isinstance(value, bool) else HIDDEN
