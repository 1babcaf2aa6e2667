"""Actions of staff: stated, reasoned, done once, reported per row."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from tenants.models import AuditEntry, Host
from tests.factories.tenants import HostFactory

LIST = "/admin/tenants/host/"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def desk(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.tenants.desk_urls"


def staff(name: str, *permissions: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=[*permissions, "see_every_shop"]))
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


@pytest.fixture
def ann(db: None) -> Client:
    """May see and change hosts."""
    return staff("ann", "view_host", "change_host")


def ask(client: Client, *hosts: Host, action: str = "close") -> Any:
    """The list's action on ticked rows: the page that asks."""
    return client.post(LIST, {"action": f"act_{action}", "_selected_action": [host.pk for host in hosts]})


def token_of(page: Any) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page.content.decode())
    assert found, page.content.decode()
    return found[1]


def act(client: Client, token: str, reason: str = "asked for by mail", action: str = "close", **fields: str) -> Any:
    return client.post(f"{LIST}act/{action}/", {"token": token, "reason": reason, **fields})


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def modes() -> set[str]:
    return set(Host.objects.values_list("mode", flat=True))


def test_it_says_what_will_happen_to_each_row_and_does_nothing_yet(ann: Client):
    open_host, closed = HostFactory(shop__id="acme"), HostFactory(shop__id="done", mode=Host.Mode.EXPIRED)
    page = ask(ann, open_host, closed)
    assert page.status_code == 200
    assert "acme.localhost takes no more orders." in text(page)
    assert "It is closed already." in text(page)
    open_host.refresh_from_db()
    assert open_host.mode == Host.Mode.ACTIVE
    assert not AuditEntry.objects.exists()


def test_it_is_done_with_the_reason_by_the_one_who_asked(ann: Client):
    host = HostFactory(shop__id="acme")
    done = act(ann, token_of(ask(ann, host)))
    assert done.status_code == 302
    report = ann.get(done["Location"])
    assert "1 done" in text(report)
    assert "Closed." in text(report)
    host.refresh_from_db()
    assert host.mode == Host.Mode.EXPIRED
    entry = AuditEntry.objects.get()
    assert (entry.actor_name, entry.reason, entry.shop_id) == ("ann", "asked for by mail", "acme")


def test_from_the_objects_own_page(ann: Client):
    host = HostFactory(shop__id="acme")
    page = ann.get(f"{LIST}{host.pk}/change/")
    assert f"{LIST}{host.pk}/act-close/" in text(page)
    act(ann, token_of(ann.get(f"{LIST}{host.pk}/act-close/")))
    assert modes() == {Host.Mode.EXPIRED}


@pytest.mark.parametrize("reason", ["", "  ", "no", " x "])
def test_no_reason_no_action(ann: Client, reason: str):
    host = HostFactory()
    token = token_of(ask(ann, host))
    again = act(ann, token, reason=reason)
    assert again.status_code == 200
    assert modes() == {Host.Mode.ACTIVE}
    assert act(ann, token_of(again)).status_code == 302, "the same page goes on once a reason is given"
    assert modes() == {Host.Mode.EXPIRED}


def test_its_own_fields_reach_the_verb(ann: Client):
    host = HostFactory()
    page = ask(ann, host, action="later")
    assert "Closes in some days." in text(page)
    refused = act(ann, token_of(page), action="later", days="0")
    assert refused.status_code == 200
    act(ann, token_of(page), action="later", days="3")
    assert AuditEntry.objects.get().data == {"days": 3}


def test_a_second_click_shows_the_same_report_and_does_nothing(ann: Client):
    token = token_of(ask(ann, HostFactory()))
    first, second = act(ann, token), act(ann, token)
    assert first["Location"] == second["Location"]
    assert AuditEntry.objects.count() == 1
    assert "1 done" in text(ann.get(second["Location"]))
    assert AuditEntry.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_clicks_at_the_same_moment_act_once():
    client = staff("ann", "view_host", "change_host")
    token = token_of(ask(client, HostFactory()))
    start = threading.Barrier(4)

    def click() -> None:
        own = Client()
        own.cookies = client.cookies.copy()
        start.wait()
        act(own, token)
        connections.close_all()

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert AuditEntry.objects.count() == 1


