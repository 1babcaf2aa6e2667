"""Failed logins are throttled by name and address (A5), through the page on which staff log in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from tenants.models import AuditEntry, Membership
from tests.factories.tenants import ShopFactory
from tests.fixtures.lines import Lines

pytestmark = pytest.mark.django_db
LOGIN, LIST = "/admin/login/", "/admin/axes/accessattempt/"
PASSWORD = "correct horse battery"
HOME, ELSEWHERE = "192.0.2.1", "203.0.113.9"


@pytest.fixture(autouse=True)
def olga() -> User:
    return User.objects.create_superuser("olga", password=PASSWORD)


def login(name: str = "olga", password: str = "wrong", address: str = HOME, **headers: str) -> Any:
    sent = {"Host": "localhost", "X-Forwarded-For": address, "User-Agent": "test"} | headers
    return Client().post(LOGIN, {"username": name, "password": password, "next": "/admin/"}, headers=sent)


def fail(times: int, **of: Any) -> list[int]:
    return [login(**of).status_code for _ in range(times)]


def inside(answer: Any) -> bool:
    return answer.status_code == 302 and answer["Location"] == "/admin/"


class TestTheLock:
    def test_the_fifth_failure_locks_and_the_right_password_no_longer_helps(self):
        assert fail(5) == [200, 200, 200, 200, 429]
        assert login(password=PASSWORD).status_code == 429
        assert login(password=PASSWORD, **{"User-Agent": "another browser"}).status_code == 429

    def test_it_is_answered_as_everything_else_is(self):
        fail(4)
        document = login()
        assert (document.json()["code"], document["Content-Type"]) == ("rate_limited", "application/problem+json")
        assert 890 <= int(document["Retry-After"]) <= 900
        page = login(Accept="text/html")
        assert (page.status_code, page["Content-Type"].split(";")[0]) == (429, "text/html")
        assert "Too many failed logins" in page.content.decode()
        assert "X-Request-Id" in page

    def test_it_holds_nobody_else(self):
        other = User.objects.create_superuser("otto", password=PASSWORD)
        fail(5)
        assert inside(login(password=PASSWORD, address=ELSEWHERE)), "olga herself, from where nobody guessed"
        assert inside(login(name=other.username, password=PASSWORD)), "a colleague behind the same address"

    def test_a_name_that_does_not_exist_is_locked_alike(self):
        known, unknown = fail(6), fail(6, name="nobody")
        assert known == unknown == [200] * 4 + [429] * 2

    def test_a_success_forgets_the_failures(self):
        fail(4)
        assert inside(login(password=PASSWORD))
        assert fail(4) == [200] * 4

    def test_browsers_of_one_address_count_together(self):
        assert [login(**{"User-Agent": f"browser {n}"}).status_code for n in range(5)][-1] == 429

    @pytest.mark.parametrize(
        "forged", [f"9.9.9.{{n}}, {HOME}", f"unknown{{n}}, {HOME}", f"{HOME}:40{{n}}"], ids=["left", "rubbish", "port"]
    )
    def test_a_forged_address_is_no_way_round(self, forged: str):
        answers = [login(address=forged.format(n=n)).status_code for n in range(5)]
        assert answers[-1] == 429
        assert login(password=PASSWORD, address=HOME).status_code == 429

    def test_nor_is_another_address_of_the_same_network(self):
        assert [login(address=f"2001:db8::{n}").status_code for n in range(1, 6)][-1] == 429
        assert inside(login(password=PASSWORD, address="2001:db8:0:1::1"))

    def test_knocking_does_not_prolong_it_and_it_ends(self, settings: Settings):
        fail(5)
        AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=14))
        knocked = login(password=PASSWORD)
        assert (knocked.status_code, int(knocked["Retry-After"]) <= 60) == (429, True)
        AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
        assert inside(login(password=PASSWORD))
        assert not AccessAttempt.objects.exists()

    @pytest.mark.parametrize("name", ["", "x" * 200, "a\x00b", "ölga", "'; --", "<b>"])
    def test_rubbish_names(self, name: str):
        assert login(name=name).status_code == 200


def test_nothing_personal_is_logged_and_little_is_kept(log_lines: Lines):
    fail(6, **{"User-Agent": "peculiar browser"})
    told = str(log_lines())
    assert [word for word in ("olga", HOME, "peculiar", "wrong") if word in told] == []
    kept = str(list(AccessAttempt.objects.values("get_data", "post_data")))
    assert [word for word in ("olga", "wrong", "/admin/") if word in kept] == []
    login(password=PASSWORD, address=ELSEWHERE)
    assert (AccessLog.objects.count(), AccessFailureLog.objects.count()) == (0, 0)


class TestThePage:
    @pytest.fixture
    def owner(self, client: Client) -> Client:
        client.force_login(User.objects.create_superuser("otto"))
        return client

    def test_a_colleague_unlocks_with_a_reason(self, owner: Client):
        fail(3)
        fail(2, **{"User-Agent": "another"})
        page = owner.get(LIST).content.decode()
        assert page.count("Locked") >= 2, "both browsers' rows say so"
        row = AccessAttempt.objects.first()
        asked = owner.get(f"{LIST}{row.pk}/act-unlock/").context["token"]
        done = owner.post(f"{LIST}act/unlock/", {"token": asked, "reason": "She called"}, follow=True)
        assert "Unlocked." in done.content.decode()
        assert inside(login(password=PASSWORD))
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.object_id, entry.actor_name, entry.reason) == (
            "login.unlocked",
            "olga",
            "otto",
            "She called",
        )
        assert HOME not in str(entry.data)

    def test_only_platform_staff_see_it_and_only_some_may(self, client: Client):
        fail(5)
        row = AccessAttempt.objects.get()
        reader = User.objects.create_user("reader", is_staff=True)
        reader.user_permissions.set(Permission.objects.filter(codename__in=["view_accessattempt", "see_every_shop"]))
        client.force_login(reader)
        assert client.get(LIST).status_code == 200
        assert client.get(f"{LIST}{row.pk}/act-unlock/").status_code == 403
        member = User.objects.create_user("member", is_staff=True)
        member.user_permissions.set(Permission.objects.filter(content_type__app_label="axes"))
        Membership.objects.create(user=member, shop=ShopFactory())
        client.force_login(member)
        assert client.get(LIST).status_code == 403
        assert client.get(f"{LIST}{row.pk}/act-unlock/").status_code == 404
