"""The inventory API when things go wrong: a real lock, a closed shop, a database that is gone, a checkout's hold."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.http import HttpResponse
from prometheus_client import REGISTRY
from pytest_django import Settings

from checkout.models import CheckoutAttempt
from inventory.models import Hold, StockRow
from inventory.release_guard import release_guard
from inventory.stock import adjust_stock
from tenants.models import Host, Shop
from tests.factories.inventory import StockRowFactory
from tests.factories.tenants import HostFactory
from tests.fixtures.outages import postgresql_away
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from tests.fixtures.workers import Worker, issue
from tests.inventory.steps import STAFF, counters, hold_within
from tests.inventory.test_contention import elsewhere
from tests.webhooks.deliver import deliver, event

pytestmark = pytest.mark.django_db(transaction=True)
BAND = {"items": [{"sku": "BAND", "quantity": 1}]}


@pytest.fixture
def row(settings: Settings) -> StockRow:
    settings.SERVICE_TOKEN_SECONDS = 60.0
    row: StockRow = StockRowFactory(owner__shop=HostFactory(shop__id="acme").shop, sku="BAND", on_hand=5)
    return row


@pytest.fixture
def worker(row: StockRow) -> Worker:
    return Worker(issue(row.owner_id), host="acme.localhost")


def refusal(answer: HttpResponse) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Cache-Control"] == "no-store"
    return answer.status_code, answer.json()["code"]


def counted(name: str) -> float:
    return REGISTRY.get_sample_value(name, {"shop_id": "acme"}) or 0.0


class TestBusy:
    def test_a_locked_row_is_busy_says_when_to_come_again_and_moves_nothing(
        self, worker: Worker, row: StockRow, settings: Settings
    ):
        settings.INVENTORY_LOCK_TIMEOUT_MS = 60
        held = worker.hold("BAND").json()["holdId"]
        before = counted("inventory_busy_total")
        asked = [("holds", BAND), (f"holds/{held}/commit", {}), (f"holds/{held}/release", {})]
        with elsewhere(lambda: hold_within(row, key="somebody else")):
            answers = [worker.post(path, body) for path, body in asked]
            assert worker.post("validate", BAND).status_code == 200, "a look waits for nobody"
        for answer in answers:
            assert refusal(answer) == (429, "inventory_busy")
            body = answer.json()
            assert (body["retryAfterMs"], body["retryAfter"], body["error"]) == (60, 60, "inventory_busy")
            assert answer["Retry-After"] == "1", "whole seconds, at least one"
        assert counted("inventory_busy_total") == before + 3
        assert counters(row) == [(5, 2, 3)], "mine and somebody else's"
        assert Hold.objects.get(pk=held).status == "active"

    def test_a_repeat_succeeds_and_is_counted_where_the_caller_says_that_it_is_one(
        self, worker: Worker, row: StockRow, settings: Settings
    ):
        settings.INVENTORY_LOCK_TIMEOUT_MS = 60
        before = counted("inventory_busy_retry_success_total")
        with elsewhere(lambda: hold_within(row, key="somebody else")):
            assert refusal(worker.post("holds", BAND)) == (429, "inventory_busy")
        for said, more in (("1", 1), ("0", 1), ("-1", 1), ("x", 1), ("1" * 9, 1), ("12", 2)):
            assert worker.post("holds", BAND, X_Busy_Retry=said).status_code in (201, 409)
            assert counted("inventory_busy_retry_success_total") == before + min(more, 1 + (said == "12"))
            row.refresh_from_db()
            adjust_stock(shop_id="acme", stock_row_id=row.pk, delta=1, reason="receipt", note="", acting=STAFF)


class TestClosed:
    @pytest.mark.parametrize("how", ["expired host", "landing-only host", "closed shop"])
    def test_new_business_is_410_and_holds_can_still_end(self, worker: Worker, row: StockRow, how: str):
        first, second = (worker.hold("BAND").json()["holdId"] for _ in range(2))
        if how == "closed shop":
            Shop.objects.filter(pk="acme").update(status=Shop.Status.CLOSED)
        else:
            Host.objects.update(mode=Host.Mode.EXPIRED if how == "expired host" else Host.Mode.LANDING_ONLY)
        for host in ("acme.localhost", "localhost"):
            caller = Worker(worker.token, host)
            for path in ("validate", "holds"):
                assert refusal(caller.post(path, BAND)) == (410, "shop_expired"), (path, host)
            assert caller.get(f"holds/{first}").json()["status"] == "active"
            assert caller.get("health").status_code == 200
        availability = Worker(host="acme.localhost").get("availability?sku=BAND")
        assert refusal(availability) == (410, "shop_expired")
        extended = worker.post(f"holds/{first}/extend", {"ttlSeconds": 600})
        assert extended.status_code == (410 if how == "closed shop" else 200)
        assert worker.post(f"holds/{first}/commit", {}).json()["status"] == "committed"
        assert worker.post(f"holds/{second}/release", {}).json()["status"] == "released"
        assert counters(row) == [(4, 0, 4)]


class TestAway:
    def test_without_postgresql_every_route_fails_closed_and_recovers(self, worker: Worker, row: StockRow):
        held = worker.hold("BAND").json()["holdId"]
        stranger = Worker(host="acme.localhost")
        assert stranger.post("validate", BAND).status_code == 200
        with postgresql_away():
            answers = [
                worker.get("health"),
                worker.post("validate", BAND),
                stranger.post("validate", BAND),
                stranger.get("availability?sku=BAND"),
                worker.post("holds", BAND),
                worker.get(f"holds/{held}"),
                worker.post(f"holds/{held}/extend", {"ttlSeconds": 600}),
                worker.post(f"holds/{held}/commit", {}),
                worker.post(f"holds/{held}/release", {}),
            ]
        for answer in answers:
            assert refusal(answer) == (503, "inventory_unavailable")
            assert (answer.json()["retryAfterMs"], answer["Retry-After"]) == (2000, "2")
            assert "nonexistent" not in answer.content.decode(), "nothing of where it was looked for"
        assert counters(row) == [(5, 1, 4)]
        assert worker.get("health").json()["ok"] is True
        assert worker.post(f"holds/{held}/release", {}).status_code == 200

    def test_a_token_that_nobody_remembers_is_not_refused_for_good(self, row: StockRow, settings: Settings):
        """401 would make a caller throw its token away."""
        settings.SERVICE_TOKEN_SECONDS = 0.0
        worker = Worker(issue("acme"), host="acme.localhost")
        assert worker.get("health").status_code == 200
        with postgresql_away():
            assert refusal(worker.get("health")) == (503, "inventory_unavailable")
        assert worker.get("health").status_code == 200


class TestFreshness:
    def test_a_change_is_seen_by_the_next_look_whatever_its_etag(self, worker: Worker, row: StockRow):
        """No cache of ours is behind it: `max-age=2` is all the staleness that an answer can have."""
        look = Worker(host="acme.localhost")
        first = look.get("availability?sku=BAND")
        assert (first["Cache-Control"], first.json()["items"][0]["available"]) == ("max-age=2", 5)
        changes = (
            lambda: worker.hold("BAND"),
            lambda: adjust_stock(
                shop_id="acme", stock_row_id=row.pk, delta=-1, reason="adjustment", note="", acting=STAFF
            ),
            lambda: worker.post(f"holds/{Hold.objects.get().pk}/release", {}),
        )
        seen = [first["ETag"]]
        for change, left in zip(changes, (4, 3, 4), strict=True):
            assert look.get("availability?sku=BAND", If_None_Match=seen[-1]).status_code == 304
            change()
            answer = look.get("availability?sku=BAND", If_None_Match=seen[-1])
            assert (answer.status_code, answer.json()["items"][0]["available"]) == (200, left)
            seen.append(answer["ETag"])
        assert seen[1] == seen[3], "the tag is the stock's, not the moment's"


class TestACheckoutsHold:
    @pytest.fixture
    def guard(self, settings: Settings):
        """The checkout's own, in place of the tests' (tests/inventory/conftest.py)."""
        settings.INVENTORY_RELEASE_GUARD = "checkout.release_guard.CheckoutReleaseGuard"
        release_guard.cache_clear()
        yield
        release_guard.cache_clear()

    def test_it_is_read_and_not_ended(self, guard: None, trade: Trade, standin: StandIn):
        started = trade.buyer_with_cart(2).checkout().json()
        hold_id = started["inventoryReservationId"]
        worker = Worker(issue(trade.shop.pk), host=trade.host)
        before = trade.facts()
        for verb in ("commit", "release"):
            assert refusal(worker.post(f"holds/{hold_id}/{verb}", {})) == (409, "hold_in_checkout")
        assert worker.get(f"holds/{hold_id}").json()["status"] == "active"
        attempt = CheckoutAttempt.objects.get(hold_id=hold_id)
        late = worker.post(f"holds/{hold_id}/extend", {"ttlSeconds": 3600})
        assert refusal(late) == (409, "hold_in_checkout"), "it would outlive its payment session"
        assert trade.facts() == before
        soon = worker.post(f"holds/{hold_id}/extend", {"ttlSeconds": 600})
        assert soon.status_code == 200
        assert datetime.fromisoformat(soon.json()["expiresAt"]) < attempt.session_expires_at + timedelta(seconds=1)

    @pytest.mark.parametrize("verb", ["commit", "release", "extend"])
    def test_one_that_is_over_says_how_it_ended(self, guard: None, trade: Trade, standin: StandIn, verb: str):
        started = trade.buyer_with_cart().checkout().json()
        standin.pay(started["sessionId"])
        Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)
        told = deliver(event("checkout.session.completed", standin.session(started["sessionId"])))
        assert told.status_code == 200
        worker = Worker(issue(trade.shop.pk), host=trade.host)
        hold_id = started["inventoryReservationId"]
        body = {"ttlSeconds": 600} if verb == "extend" else {}
        answer = worker.post(f"holds/{hold_id}/{verb}", body)
        assert Hold.objects.get(pk=hold_id).status == "committed"
        if verb == "commit":
            assert (answer.status_code, answer.json()["idempotentHit"]) == (200, True)
        else:
            assert refusal(answer) == (409, "hold_not_active")
            assert answer.json()["holdStatus"] == "committed"
