"""`subscriptions.update`: what is written down, and what it sets going."""

from __future__ import annotations

from . import catalog, subscription_states
from .errors import Json, bad_request
from .store import Record
from .subscribing import refuse_others
from .subscription_states import changing, period_of
from .unit import Unit

KNOWN = ("cancel_at", "cancel_at_period_end", "cancellation_details", "default_payment_method", "description",
         "metadata", "off_session", "pause_collection", "trial_settings")  # fmt: skip


def update(unit: Unit, params: Json, subscription_id: str) -> Json:
    refuse_others(params, KNOWN, "a subscription")
    subscription = unit.need("subscription", subscription_id)
    if subscription.body["status"] in subscription_states.ENDED:
        _refuse_ended(subscription, params)
    with changing(unit, subscription):
        _write_down(unit, subscription, params)
        _agree_on_end(unit, subscription, params)
    return subscription.body


def _refuse_ended(subscription: Record, params: Json) -> None:
    """Of what has ended, only words can still be changed."""
    for name in sorted(set(params) - {"metadata", "cancellation_details", "expand"}):
        status = subscription.body["status"]
        raise bad_request(f"This subscription is {status}: {name} can't be changed any more.", param=name)


def _write_down(unit: Unit, subscription: Record, params: Json) -> None:
    body = subscription.body
    if "default_payment_method" in params:
        method = unit.need("payment_method", params["default_payment_method"], param="default_payment_method")
        if method.body["customer"] != body["customer"]:
            raise bad_request("The payment method isn't attached to this customer.", param="default_payment_method")
        body["default_payment_method"] = method.id
    if "description" in params:
        body["description"] = catalog.unset(params["description"])
    body["metadata"] = catalog.merged_metadata(body["metadata"], params.get("metadata"))
    if "pause_collection" in params:
        body["pause_collection"] = (
            {"resumes_at": None, **params["pause_collection"]} if params["pause_collection"] else None
        )
    if "trial_settings" in params:
        body["trial_settings"] = {
            "end_behavior": body["trial_settings"]["end_behavior"] | params["trial_settings"]["end_behavior"]
        }
    body["cancellation_details"] = {
        **body["cancellation_details"],
        **{name: catalog.unset(value) for name, value in (params.get("cancellation_details") or {}).items()},
    }


def _agree_on_end(unit: Unit, subscription: Record, params: Json) -> None:
    """Agree on a cancellation, or take it back."""
    body = subscription.body
    if "cancel_at" in params and "cancel_at_period_end" in params:
        raise bad_request("Only one of cancel_at, cancel_at_period_end can be sent.", param="cancel_at")
    if "cancel_at_period_end" not in params and "cancel_at" not in params:
        return
    named = params.get("cancel_at") or None
    if isinstance(named, int) and named <= unit.now:
        raise bad_request("cancel_at must lie in the future.", param="cancel_at")
    if params.get("cancel_at_period_end") or named in ("min_period_end", "max_period_end"):
        named = period_of(subscription)[1]
    elif isinstance(named, str):
        raise bad_request(f"The stand-in can't cancel at {named}.", param="cancel_at")
    if named and body["cancel_at"] is None:
        body["canceled_at"] = unit.now
        body["cancellation_details"]["reason"] = "cancellation_requested"
    if named is None:
        body["canceled_at"] = body["cancellation_details"]["reason"] = None
    body |= {"cancel_at": named, "cancel_at_period_end": params.get("cancel_at_period_end", False)}
