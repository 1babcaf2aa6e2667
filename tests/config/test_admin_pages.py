"""Every page of the back office comes up, and costs as many queries with one row as with many."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tenants.backoffice import ModelAdmin as OurModelAdmin
from tenants.display import change_url, list_url
from tenants.models import Shop
from tests.fixtures.standin import StandIn
from tests.isolation.world import build

pytestmark = pytest.mark.django_db

PAGES = sorted(admin.site._registry.items(), key=lambda entry: entry[0]._meta.label)
IDS = [model._meta.label for model, _ in PAGES]
every_page = pytest.mark.parametrize(("model", "page"), PAGES, ids=IDS)


@pytest.fixture
def owner(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("olga"))
    return client


@pytest.fixture
def demo() -> None:
    call_command("seed_demo", verbosity=0)


def queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


@every_page
def test_it_is_made_from_our_base(model: type[Any], page: ModelAdmin[Any]):
    assert isinstance(page, OurModelAdmin)
    assert page.empty_text != OurModelAdmin.empty_text or model in {User, Group}


def test_empty_lists_and_the_forms_for_new_rows(owner: Client):
    request = type("Request", (), {"user": User.objects.get(username="olga"), "GET": {}})()
    for model, page in PAGES:
        url = list_url(model)
        assert url, model
        assert owner.get(url).status_code == 200, model
        assert owner.get(url, {"q": "nothing has this name"}).status_code in {200, 302}, model
        added = owner.get(f"{url}add/").status_code
        assert added == (200 if page.has_add_permission(request) else 403), model


def test_staff_without_permissions_see_nothing(client: Client):
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    assert {client.get(list_url(model)).status_code for model, _ in PAGES} == {403}


def test_a_stranger_is_sent_to_the_login(client: Client):
    for model, _ in PAGES:
        answer = client.get(list_url(model))
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/admin/login/")


@pytest.mark.django_db(transaction=True)
def test_with_rows_of_every_kind(owner: Client, standin: StandIn, monkeypatch: pytest.MonkeyPatch):
    """A list costs the same with one row as with many, and every row has a page of its own."""
    build(standin)
    few, dear = [], []
    for model, page in PAGES:
        url, rows = list_url(model), model._default_manager.all()
        assert url
        if len(rows) < 2:
            few.append(model._meta.label)
        queries(owner, url)  # content types and the like are read once
        monkeypatch.setattr(page, "list_per_page", 1)
        each = [queries(owner, f"{url}?p={number + 1}") for number in range(min(len(rows), 6))]
        monkeypatch.setattr(page, "list_per_page", 100)
        # Of many rows some are of a kind of their own, whose belongings are read once for all of them.
        if not queries(owner, url) <= max(each) + (len(rows) > len(each)) <= 16:
            dear.append((model._meta.label, each))
        assert owner.get(change_url(rows[0])).status_code == 200, model
    assert dear == []
    assert few == [], "tests/isolation: make two"


class TestDashboard:
    def test_without_a_shop_it_says_what_to_do(self, owner: Client):
        page = owner.get("/admin/").content.decode()
        assert "No shop yet" in page
        assert "never ran" in page

    def test_its_cost_does_not_grow_with_the_shops(self, owner: Client, demo: None):
        queries(owner, "/admin/")
        before = queries(owner, "/admin/")
        for n in range(5):
            Shop.objects.create(id=f"more-{n}", name=f"More {n}")
        assert queries(owner, "/admin/") == before

    def test_every_number_leads_to_rows(self, owner: Client, demo: None):
        context = owner.get("/admin/").context
        numbers = [*context["cards"], *(number for row in context["shops"] for number in row["numbers"])]
        links = {number.url for number in numbers if number.url}
        assert links
        for link in links:
            assert owner.get(link).status_code == 200, link


class TestSidebar:
    def test_it_names_every_page_that_one_may_see(self, owner: Client):
        links = _links(owner)
        assert {list_url(model) for model, _ in PAGES} <= links

    def test_and_no_other(self, client: Client):
        client.force_login(User.objects.create_user("nobody", is_staff=True))
        assert _links(client) == {"/admin/"}


def _links(client: Client) -> set[str]:
    groups = client.get("/admin/").context["sidebar_navigation"]
    return {item["link"] for group in groups for item in group["items"]}
