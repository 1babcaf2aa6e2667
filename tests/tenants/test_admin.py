"""Shops and hosts in the back office: no change without a reason, and every change on record."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from tenants.models import AuditEntry, Host, Shop
from tests.factories.tenants import HostFactory, ShopFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("olga"))
    return client


def form_of(client: Client, path: str) -> dict[str, Any]:
    """The values that a browser would send back from the page at `path`."""
    page = client.get(path)
    assert page.status_code == 200
    forms = [page.context["adminform"].form]
    data: dict[str, Any] = {}
    for inline in page.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    for form in forms:
        for field in form:
            value = field.value()
            if hasattr(field.field.widget, "decompress"):
                parts = field.field.widget.decompress(value)
                data |= {f"{field.html_name}_{n}": "" if part is None else part for n, part in enumerate(parts)}
            else:
                data[field.html_name] = "" if value is None else ",".join(value) if isinstance(value, list) else value
    return data


def errors(page: Any) -> str:
    return re.sub(r"\s+", " ", page.content.decode())


def test_a_save_without_a_change_leaves_no_entry(owner: Client):
    path = f"/admin/tenants/host/{HostFactory().pk}/change/"
    assert owner.post(path, form_of(owner, path) | {"reason_for_change": "Looked at it"}).status_code == 302
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hostname": "http://x.example"}, "without scheme, port or path"),
        ({"hostname": "x.example:80"}, "without scheme, port or path"),
        ({"hostname": "x_y.example"}, "without scheme, port or path"),
        ({"hostname": "stra\u00dfe.example"}, "spelled in two ways"),
        ({"hostname": "\u00fc" * 70 + ".example"}, "be a host name"),
        ({"locale": "fr"}, "offer this locale"),
        ({"locale": "../x"}, "as addresses have it"),
        ({"hostname": "taken.localhost"}, "already exists"),
        ({"role": "platform"}, "serves every shop, and belongs to none"),
    ],
)
def test_an_impossible_host_is_told_so(owner: Client, changes: dict[str, str], message: str):
    HostFactory(hostname="taken.localhost")
    path = f"/admin/tenants/host/{HostFactory().pk}/change/"
    page = owner.post(path, form_of(owner, path) | {"reason_for_change": "Trying"} | changes)
    assert page.status_code == 200
    assert message in errors(page)


@pytest.mark.parametrize(
    ("unproven_are_served", "told"), [(True, "this environment asks for no proof"), (False, "Nothing is served on it")]
)
def test_a_host_says_what_its_proof_means_here(owner: Client, settings: Settings, unproven_are_served: bool, told: str):
    settings.SERVE_UNVERIFIED_HOSTS = unproven_are_served
    page = errors(owner.get(f"/admin/tenants/host/{HostFactory(hostname='shop.example').pk}/change/"))
    assert told in page
    assert re.search(r"> shop\.example </a>", page), "the title spells a name as it is"
    Host.objects.update(verified_at=timezone.now(), verified_by=Host.Proof.DNS)
    assert told not in errors(owner.get(f"/admin/tenants/host/{Host.objects.get().pk}/change/"))


def test_a_new_shop_comes_with_its_settings(owner: Client):
    path = "/admin/tenants/shop/add/"
    data = form_of(owner, path) | {"id": "fresh", "name": "Fresh", "reason_for_change": "Contract signed"}
    page = owner.post(path, data | {"settings-0-currency": "CHF", "settings-0-locales": "de,fr"})
    assert page.status_code == 302, errors(page)
    shop = Shop.objects.get(pk="fresh")
    assert (shop.settings.currency, shop.settings.locales) == ("CHF", ["de", "fr"])
    actions = set(AuditEntry.objects.values_list("action", "shop_id", "reason"))
    assert actions == {
        ("shop.added", "fresh", "Contract signed"),
        ("shop.shopsettings_changed", "fresh", "Contract signed"),
    }


def test_a_setting_changes_on_record(owner: Client):
    ShopFactory(id="acme")
    path = "/admin/tenants/shop/acme/change/"
    changes = {"settings-0-hold_ttl_seconds": "600", "reason_for_change": "Customers are slow"}
    page = owner.post(path, form_of(owner, path) | changes)
    assert page.status_code == 302, errors(page)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.data) == ("shop.shopsettings_changed", {"changes": {"hold_ttl_seconds": ["", "600"]}})


def test_a_shop_gets_a_limit_of_its_own(owner: Client):
    ShopFactory(id="acme")
    path = "/admin/tenants/shop/acme/change/"
    asked = {
        "settings-0-checkout_rate_limit_enabled": "True",
        "settings-0-checkout_rate_limit_per_minute": "25",
        "reason_for_change": "A school orders for its pupils",
    }
    page = owner.post(path, form_of(owner, path) | asked)
    assert page.status_code == 302, errors(page)
    row = Shop.objects.get().settings
    assert (row.checkout_rate_limit_enabled, row.checkout_rate_limit_per_minute) == (True, 25)
    assert AuditEntry.objects.get().data["changes"].keys() == {
        "checkout_rate_limit_enabled",
        "checkout_rate_limit_per_minute",
    }
    back = {"settings-0-checkout_rate_limit_enabled": "", "settings-0-checkout_rate_limit_per_minute": ""}
    owner.post(path, form_of(owner, path) | back | {"reason_for_change": "It has ordered"})
    row.refresh_from_db()
    assert (row.checkout_rate_limit_enabled, row.checkout_rate_limit_per_minute) == (None, None)
    refused = owner.post(path, form_of(owner, path) | asked | {"settings-0-checkout_rate_limit_per_minute": "0"})
    assert "greater than or equal to 1" in errors(refused)
    assert "New checkouts per address and minute" in owner.get(path).content.decode()


def test_a_shops_id_never_changes(owner: Client):
    ShopFactory(id="acme")
    path = "/admin/tenants/shop/acme/change/"
    owner.post(path, form_of(owner, path) | {"id": "other", "name": "New name", "reason_for_change": "Renamed"})
    assert list(Shop.objects.values_list("pk", "name")) == [("acme", "New name")]


@pytest.mark.parametrize("model", ["shop", "host", "stripeobject", "auditentry"])
def test_nobody_deletes(owner: Client, model: str):
    host = HostFactory(shop__id="acme")
    pk = {"shop": "acme", "host": host.pk}.get(model, 1)
    assert owner.post(f"/admin/tenants/{model}/{pk}/delete/", {"post": "yes"}).status_code in {403, 302, 404}
    listed = owner.get(f"/admin/tenants/{model}/").content.decode()
    assert "delete_selected" not in listed
    assert Host.objects.count() == 1


@pytest.mark.parametrize("model", ["stripeobject", "auditentry"])
def test_records_are_not_written_by_hand(owner: Client, model: str):
    assert owner.get(f"/admin/tenants/{model}/add/").status_code == 403


class TestAccounts:
    @pytest.fixture
    def clerk(self) -> Client:
        user = User.objects.create_user("clerk", is_staff=True)
        user.user_permissions.set(
            Permission.objects.filter(codename__in=["view_user", "change_user", "add_user", "see_every_shop"])
        )
        client = Client()
        client.force_login(user)
        return client

    def test_whoever_edits_accounts_can_not_make_themselves_an_owner(self, clerk: Client):
        clerk_id = User.objects.get(username="clerk").pk
        path = f"/admin/auth/user/{clerk_id}/change/"
        page = clerk.post(path, form_of(clerk, path) | {"is_superuser": "on", "user_permissions": ["1", "2"]})
        assert page.status_code == 302, errors(page)
        user = User.objects.get(username="clerk")
        assert (user.is_superuser, user.user_permissions.count()) == (False, 4)

    def test_nor_take_an_owners_account_over(self, clerk: Client):
        owner = User.objects.create_superuser("olga", password="correct horse battery")
        answer = clerk.post(
            f"/admin/auth/user/{owner.pk}/password/",
            {"password1": "stolen horse battery", "password2": "stolen horse battery", "usable_password": "true"},
        )
        assert answer.status_code == 403
        assert clerk.post(f"/admin/auth/user/{owner.pk}/change/", {"email": "x@y.example"}).status_code == 403
        owner.refresh_from_db()
        assert owner.check_password("correct horse battery")


def test_what_the_payment_page_asks_for_is_set_with_a_reason(owner: Client):
    shop = HostFactory().shop
    path = f"/admin/tenants/shop/{shop.pk}/change/"
    data = form_of(owner, path) | {
        "settings-0-checkout_ui": "embedded_page",
        "settings-0-billing_address": "required",
        "settings-0-asks_phone": "on",
        "settings-0-payment_note": "n" * 1201,
        "reason_for_change": "Own page",
    }
    assert "at most 1200 characters" in errors(owner.post(path, data))
    assert owner.post(path, data | {"settings-0-payment_note": "From Berlin."}).status_code == 302
    settings = Shop.objects.get(pk=shop.pk).settings
    assert (settings.checkout_ui, settings.billing_address, settings.asks_phone, settings.payment_note) == (
        "embedded_page", "required", True, "From Berlin.",
    )  # fmt: skip
    assert list(AuditEntry.objects.values_list("shop_id", "reason")) == [(shop.pk, "Own page")]
