"""The subscriptions desk: what a change costs before it is made, endings with a reason, the history of both."""

from __future__ import annotations

import re

import pytest
from django.http import HttpResponse

from commerce.models import Subscription, SubscriptionOperation
from tenants.models import AuditEntry
from tests.commerce.backoffice import Desk, address, desk, queries, text
from tests.factories.plans import make_plan
from tests.fixtures.subscribers import Club


@pytest.fixture
def row(club: Club) -> Subscription:
    make_plan(club.trade.shop, "plus", 1990)
    club.begin()
    return Subscription.objects.get()


def change(owner: Desk, row: Subscription, **more: str) -> HttpResponse:
    sent = {"plan": "plus", "quantity": "1", "prorate": "invoice_now", "reason": "They asked", **more}
    url = address(Subscription, "change", row.pk).replace("/change/", "/change-plan/")
    return owner.client.post(url, sent, follow=True)


def buttons(owner: Desk, row: Subscription) -> set[str]:
    """Where the buttons of its page lead."""
    own = address(Subscription, "change", row.pk).removesuffix("change/")
    return set(re.findall(rf'href="{own}([\w-]+)/"', owner.page(row).content.decode())) - {"history", "change"}


def token_in(answer: HttpResponse) -> str:
    found = re.search(r'name="token" value="([^"]+)"', answer.content.decode())
    assert found
    return found[1]


def test_a_change_is_shown_before_it_is_made_and_made_once(club: Club, row: Subscription) -> None:
    owner = desk()
    club.standin.advance(10 * 86400)
    shown = change(owner, row)
    words = text(shown)
    assert "is charged now" in words and "Now: 1 × club" in words and "€" in words
    assert not SubscriptionOperation.objects.exists()
    token = token_in(shown)
    changed = change(owner, row, token=token, confirm="1", quantity="2")
    assert "is charged now" in text(changed) and not SubscriptionOperation.objects.exists()
    done = change(owner, row, token=token, confirm="1")
    assert "The subscription is changed." in done.content.decode()
    change(owner, row, token=token, confirm="1")
    operation = SubscriptionOperation.objects.get()
    assert (operation.state, operation.acting, operation.reason) == ("done", "staff:owner", "They asked")
    latest = club.standin.read(f"/v1/subscriptions/{row.subscription_id}")["latest_invoice"]
    paid = club.standin.read(f"/v1/invoices/{latest}")["amount_paid"]
    assert paid == operation.told["prorationAmount"] > 0
    page = text(owner.page(row))
    assert "To 1 × plus" in page and "They asked" in page and "Yes: it is paid" in page


def test_endings_say_what_they_do_and_can_be_taken_back(club: Club, row: Subscription) -> None:
    owner = desk()
    assert buttons(owner, row) == {"change-plan", "act-cancel_at_end", "act-cancel_now", "act-ask"}
    assert "isn't canceled" in text(owner.ask(Subscription, "resume", row))
    assert "isn't paid for again" in text(owner.ask(Subscription, "cancel_at_end", row))
    assert "It ends on" in owner.do(Subscription, "cancel_at_end", row, reason="Too dear")
    assert "until its end" in text(owner.page(row))
    assert buttons(owner, row) == {"change-plan", "act-cancel_now", "act-resume", "act-ask"}
    assert "Active." in owner.do(Subscription, "resume", row, reason="Stays after all")
    assert "is not given back" in text(owner.ask(Subscription, "cancel_now", row))
    assert "Canceled." in owner.do(Subscription, "cancel_now", row, reason="Fraud")
    assert "already" in text(owner.ask(Subscription, "cancel_now", row))
    assert club.standin.read(f"/v1/subscriptions/{row.subscription_id}")["status"] == "canceled"
    assert list(SubscriptionOperation.objects.order_by("id").values_list("kind", "state", "reason")) == [
        ("cancel_at_end", "done", "Too dear"), ("resume", "done", "Stays after all"), ("cancel_now", "done", "Fraud"),
    ]  # fmt: skip
    assert AuditEntry.objects.filter(object_type="subscription").count() == 3
    assert "No: it has ended" in text(owner.page(row))
    assert buttons(owner, row) == {"act-ask"}


def test_the_history_tells_what_became_of_a_lost_answer(club: Club, row: Subscription) -> None:
    owner = desk()
    club.standin.fault(path="/v1/subscriptions/*", kind="drop_after")
    assert "has not answered" in owner.do(Subscription, "cancel_at_end", row, reason="Too dear")
    operation = SubscriptionOperation.objects.get()
    assert "Outcome unknown" in text(owner.page(operation))
    assert "Done." in owner.do(SubscriptionOperation, "ask", operation)
    assert "nothing to ask" in text(owner.ask(SubscriptionOperation, "ask", operation))


def test_who_may_only_look_is_offered_nothing(club: Club, row: Subscription) -> None:
    reader = desk("commerce.view_subscription", "commerce.view_subscriptionoperation")
    assert "change-plan" not in reader.page(row).content.decode()
    assert change(reader, row).status_code == 403
    assert reader.ask(Subscription, "cancel_now", row).status_code in {200, 302, 403}
    assert not SubscriptionOperation.objects.exists()


@pytest.mark.parametrize("count", [1, 3])
def test_the_lists_take_as_many_queries_for_three(club: Club, row: Subscription, count: int) -> None:
    owner = desk()
    for number in range(1, count):
        row.pk, row.subscription_id = None, f"sub_{number}"
        row.save(force_insert=True)
    assert queries(lambda: owner.list(Subscription)) == 7
