"""Telling an alert (I8): mail, signed webhook, retries, crashes, and what never happens twice."""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import IntegrityError, connection, transaction

from inventory.alert_channels import payload_of, signature
from inventory.alert_delivery import LEASE, MOST_ATTEMPTS, deliver_alert, due_deliveries, retry_alert
from inventory.alerts import watch_stock
from inventory.models import AlertDelivery, StockAlert
from tenants.alert_webhooks import set_alert_webhook
from tenants.errors import NotFound, WrongState
from tenants.models import AlertWebhook, AuditEntry, ShopSettings
from tests.factories.inventory import StockRowFactory
from tests.house.code import ROOT
from tests.inventory.client.authority import Authority, drips, raw, says
from tests.inventory.steps import NOW, STAFF

SECRET = "a-secret-of-thirty-characters!"
pytestmark = pytest.mark.django_db


@pytest.fixture
def alert():
    """One that was just raised, of a shop that names a recipient."""
    row = StockRowFactory(sku="BAND", on_hand=2, low_stock_threshold=3)
    ShopSettings.objects.for_shop(row.owner_id).update(alert_recipients=["ada@shop.test", "bo@shop.test"])
    watch_stock(now=NOW)
    return StockAlert.objects.for_shop(row.owner_id).get()


def posts_to(alert, url):
    set_alert_webhook(shop_id=alert.owner_id, url=url, secret=SECRET, reason="A test", acting=STAFF)


def deliver(alert, channel, *, now=NOW):
    row = AlertDelivery.objects.for_shop(alert.owner_id).get(alert=alert, channel=channel)
    deliver_alert(delivery_id=row.pk, now=now)
    row.refresh_from_db()
    return row


def test_a_mail_says_what_is_low_and_where_to_look(alert):
    row = deliver(alert, "email")
    assert (row.state, row.attempts, row.sent_at, row.last_error) == ("sent", 1, NOW, "")
    (message,) = mail.outbox
    assert (message.to, message.subject) == (["ada@shop.test", "bo@shop.test"], "Low stock: BAND (2 available)")
    assert "2 available, and 3 is its threshold" in message.body
    assert f"http://localhost:8000/admin/inventory/stockrow/{alert.stock_row_id}/change/" in message.body
    assert message.extra_headers == {"Message-ID": f"<stock-alert-{alert.pk}@localhost>"}
    assert deliver(alert, "email").attempts == 1
    assert len(mail.outbox) == 1


def test_without_recipients_of_its_own_the_platform_hears_of_it(alert, settings):
    ShopSettings.objects.for_shop(alert.owner_id).update(alert_recipients=[])
    settings.STOCK_ALERT_RECIPIENT = ("ops@platform.test",)
    assert deliver(alert, "email").state == "sent"
    assert mail.outbox[0].to == ["ops@platform.test"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"STOCK_ALERT_RECIPIENT": ()}, "No recipient"),
        ({"EMAIL_URL": "", "STOCK_ALERT_RECIPIENT": ("a@b.c",)}, "EMAIL_URL"),
    ],
)
def test_nobody_to_mail_to_is_said_and_can_be_mended(alert, settings, change, why):
    ShopSettings.objects.for_shop(alert.owner_id).update(alert_recipients=[])
    for name, value in change.items():
        setattr(settings, name, value)
    row = deliver(alert, "email")
    assert row.state == "skipped" and why in row.last_error
    settings.EMAIL_URL, settings.STOCK_ALERT_RECIPIENT = "consolemail://", ("ops@platform.test",)
    told = retry_alert(owner_id=alert.owner_id, alert_id=alert.pk, reason="Named one", acting=STAFF, now=NOW)
    assert told == "E-mail: sent within a minute."
    assert deliver(alert, "email").state == "sent"


def test_a_name_writes_no_headers():
    row = StockRowFactory(sku="X\r\nBcc: all@shop.test", on_hand=0, low_stock_threshold=1)
    ShopSettings.objects.for_shop(row.owner_id).update(alert_recipients=["ada@shop.test"])
    watch_stock(now=NOW)
    deliver(StockAlert.objects.for_shop(row.owner_id).get(), "email")
    assert mail.outbox[0].subject == "Low stock: X Bcc: all@shop.test (0 available)"
    assert mail.outbox[0].recipients() == ["ada@shop.test"]


