"""Low-stock alerts in the back office: the list, sending again, and where a shop's alerts go."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inventory.alert_delivery import deliver_alert, due_deliveries
from inventory.alerts import watch_stock
from inventory.models import AlertDelivery, StockAlert
from tenants.alert_webhooks import alert_target
from tenants.models import AlertWebhook, AuditEntry, Shop
from tenants.resealing import reseal_all
from tests.commerce.backoffice import TOKEN, desk, text
from tests.factories.inventory import StockRowFactory
from tests.factories.tenants import ShopFactory
from tests.inventory.steps import NOW

pytestmark = pytest.mark.django_db
SECRET = "a-secret-of-thirty-characters!"
URL = "https://hooks.shop.test/stock"


@pytest.fixture
def alert():
    row = StockRowFactory(sku="BAND", on_hand=2, low_stock_threshold=3)
    watch_stock(now=NOW)
    for delivery_id in due_deliveries(now=NOW):
        deliver_alert(delivery_id=delivery_id, now=NOW)
    return StockAlert.objects.for_shop(row.owner_id).get()


def test_the_list_says_what_fell_and_whether_anybody_heard(alert):
    clerk = desk()
    page = clerk.list(StockAlert)
    shown = text(page)
    for words in ("BAND", "2026-03-01 12:00 UTC", "Low", "E-mail: Nobody to tell"):
        assert words in shown
    AlertDelivery.objects.for_shop(alert.owner_id).filter(channel="webhook").update(state="failed")
    assert "No webhook is set for the shop." in text(clerk.list(StockAlert))
    assert f"/admin/inventory/stockrow/{alert.stock_row_id}/change/" in page.content.decode()


def test_one_alert_shows_each_channel(alert):
    shown = text(desk().page(alert))
    assert "Webhook: Nobody to tell" in shown and "No recipient" in shown


def test_sending_again_asks_why_and_does_it_once(alert):
    clerk = desk("inventory.view_stockalert", "inventory.change_stockalert")
    asked = clerk.ask(StockAlert, "retry", alert)
    assert "E-mail is sent again; last: No recipient" in text(asked)
    refused = text(clerk.confirm(StockAlert, "retry", asked, reason=""))
    assert "This field is required" in refused
    told = text(clerk.confirm(StockAlert, "retry", asked, reason="Named a recipient"))
    assert "E-mail and Webhook: sent within a minute." in told
    rows = AlertDelivery.objects.for_shop(alert.owner_id).values_list("state", "attempts")
    assert list(rows) == [("due", 0), ("due", 0)]
    assert "Nothing of it has failed." in text(clerk.ask(StockAlert, "retry", alert))


def test_looking_is_not_sending(alert):
    clerk = desk("inventory.view_stockalert")
    assert clerk.list(StockAlert).status_code == 200
    assert TOKEN.search(clerk.ask(StockAlert, "retry", alert).content.decode()) is None
    assert set(AlertDelivery.objects.for_shop(alert.owner_id).values_list("state", flat=True)) == {"skipped"}


def test_a_longer_list_takes_no_more_queries(alert):
    owner = desk()
    counts = []
    for more in (0, 3):
        StockRowFactory.create_batch(more, owner=alert.owner, on_hand=0, low_stock_threshold=1)
        watch_stock(now=NOW)
        with CaptureQueriesContext(connection) as queries:
            assert owner.list(StockAlert).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.fixture
def owner():
    return desk()


def webhook(owner, shop, **fields):
    return owner.do(Shop, "alert_webhook", shop, reason="Their system asked", **{"url": "", "secret": "", **fields})


def test_staff_set_where_alerts_are_posted(owner):
    shop = ShopFactory()
    told = webhook(owner, shop, url=URL, secret=SECRET)
    assert f"Alerts are posted to {URL}, signed with the secret that ends in ers!." in told
    target = alert_target(shop_id=shop.pk)
    assert (target.url, target.secret) == (URL, SECRET)
    row = AlertWebhook.objects.for_shop(shop.pk).get()
    entry = AuditEntry.objects.for_shop(shop.pk).get(action="alert_webhook.set")
    assert entry.data == {"changes": {"url": ["", URL]}}
    assert SECRET not in f"{row.sealed} {entry.reason} {target!r} {told}"


def test_a_new_address_keeps_the_secret_and_an_empty_one_ends_it(owner):
    shop = ShopFactory()
    webhook(owner, shop, url=URL, secret=SECRET)
    from_now_on = "https://elsewhere.test/"
    asked = owner.ask(Shop, "alert_webhook", shop)
    assert f"Now posted to {URL}, signed with the secret that ends in ers!." in text(asked)
    owner.confirm(Shop, "alert_webhook", asked, reason="They moved", url=from_now_on, secret="")
    assert alert_target(shop_id=shop.pk).secret == SECRET
    assert alert_target(shop_id=shop.pk).url == from_now_on
    owner.do(Shop, "alert_webhook", shop, reason="They left", url="", secret="")
    assert alert_target(shop_id=shop.pk) is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"url": URL}, "A secret has 24 to 200"),
        ({"url": URL, "secret": "short"}, "A secret has 24 to 200"),
        ({"url": URL, "secret": "has spaces in between the words"}, "A secret has 24 to 200"),
        ({"url": "ftp://a.test/", "secret": SECRET}, "Expected http or https://host/path"),
        ({"url": "https://", "secret": SECRET}, "Expected http or https://host/path"),
        ({"url": "https://a.test:0/", "secret": SECRET}, "Expected http or https://host/path"),
        ({"url": "https://a.test:x/", "secret": SECRET}, "Expected http or https://host/path"),
        ({"url": "https://a b.test/", "secret": SECRET}, "Expected http or https://host/path"),
        ({"url": "https://me:word@a.test/", "secret": SECRET}, "can't have a user"),
        ({}, "There is no address to remove."),
    ],
)
def test_what_is_no_webhook_is_refused(owner, fields, why):
    shop = ShopFactory()
    assert why in webhook(owner, shop, **fields)
    assert not AlertWebhook.objects.for_shop(shop.pk).exists()


def test_production_takes_https_alone(owner, settings):
    settings.PUBLIC_SCHEME = "https"
    assert "Expected https://host/path" in webhook(owner, ShopFactory(), url="http://hooks.shop.test/", secret=SECRET)


def test_rotating_the_keys_seals_it_anew(owner, settings):
    shop = ShopFactory()
    webhook(owner, shop, url=URL, secret=SECRET)
    old = settings.CREDENTIAL_KEYS
    settings.CREDENTIAL_KEYS = ("bm90aGluZy1idXQtYXMtbG9uZy1hcy1hLWtleS1pcyE=", *old)
    assert reseal_all().done == 1
    settings.CREDENTIAL_KEYS = settings.CREDENTIAL_KEYS[:1]
    assert alert_target(shop_id=shop.pk).secret == SECRET
