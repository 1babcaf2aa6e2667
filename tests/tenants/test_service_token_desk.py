"""Service tokens in the back office: issued and rotated on pages that show a secret once, ended with a reason (A6)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from tenants.audit import Actor
from tenants.callers import ServiceTokens
from tenants.errors import Unauthenticated, WrongState
from tenants.models import AuditEntry, Membership, ServiceToken, Shop
from tenants.service_token_desk import new_page
from tenants.service_tokens import (
    fresh_material,
    issue_service_token,
    material_drawn_from,
    revoke_service_token,
    rotate_service_token,
    secret_digest,
    secret_drawn_from,
)
from tenants.staff import EVERY_SHOP
from tests.commerce.backoffice import TOKEN, queries, text
from tests.factories.tenants import ShopFactory
from tests.fixtures.trade import in_threads
from tests.fixtures.workers import issue

pytestmark = pytest.mark.django_db
LIST = "/admin/tenants/servicetoken/"
SECRET = re.compile(r"hfs_[0-9a-f]{16}_[A-Za-z0-9_-]{43}")
WHY: dict[str, Any] = {"reason": "A test", "acting": Actor("staff", "olga"), "scope": EVERY_SHOP}


@pytest.fixture
def acme() -> Shop:
    shop: Shop = ShopFactory(id="acme", settings__time_zone="Europe/Berlin")
    return shop


@pytest.fixture
def owner(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("olga"))
    return client


def member(shop: Shop, *codenames: str, name: str = "mia") -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames or MANAGER))
    Membership.objects.create(user=user, shop=shop)
    client = Client()
    client.force_login(user)
    return client


MANAGER = ("view_servicetoken", "add_servicetoken", "change_servicetoken")


def asked(**more: Any) -> dict[str, Any]:
    wishes = {"label": "worker", "shop": "acme", "scopes": ["inventory:hold", "inventory:read"], "days": "30"}
    return wishes | {"reason": "A new worker", "page": new_page()} | more


def opens(token: str) -> bool:
    try:
        ServiceTokens().admit(token, shop_label="-")
    except Unauthenticated:
        return False
    return True


def shown(answer: HttpResponse) -> str:
    """The one token that a page shows, or nothing."""
    found = set(SECRET.findall(answer.content.decode()))
    assert len(found) <= 1
    return found.pop() if found else ""


def row_of(token: str) -> ServiceToken:
    return ServiceToken.objects.get(pk=token.split("_")[1])


class TestIssuing:
    def test_a_token_is_shown_once(self, owner: Client, acme: Shop):
        answer = owner.post(f"{LIST}add/", asked())
        token = shown(answer)
        row = row_of(token)
        assert opens(token)
        assert "no-store" in answer["Cache-Control"]
        life = row.expires_at - row.created_at if row.expires_at else None
        assert (row.shop, row.scopes, life) == (acme, ["inventory:hold", "inventory:read"], timedelta(days=30))
        for url in (LIST, f"{LIST}{row.pk}/change/", f"{LIST}add/", f"{LIST}{row.pk}/history/"):
            again = owner.get(url).content.decode()
            assert (token in again, row.digest in again, token.split("_", 2)[2] in again) == (False, False, False)
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.shop_id, entry.actor_name, entry.reason) == (
            "service_token.issued", "acme", "olga", "A new worker",
        )  # fmt: skip

    def test_one_for_every_shop_is_asked_for_by_name(self, owner: Client, acme: Shop):
        for wrong in ({"shop": ""}, {"every_shop": "on"}):
            answer = owner.post(f"{LIST}add/", asked(**wrong))
            assert "Choose a shop, or say that it is for every shop." in text(answer)
        assert not ServiceToken.objects.exists()
        answer = owner.post(f"{LIST}add/", asked(shop="", every_shop="on", days=""))
        row = row_of(shown(answer))
        assert (row.shop, row.expires_at) == (None, None)
        assert "X-Shop-Id" in text(answer)
        assert "Every shop" in text(owner.get(LIST))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"label": ""}, {"label": "x" * 61}, {"label": "  "}, {"scopes": []}, {"scopes": ["root"]}, {"days": "0"},
            {"days": "731"}, {"days": "soon"}, {"reason": ""}, {"reason": "no"}, {"shop": "nobody"},
        ],
    )  # fmt: skip
    def test_nonsense_is_told_and_issues_nothing(self, owner: Client, acme: Shop, wrong: dict[str, Any]):
        answer = owner.post(f"{LIST}add/", asked(**wrong))
        assert (answer.status_code, shown(answer)) == (200, "")
        assert answer.context["adminform"].form.errors
        assert not ServiceToken.objects.exists()

    def test_a_second_click_makes_no_second_token(self, owner: Client, acme: Shop):
        page = owner.get(f"{LIST}add/").context["adminform"].form["page"].value()
        tokens = {shown(owner.post(f"{LIST}add/", asked(page=page))) for _ in range(3)}
        assert len(tokens) == ServiceToken.objects.count() == AuditEntry.objects.count() == 1
        assert opens(tokens.pop())

    def test_what_a_page_has_issued_it_shows_for_a_minute_to_the_same_person_and_for_the_same_wishes(
        self, owner: Client, acme: Shop
    ):
        data = asked()
        assert shown(owner.post(f"{LIST}add/", data))
        thief = Client()
        thief.force_login(User.objects.create_superuser("mallory"))
        for client, sent in ((thief, data), (owner, data | {"label": "other"}), (owner, data | {"days": "31"})):
            answer = client.post(f"{LIST}add/", sent, follow=True)
            assert (shown(answer), "made its secret before" in answer.content.decode()) == ("", True)
        ServiceToken.objects.update(secret_at=timezone.now() - timedelta(minutes=2))
        assert not shown(owner.post(f"{LIST}add/", data, follow=True))
        assert ServiceToken.objects.count() == AuditEntry.objects.count() == 1

    @pytest.mark.parametrize("page", ["", "made-up", "too old"])
    def test_a_page_that_is_none_of_ours_issues_nothing(self, owner: Client, acme: Shop, page: str):
        with time_machine.travel(timezone.now() - timedelta(hours=2), tick=False):
            old = new_page()
        answer = owner.post(f"{LIST}add/", asked(page=old if page == "too old" else page))
        assert (answer.status_code, ServiceToken.objects.count()) == (200, 0)
        assert "had grown too old" in text(answer)
        again = asked(page=answer.context["adminform"].form["page"].value())
        assert shown(owner.post(f"{LIST}add/", again))

    @pytest.mark.django_db(transaction=True)
    def test_clicks_at_the_same_moment_make_one(self, acme: Shop):
        material = material_drawn_from("n" * 43)
        wishes: dict[str, Any] = {"shop_id": "acme", "label": "x", "scopes": ["orders:read"], **WHY}
        tokens = in_threads([lambda: issue_service_token(made_of=material, **wishes).token] * 6)
        assert len(set(tokens)) == ServiceToken.objects.count() == AuditEntry.objects.count() == 1


class TestRotating:
    @pytest.fixture
    def token(self, acme: Shop) -> str:
        return issue("acme", "inventory:hold")

    def page(self, client: Client, row: ServiceToken) -> str:
        found = re.search(r'name="page" value="([^"]+)"', client.get(f"{LIST}{row.pk}/rotate/").content.decode())
        assert found
        return found[1]

    def sent(self, client: Client, row: ServiceToken, **more: Any) -> dict[str, Any]:
        return {"overlap_hours": "24", "reason": "Every quarter", "page": self.page(client, row)} | more

    def test_both_secrets_work_for_a_while(self, owner: Client, token: str):
        row = row_of(token)
        answer = owner.post(f"{LIST}{row.pk}/rotate/", self.sent(owner, row))
        new = shown(answer)
        assert (new != token, opens(new), opens(token)) == (True, True, True)
        assert "no-store" in answer["Cache-Control"]
        again = text(owner.get(f"{LIST}{row.pk}/change/"))
        assert (new in again, "Two secrets" in again) == (False, True)
        assert AuditEntry.objects.latest("id").action == "service_token.rotated"

    def test_a_second_click_shows_the_same_secret(self, owner: Client, token: str):
        row = row_of(token)
        for hours in ("24", "0"):
            data = self.sent(owner, row, overlap_hours=hours)
            assert len({shown(owner.post(f"{LIST}{row.pk}/rotate/", data)) for _ in range(3)}) == 1
            ServiceToken.objects.update(older_digest="", older_until=None, older_used_at=None)
        assert AuditEntry.objects.filter(action="service_token.rotated").count() == 2
        assert not opens(token)

    def test_a_page_left_open_brings_no_older_secret_back(self, owner: Client, token: str):
        row = row_of(token)
        first = self.sent(owner, row, overlap_hours="0")
        leaked = shown(owner.post(f"{LIST}{row.pk}/rotate/", first))
        current = shown(owner.post(f"{LIST}{row.pk}/rotate/", self.sent(owner, row, overlap_hours="0")))
        answer = owner.post(f"{LIST}{row.pk}/rotate/", first)
        assert "It has got another secret since this page was opened." in text(answer)
        assert (opens(leaked), opens(current)) == (False, True)

    def test_what_stands_in_the_way_is_told(self, owner: Client, token: str):
        row = row_of(token)
        rotate_service_token(token_id=row.pk, overlap_hours=5, **WHY)
        assert "Two secrets work already." in text(owner.get(f"{LIST}{row.pk}/rotate/"))
        late = {"overlap_hours": "1", "reason": "Once more", "page": new_page(row_of(token))}
        assert "Two secrets work already." in text(owner.post(f"{LIST}{row.pk}/rotate/", late))
        revoke_service_token(token_id=row.pk, **WHY)
        assert "It has ended." in text(owner.get(f"{LIST}{row.pk}/rotate/"))
        assert not shown(owner.post(f"{LIST}{row.pk}/rotate/", late))

    @pytest.mark.parametrize(
        "wrong", [{"overlap_hours": "73"}, {"overlap_hours": "-1"}, {"overlap_hours": ""}, {"reason": ""}, {"page": ""}]
    )
    def test_nonsense_is_told_and_changes_nothing(self, owner: Client, token: str, wrong: dict[str, Any]):
        row = row_of(token)
        answer = owner.post(f"{LIST}{row.pk}/rotate/", self.sent(owner, row, **wrong))
        assert (answer.status_code, shown(answer), row_of(token).digest) == (200, "", row.digest)
        repaired = re.search(r'name="page" value="([^"]+)"', answer.content.decode())
        assert repaired
        assert shown(owner.post(f"{LIST}{row.pk}/rotate/", self.sent(owner, row, page=repaired[1])))

    def test_a_page_of_another_token_is_refused(self, owner: Client, token: str):
        row, other = row_of(token), row_of(issue("acme"))
        assert owner.post(f"{LIST}{row.pk}/rotate/", self.sent(owner, other)).status_code == 403
        issuing = self.sent(owner, row, page=new_page())
        assert owner.post(f"{LIST}{row.pk}/rotate/", issuing).status_code == 403
        assert row_of(token).digest == row.digest

    @pytest.mark.django_db(transaction=True)
    def test_clicks_at_the_same_moment_make_one_secret(self, acme: Shop):
        row = row_of(issue("acme"))
        twice: dict[str, Any] = {"secret": secret_drawn_from("n" * 43), "replacing": row.secret_at, **WHY}
        tokens = in_threads([lambda: rotate_service_token(token_id=row.pk, overlap_hours=1, **twice).token] * 6)
        assert len(set(tokens)) == AuditEntry.objects.filter(action="service_token.rotated").count() == 1

    def test_nobody_elses_click_is_shown_it(self, token: str):
        row = row_of(token)
        twice: dict[str, Any] = {"secret": fresh_material().secret, "replacing": row.secret_at, "overlap_hours": 1}
        rotate_service_token(token_id=row.pk, **twice, **WHY)
        with pytest.raises(WrongState, match="before"):
            rotate_service_token(token_id=row.pk, **twice, **WHY | {"acting": Actor("staff", "mallory")})


class TestEnding:
    def act(self, client: Client, row: ServiceToken, name: str, reason: str = "It leaked") -> str:
        page = client.get(f"{LIST}{row.pk}/act-{name}/")
        found = TOKEN.search(page.content.decode())
        assert found
        return text(client.post(f"{LIST}act/{name}/", {"token": found[1], "reason": reason}, follow=True))

    def test_revoked_with_a_reason_and_for_good(self, owner: Client, acme: Shop):
        token = issue("acme")
        row = row_of(token)
        assert "Kept in the audit trail" in self.act(owner, row, "revoke", "")
        assert opens(token)
        assert "Revoked." in self.act(owner, row, "revoke")
        assert not opens(token)
        assert "It was revoked before." in text(owner.get(f"{LIST}{row.pk}/act-revoke/"))
        entry = AuditEntry.objects.latest("id")
        assert (entry.action, entry.reason, entry.actor_name) == ("service_token.revoked", "It leaked", "olga")

    def test_the_older_secret_ends_before_its_time(self, owner: Client, acme: Shop):
        old = issue("acme")
        row = row_of(old)
        assert "Only one secret works." in text(owner.get(f"{LIST}{row.pk}/act-end_older/"))
        new = rotate_service_token(token_id=row.pk, overlap_hours=24, **WHY).token
        assert opens(old)
        assert "last used: 0 s ago" in text(owner.get(f"{LIST}{row.pk}/act-end_older/"))
        assert "opens nothing any more" in self.act(owner, row, "end_older")
        assert (opens(old), opens(new)) == (False, True)


class TestWhoMay:
    def test_a_shops_manager_has_the_shops_own(self, acme: Shop):
        other = row_of(issue(ShopFactory(id="other").pk, label="of-the-other"))
        everybodys = row_of(issue(None, label="of-everybody"))
        client = member(acme)
        page = client.get(f"{LIST}add/")
        assert "For every shop" not in text(page)
        mine = row_of(shown(client.post(f"{LIST}add/", asked())))
        assert (mine.shop, mine.created_by) == (acme, "staff:mia")
        listed = client.get(LIST).context["cl"].result_list
        assert [row.pk for row in listed] == [mine.pk]
        for row in (other, everybodys):
            for path in (f"{row.pk}/change/", f"{row.pk}/rotate/", f"{row.pk}/act-revoke/"):
                assert client.get(f"{LIST}{path}").status_code in (302, 404)
            data = {"overlap_hours": "1", "reason": "Mine now", "page": new_page(row)}
            assert client.post(f"{LIST}{row.pk}/rotate/", data).status_code == 404
        for wish in ({"shop": "other"}, {"shop": ""}, {"shop": "", "every_shop": "on"}, {"every_shop": "on"}):
            assert not shown(client.post(f"{LIST}add/", asked(**wish)))
        assert ServiceToken.objects.count() == 3

    def test_whoever_only_reads_changes_nothing(self, acme: Shop):
        row = row_of(issue("acme"))
        client = member(acme, "view_servicetoken")
        page = client.get(f"{LIST}{row.pk}/change/")
        assert (page.status_code, "rotate/" in page.content.decode()) == (200, False)
        assert client.get(f"{LIST}add/").status_code == 403
        assert client.post(f"{LIST}add/", asked()).status_code == 403
        for path in ("rotate/", "act-revoke/", "act-end_older/"):
            assert client.get(f"{LIST}{row.pk}/{path}").status_code == 403
        assert client.post(f"{LIST}{row.pk}/rotate/", {"page": new_page(row), "reason": "why"}).status_code == 403
        assert client.post(f"{LIST}{row.pk}/change/", {"label": "mine"}).status_code == 403
        assert row_of(f"hfs_{row.pk}_").label == "worker"


class TestPages:
    def test_what_a_tokens_page_says(self, owner: Client, acme: Shop):
        token = issue("acme", "orders:read", days=10)
        row = row_of(token)
        with time_machine.travel("2026-06-01T10:00:00Z", tick=False):
            now = timezone.now()
            ServiceToken.objects.update(last_used_at=now - timedelta(minutes=3), expires_at=now + timedelta(days=1))
            said = text(owner.get(f"{LIST}{row.pk}/change/"))
        for part in (f"hfs_{row.pk}_…", "orders:read", "Acme", "3 min ago", "2026-06-02 12:00 CEST", "staff:olga"):
            assert part in said, part
        assert "Expired" in text(owner.get(LIST))

    @pytest.mark.parametrize("form", ["{id}", " hfs_{id}_… ", "hfs_{id}_secret"])
    def test_found_by_its_id(self, owner: Client, acme: Shop, form: str):
        issue("acme")
        wanted = row_of(issue("acme"))
        found = owner.get(LIST, {"q": form.format(id=wanted.pk)}).context["cl"].result_list
        assert [row.pk for row in found] == [wanted.pk]
        assert not owner.get(LIST, {"q": "worker"}).context["cl"].result_list

    def test_the_list_costs_the_same_for_one_and_three(self, owner: Client, acme: Shop):
        issue("acme")
        one = queries(lambda: owner.get(LIST))
        issue(None), issue(ShopFactory().pk)
        assert queries(lambda: owner.get(LIST)) == one

    def test_an_empty_list_says_why(self, owner: Client):
        assert "No token yet." in text(owner.get(LIST))

    def test_digests_are_keyed_with_the_tokens_id(self):
        assert secret_digest("0" * 16, "s") != secret_digest("1" * 16, "s")