def test_a_mail_server_that_is_away_is_tried_again(alert, settings):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        settings.EMAIL_PORT = taken.getsockname()[1]
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1"
    row = deliver(alert, "email")
    assert (row.state, row.last_error) == ("due", "The mail server didn't take it: ConnectionRefusedError.")
    assert timedelta(seconds=30) <= row.next_attempt_at - NOW <= timedelta(seconds=90)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert deliver(alert, "email").attempts == 1  # not yet
    row = deliver(alert, "email", now=row.next_attempt_at)
    assert (row.state, row.attempts, row.last_error) == ("sent", 2, "")


def test_the_webhook_is_signed_and_can_be_checked(alert):
    with Authority([says(200, {})]) as receiver:
        posts_to(alert, receiver.url + "/hooks?shop=1")
        assert deliver(alert, "webhook").state == "sent"
    line, headers, body = receiver.asked[0]
    assert line == "POST /hooks?shop=1"
    assert body == payload_of(alert) == {
        "id": f"stock-alert-{alert.pk}", "type": "stock.low", "shopId": alert.owner_id, "sku": "BAND",
        "variantKey": "BAND", "available": 2, "onHand": 2, "held": 0, "threshold": 3,
        "raisedAt": "2026-03-01T12:00:00Z",
    }  # fmt: skip
    assert headers["x-holdfast-delivery"] == f"stock-alert-{alert.pk}"
    at, _, signed = headers["x-holdfast-signature"].removeprefix("t=").partition(",v1=")
    raw_body = receiver.bodies[0]
    assert signed == hmac.new(SECRET.encode(), f"{at}.".encode() + raw_body, hashlib.sha256).hexdigest()
    assert signature(raw_body, secret=SECRET, at=int(at)) == headers["x-holdfast-signature"]


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (says(500, {}), "answered 500"),
        (says(302, {}, location="http://127.0.0.1:1/"), "answered 302"),
        (says(410, {}), "answered 410"),
        (raw(b""), "can't be reached: BrokenAnswer"),
        (raw(b"SSH-2.0\r\n\r\n"), "can't be reached: BrokenAnswer"),
    ],
)
def test_anything_but_success_is_tried_again_until_it_is_given_up(alert, act, why):
    with Authority([act]) as receiver:
        posts_to(alert, receiver.url)
        now = NOW
        for attempt in range(1, MOST_ATTEMPTS + 1):
            row = deliver(alert, "webhook", now=now)
            assert (row.attempts, why in row.last_error) == (attempt, True)
            now = row.next_attempt_at
        assert row.state == "failed"
        assert now - NOW > timedelta(hours=4)
        deliver(alert, "webhook", now=now + timedelta(days=1))
    assert len(receiver.asked) == MOST_ATTEMPTS
    assert row.pk not in due_deliveries(now=now + timedelta(days=1))


def test_a_receiver_that_drips_is_given_up(alert, monkeypatch):
    monkeypatch.setattr("inventory.alert_channels.WEBHOOK_MS", 300)
    with Authority([drips]) as receiver:
        posts_to(alert, receiver.url)
        assert deliver(alert, "webhook").last_error == "The receiver took too long."


def test_without_a_webhook_nobody_is_told(alert):
    row = deliver(alert, "webhook")
    assert (row.state, row.last_error) == ("skipped", "No webhook is set for the shop.")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1", "[::ffff:10.0.0.1]"]
)
def test_in_production_no_private_address_is_connected_to(alert, settings, host):
    with Authority([says(200, {})]) as receiver:
        posts_to(alert, f"http://{host}:{receiver.url.rpartition(':')[2]}/")
        settings.PROBE_PRIVATE_ADDRESSES = False
        row = deliver(alert, "webhook")
    assert row.state == "due" and "private address" in row.last_error
    assert receiver.asked == []


def test_an_address_set_in_development_is_not_used_in_production(alert, settings):
    with Authority([says(200, {})]) as receiver:
        posts_to(alert, receiver.url)
        settings.PUBLIC_SCHEME = "https"
        row = deliver(alert, "webhook")
    assert row.state == "due" and "Expected https://" in row.last_error
    assert receiver.asked == []


def test_a_secret_that_no_key_opens_is_said(alert, settings):
    with Authority([says(200, {})]) as receiver:
        posts_to(alert, receiver.url)
        settings.CREDENTIAL_KEYS = ("bm90aGluZy1idXQtYXMtbG9uZy1hcy1hLWtleS1pcyE=",)
        assert deliver(alert, "webhook").last_error == "None of CREDENTIAL_KEYS opens it."
        settings.CREDENTIAL_KEYS = ("dGVzdHMtc2VhbC13aXRoLXRoaXMta2V5LWFuZC1ubyE=",)
        AlertWebhook.objects.for_shop(alert.owner_id).update(url="https://elsewhere.test/")
        late = NOW + timedelta(days=1)
        assert deliver(alert, "webhook", now=late).last_error == "It was sealed about something else."
    assert receiver.asked == []


