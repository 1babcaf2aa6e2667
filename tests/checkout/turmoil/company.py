"""Who plays: each maker gives a name and what its thread does, all of it by the entry points that the product has."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from checkout import resolver
from checkout.models import CheckoutAttempt
from inventory import reaper
from inventory.models import Hold
from tests.commerce.backoffice import Desk
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Buyer, Trade
from tests.fixtures.workers import Worker
from tests.webhooks.deliver import deliver

Role = tuple[str, Callable[[], object]]

# What a tab may be told. 400: the cart is empty by now; 409: short of stock, or the key stood for something else.
ANSWERS = {200, 201, 400, 409, 429, 502, 503}
KEY = "order-of-a-static-storefront"
EMAILS = (None, "ada@example.test", "ben@example.test")


@dataclass
class Company:
    """Everybody, and what they have come to know: addresses that were answered, events that were heard of."""

    trade: Trade
    standin: StandIn
    draw: random.Random
    worker: Worker
    owner: User
    buyers: list[Buyer] = field(default_factory=list)
    shown: dict[str, str] = field(default_factory=dict)
    answers: list[tuple[str, int]] = field(default_factory=list)

    def tab(self) -> Role:
        """A customer's click, of one of the carts or of a storefront that sends items under its key."""
        number = self.draw.randrange(len(self.buyers) + 1)
        if number == len(self.buyers):
            item = {"sku": "BAND", "quantity": 1, "variantAttributes": {"size": "M"}}
            return "tab of key", lambda: self._checkout("key", Buyer(self.trade.host), {"items": [item]}, KEY)
        email = self.draw.choice((EMAILS[0], *EMAILS))
        body: dict[str, Any] = {"email": email} if email else {}
        return f"tab of cart {number}", lambda: self._checkout(str(number), self.buyers[number].twin(), body, None)

    def _checkout(self, whose: str, buyer: Buyer, body: dict[str, Any], key: str | None) -> str:
        answer = buyer.checkout(body, **({"Idempotency_Key": key} if key else {}))
        told = answer.json()
        self.answers.append((str(told.get("code", "")), answer.status_code))
        assert answer.status_code in ANSWERS, (answer.status_code, told)
        if "url" in told:
            self.shown[told["sessionId"]] = whose
        return f"{answer.status_code} {told.get('code', told.get('sessionId'))}"

    def poll(self) -> Role | None:
        """The thank-you page asks."""
        if not self.shown:
            return None
        session_id = self.draw.choice(sorted(self.shown))
        return "poll", lambda: Buyer(self.trade.host).status(session_id)["status"]

    def resolver(self) -> Role:
        return "resolver", lambda: resolver.run_once(now=timezone.now())

    def reaper(self) -> Role:
        return "reaper", lambda: reaper.run_once(now=timezone.now())

    def delivery(self) -> Role | None:
        """Any event once more: late, early, twice."""
        events = self.standin.events()
        return self.delivery_of(self.draw.choice(events)) if events else None

    def delivery_of(self, event: dict[str, Any]) -> Role:
        """503 is Stripe's to try again: rows are busy, or nobody knows the shop yet. 400: it was under way for so long
        that its signature is of another hour.
        """

        def bring() -> str:
            answer = deliver(event, host=self.trade.host)
            told = answer.json()
            expected = answer.status_code in {200, 503} or told.get("code") == "webhook_signature"
            assert expected, (answer.status_code, told)
            return f"{answer.status_code} {told.get('outcome', told.get('code'))}"

        return f"delivery of {event['type']}", bring

    def cancel(self) -> Role | None:
        """Staff end a checkout in the back office."""
        attempt = self._any(CheckoutAttempt.objects.for_shop(self.trade.shop.pk).unfinished())
        return None if attempt is None else (f"staff cancel {attempt.pk}", lambda: self._cancel(attempt))

    def _cancel(self, attempt: CheckoutAttempt) -> str:
        desk = self._desk()
        asked = desk.ask(CheckoutAttempt, "cancel", attempt)
        if b'name="token"' not in asked.content:
            return "nothing to cancel by now"
        return str(desk.confirm(CheckoutAttempt, "cancel", asked, reason="The customer rang").status_code)

    def release(self) -> Role | None:
        """Staff and servers may not end the hold of a checkout, and are told so."""
        hold = self._any(Hold.objects.for_shop(self.trade.shop.pk).filter(status=Hold.Status.ACTIVE))
        if hold is None:
            return None
        verb = self.draw.choice(("release", "commit"))

        def ask() -> str:
            answer = self.worker.post(f"holds/{hold.pk}/{verb}", {})
            # Over by now, with this very outcome: a repeat that moves nothing.
            assert answer.status_code in {409, 200}, answer.content
            return str(answer.json().get("code", "already so"))

        return f"server asks to {verb}", ask

    def extend(self) -> Role | None:
        """A server gives a hold more time, as far as its session allows."""
        hold = self._any(Hold.objects.for_shop(self.trade.shop.pk).filter(status=Hold.Status.ACTIVE))
        if hold is None:
            return None
        return "server extends", lambda: self.worker.post(f"holds/{hold.pk}/extend", {"ttlSeconds": 1200}).status_code

    def _desk(self) -> Desk:
        client = Client(headers={"Host": "localhost"})
        client.force_login(self.owner)
        return Desk(client)

    def _any(self, rows: Any) -> Any:
        found = list(rows.order_by("pk"))
        return self.draw.choice(found) if found else None

    def overdue(self) -> None:
        """Some holds' time is up although little time has passed: shops choose short ones."""
        Hold.objects.for_shop(self.trade.shop.pk).filter(status=Hold.Status.ACTIVE).update(
            expires_at=timezone.now() - timedelta(seconds=1)
        )
