"""Questions to Stripe that staff may ask: harmless, so without a reason, and said as a refusal when nobody answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django import forms

from commerce.gateway.failures import StripeFailure
from tenants.context import ShopContext, bind_shop, load_shop
from tenants.errors import WrongState

T = TypeVar("T")


class NoReasonForm(forms.Form):
    """For questions: looking at Stripe again does what every background job does anyway."""

    reason = forms.CharField(required=False, widget=forms.HiddenInput)


def asked_for(shop_id: str, ask: Callable[[ShopContext], T]) -> T:
    """Runs `ask` for the shop. Raises WrongState where Stripe can't be asked, and what `ask` raises."""
    shop = load_shop(shop_id)
    try:
        with bind_shop(shop):
            return ask(shop)
    except StripeFailure as failure:
        raise WrongState(f"Stripe could not be asked, nothing has changed ({failure.kind}). Try again.") from failure
