"""Whatever is done to a subscription, in whatever order: the sums of its invoices, charges and balance agree.

`HOLDFAST_BILLING_SEEDS=200` plays more games than the two of every run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from typing import Any

import pytest
import stripe

from tests.standin.subscribers import DAY, HOUR, advance, advance_to, invoices, item_of, plan, subscribe
from tests.stripe_standin.running import Running

SEEDS = range(int(os.environ.get("HOLDFAST_BILLING_SEEDS", "2")))
STEPS = 12
CARDS = ("pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_authenticationRequired")


class Game:
    """Random acts on one subscription; each may be refused, none may leave sums that disagree."""

    def __init__(self, client: stripe.StripeClient, standin: Running, seed: int) -> None:
        self.client, self.standin, self.random = client, standin, random.Random(seed)
        self.prices = [plan(client, 700).id, plan(client, 1900).id, plan(client, 9000, "year").id]
        client.v1.coupons.create({"id": "THIRD", "percent_off": 33, "duration": "repeating", "duration_in_months": 2})
        discounts = [{"coupon": "THIRD"}] if self.random.random() < 0.5 else None
        self.subscription = subscribe(client, standin, self.prices[0], discounts=discounts).id

    def step(self) -> None:
        acts: list[Callable[[], object]] = [self.wait, self.wait, self.change, self.change, self.card, self.pay]
        if self.random.random() < 0.05:
            acts = [self.cancel]
        with suppress(stripe.InvalidRequestError, stripe.CardError):
            self.random.choice(acts)()

    def wait(self) -> None:
        advance(self.standin, self.random.choice((HOUR, 3 * DAY, 20 * DAY, 45 * DAY)))

    def change(self) -> None:
        now = self.client.v1.subscriptions.retrieve(self.subscription)
        item: Any = {"id": now["items"].data[0].id, "quantity": self.random.randint(1, 4)}
        params: Any = {
            "items": [item | ({"price": self.random.choice(self.prices)} if self.random.random() < 0.5 else {})],
            "proration_behavior": self.random.choice(("create_prorations", "always_invoice", "none")),
            "payment_behavior": self.random.choice(
                ("allow_incomplete", "error_if_incomplete", "pending_if_incomplete")
            ),
        }
        self.client.v1.subscriptions.update(self.subscription, params)

    def card(self) -> None:
        customer = str(self.client.v1.subscriptions.retrieve(self.subscription).customer)
        method = self.client.v1.payment_methods.attach(self.random.choice(CARDS), {"customer": customer})
        self.client.v1.subscriptions.update(self.subscription, {"default_payment_method": method.id})

    def pay(self) -> None:
        for invoice in self.client.v1.invoices.list({"status": "open"}).data:
            self.standin.control("POST", f"invoices/{invoice.id}/pay", {"card": "4242424242424242"})

    def cancel(self) -> None:
        self.client.v1.subscriptions.cancel(self.subscription, {"prorate": True, "invoice_now": True})

    def check(self) -> None:
        found = invoices(self.client, self.subscription)
        charged = 0
        for invoice in found:
            assert sum(line.amount for line in invoice.lines.data) == invoice.subtotal
            off = sum(part.amount for part in invoice.total_discount_amounts or [])
            assert invoice.subtotal - off == invoice.total
            if invoice.status != "draft":
                assert invoice.starting_balance + invoice.total == invoice.amount_due + (invoice.ending_balance or 0)
            assert invoice.amount_remaining == invoice.amount_due - invoice.amount_paid
            paid = [part for part in invoice.payments.data if part.status == "paid"]  # type: ignore[union-attr]
            assert sum(part.amount_paid or 0 for part in paid) == invoice.amount_paid
            charged += invoice.amount_paid
        assert self.standin.control("GET", "balance")["accounts"]["acct_standin"]["eur"]["charged"] == charged
        customer = self.client.v1.customers.retrieve(str(found[0].customer))
        finalised = [i for i in found if i.status != "draft"]
        assert sum((i.ending_balance or 0) - i.starting_balance for i in finalised) == (customer.balance or 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_sums_agree_after_every_act(client: stripe.StripeClient, standin: Running, seed: int) -> None:
    game = Game(client, standin, seed)
    for _ in range(STEPS):
        game.step()
        game.check()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_period_costs_what_was_used_of_it(client: stripe.StripeClient, standin: Running, seed: int) -> None:
    """First charge and all prorations of a period are the price of every second of it, but for their rounding."""
    chance = random.Random(seed)
    subscription = subscribe(client, standin, plan(client, 1999).id)
    item = item_of(subscription)
    start, end = item.current_period_start, item.current_period_end
    moments = sorted(chance.sample(range(start + HOUR, end - HOUR), 6))
    quantity, since, used = 1, start, Fraction(0)
    for moment in moments:
        advance_to(standin, moment)
        used += Fraction(1999 * quantity * (moment - since), end - start)
        quantity, since = chance.randint(1, 9), moment
        changed: Any = {"items": [{"id": item.id, "quantity": quantity}], "proration_date": moment}
        client.v1.subscriptions.update(subscription.id, changed)
    used += Fraction(1999 * quantity * (end - since), end - start)
    advance_to(standin, end + HOUR)
    (renewal, first) = invoices(client, subscription.id)
    billed = first.total + renewal.total - 1999 * quantity
    assert abs(billed - used) <= len(moments)