def test_one_row_that_refuses_or_breaks_does_not_stop_the_rest(ann: Client):
    hosts = [HostFactory(hostname=f"{name}.localhost") for name in ("broken", "refusing", "sound")]
    report = text(ann.get(act(ann, token_of(ask(ann, *hosts)))["Location"]))
    assert "1 done, 1 left as they were, 1 failed." in report
    assert "This one refuses &lt;b&gt;today&lt;/b&gt;." in report
    assert "secret" not in report
    assert Host.objects.get(mode=Host.Mode.EXPIRED).hostname == "sound.localhost"


def test_a_row_that_went_in_between_is_named(ann: Client):
    host, gone = HostFactory(), HostFactory()
    token = token_of(ask(ann, host, gone))
    gone.delete()
    report = text(ann.get(act(ann, token)["Location"]))
    assert "1 done, 1 left as they were" in report
    assert "It is no longer there." in report


def test_nothing_possible_offers_nothing(ann: Client):
    page = text(ask(ann, HostFactory(mode=Host.Mode.EXPIRED)))
    assert "Nothing can be done here" in page
    assert 'name="reason"' not in page


def test_too_many_rows_at_once_are_refused(ann: Client):
    hosts = [HostFactory() for _ in range(51)]
    answer = ask(ann, *hosts)
    assert answer.status_code == 302
    assert "at most 50" in text(ann.get(answer["Location"]))


class TestWhoMay:
    def test_whoever_may_only_look_is_offered_nothing_and_refused(self):
        host = HostFactory()
        viewer = staff("vic", "view_host")
        assert "act_close" not in text(viewer.get(LIST))
        assert "act-close" not in text(viewer.get(f"{LIST}{host.pk}/change/"))
        assert viewer.get(f"{LIST}{host.pk}/act-close/").status_code == 403
        assert act(viewer, "x").status_code == 403
        assert viewer.get(f"{LIST}act/close/0123/").status_code == 403

    def test_a_named_permission_counts(self, ann: Client):
        assert "act_rare" not in text(ann.get(LIST))
        rare = staff("rae", "view_host", "add_shop")
        assert "act_rare" in text(rare.get(LIST)) or not Host.objects.exists()
        act(rare, token_of(ask(rare, HostFactory(), action="rare")), action="rare")
        assert modes() == {Host.Mode.EXPIRED}

    def test_a_page_is_good_for_its_own_user_and_action(self, ann: Client):
        token = token_of(ask(ann, HostFactory()))
        other = staff("bob", "view_host", "change_host")
        assert act(other, token).status_code == 403
        assert act(ann, token, action="later", days="1").status_code == 403
        assert modes() == {Host.Mode.ACTIVE}

    @pytest.mark.parametrize("token", ["", "rubbish", "a:b:c"])
    def test_a_made_up_page_does_nothing(self, ann: Client, token: str):
        HostFactory()
        answer = act(ann, token)
        assert answer.status_code == 302
        assert "Nothing was done" in text(ann.get(answer["Location"]))
        assert modes() == {Host.Mode.ACTIVE}

    def test_an_old_page_does_nothing(self, ann: Client):
        token = token_of(ask(ann, HostFactory()))
        with time_machine.travel(timezone.now() + timedelta(seconds=3700), tick=False):
            assert act(ann, token).status_code == 302
        assert modes() == {Host.Mode.ACTIVE}

    def test_strangers_are_sent_to_the_login(self):
        host = HostFactory()
        for answer in (act(Client(), "x"), Client().get(f"{LIST}{host.pk}/act-close/")):
            assert answer.status_code == 302
            assert "/admin/login/" in answer["Location"]

    @pytest.mark.parametrize("path", ["act/unknown/", "act/close/"])
    def test_addresses_without_a_page(self, ann: Client, path: str):
        assert ann.get(f"{LIST}{path}").status_code == 404


def test_a_report_that_is_no_longer_kept_says_so(ann: Client):
    assert "The audit trail has it" in text(ann.get(f"{LIST}act/close/0123456789/"))