def test_a_sender_that_died_is_followed_by_another(alert):
    row = AlertDelivery.objects.for_shop(alert.owner_id).get(channel="email")
    # What a process that was killed between claiming and sending leaves behind.
    AlertDelivery.objects.filter(pk=row.pk).update(state="sending", attempts=1, next_attempt_at=NOW + LEASE)
    assert row.pk not in due_deliveries(now=NOW + LEASE - timedelta(seconds=1))
    assert deliver(alert, "email").state == "sending"
    assert row.pk in due_deliveries(now=NOW + LEASE)
    row = deliver(alert, "email", now=NOW + LEASE)
    assert (row.state, row.attempts, len(mail.outbox)) == ("sent", 2, 1)


@pytest.mark.django_db(transaction=True)
def test_one_that_was_taken_over_reports_nothing(alert):
    """The slow first sender comes back when a second one has the delivery: its report must not undo the other's."""
    row = AlertDelivery.objects.for_shop(alert.owner_id).get(channel="webhook")

    def taken_over_meanwhile(link):
        try:
            AlertDelivery.objects.filter(pk=row.pk).update(state="sending", attempts=2)
        finally:
            connection.close()
        says(500, {})(link)

    with Authority([taken_over_meanwhile]) as receiver:
        posts_to(alert, receiver.url)
        assert deliver_alert(delivery_id=row.pk, now=NOW) == ""
    row.refresh_from_db()
    assert (row.state, row.attempts, row.last_error) == ("sending", 2, "")


@pytest.mark.django_db(transaction=True)
def test_senders_side_by_side_post_once(alert):
    with Authority([says(200, {})]) as receiver:
        posts_to(alert, receiver.url)
        row = AlertDelivery.objects.for_shop(alert.owner_id).get(channel="webhook")
        gate = threading.Barrier(6)

        def work(_):
            try:
                gate.wait()
                return deliver_alert(delivery_id=row.pk, now=NOW)
            finally:
                connection.close()

        with ThreadPoolExecutor(6) as pool:
            assert sorted(pool.map(work, range(6))) == ["", "", "", "", "", "sent"]
    assert len(receiver.asked) == 1


def test_retrying_is_for_what_failed_and_is_on_record(alert):
    with pytest.raises(WrongState):
        retry_alert(owner_id=alert.owner_id, alert_id=alert.pk, reason="Why not", acting=STAFF)
    with pytest.raises(NotFound):
        retry_alert(owner_id="another", alert_id=alert.pk, reason="Why not", acting=STAFF)
    AlertDelivery.objects.for_shop(alert.owner_id).filter(channel="webhook").update(state="failed", attempts=10)
    retry_alert(owner_id=alert.owner_id, alert_id=alert.pk, reason="It is back", acting=STAFF, now=NOW)
    rows = AlertDelivery.objects.for_shop(alert.owner_id).order_by("channel").values_list("state", "attempts")
    assert list(rows) == [("due", 0), ("due", 0)]
    entry = AuditEntry.objects.for_shop(alert.owner_id).get(action="stock_alert.retried")
    assert (entry.reason, entry.data) == ("It is back", {"channels": ["Webhook"]})


def test_the_database_keeps_one_delivery_per_channel(alert):
    row = AlertDelivery.objects.for_shop(alert.owner_id).get(channel="email")
    row.pk = None
    with pytest.raises(IntegrityError, match="alert_delivery_one_per_channel"), transaction.atomic():
        row.save()


def test_the_receiver_of_the_documentation_checks_it(alert):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "alerts.md").read_text(), re.DOTALL)
    told: dict[str, Any] = {}
    exec(example, told)
    with Authority([says(200, {})]) as receiver:
        posts_to(alert, receiver.url)
        deliver(alert, "webhook")
    header = receiver.asked[0][1]["x-holdfast-signature"]
    assert told["is_genuine"](receiver.bodies[0], header, SECRET)
    assert not told["is_genuine"](receiver.bodies[0] + b" ", header, SECRET)
    assert not told["is_genuine"](receiver.bodies[0], header, SECRET.upper())
    old = signature(receiver.bodies[0], secret=SECRET, at=1)
    assert not told["is_genuine"](receiver.bodies[0], old, SECRET)
