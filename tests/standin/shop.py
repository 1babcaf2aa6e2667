"""Requests that a shop would send, and the browser that follows its payment links."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from typing import Any

SUCCESS = "http://shop.localhost/thanks?session_id={CHECKOUT_SESSION_ID}"


def session_params(**changes: Any) -> Any:
    """A sale of two things for 39.98 EUR; `changes` replace top-level parameters."""
    price = {"currency": "eur", "unit_amount": 1999, "product_data": {"name": "Headband", "metadata": {"sku": "HB-1"}}}
    params: dict[str, Any] = {
        "mode": "payment",
        "success_url": SUCCESS,
        "cancel_url": "http://shop.localhost/cart",
        "line_items": [{"quantity": 2, "price_data": price}],
        "metadata": {"shop_id": "cochlearfit", "order_id": "o-1"},
        "payment_intent_data": {"metadata": {"order_id": "o-1"}},
    }
    return {name: value for name, value in (params | changes).items() if value is not None}


def line(amount: int, *, quantity: int = 1, currency: str = "eur", **more: Any) -> dict[str, Any]:
    price = {"currency": currency, "unit_amount": amount, "product_data": {"name": f"Thing for {amount}"}}
    return {"quantity": quantity, "price_data": price, **more}


class Page:
    """What a browser got, redirects not followed."""

    def __init__(self, status: int, location: str | None, html: str) -> None:
        self.status = status
        self.location = location
        self.html = html


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


def browse(url: str, form: dict[str, str] | None = None) -> Page:
    opener = urllib.request.build_opener(_Stay)
    data = urllib.parse.urlencode(form).encode() if form is not None else None
    try:
        with opener.open(url, data=data, timeout=30) as answer:
            return Page(answer.status, answer.headers.get("Location"), answer.read().decode())
    except urllib.error.HTTPError as exc:
        with exc:
            return Page(exc.code, exc.headers.get("Location"), exc.read().decode())
