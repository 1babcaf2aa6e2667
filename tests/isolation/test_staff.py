"""Who is platform staff, who is a member of which shop, and how staff get to be either (A5)."""

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tenants.backoffice import ModelAdmin
from tenants.desk_scope import path_errors
from tenants.models import AuditEntry, Host, Membership, Shop
from tenants.scoping import path_to_shop
from tenants.staff import SEE_EVERY_SHOP, staff_scope
from tests.commerce.backoffice import filled
from tests.factories.tenants import HostFactory, ShopFactory
from webhooks.models import EventDelivery, StripeEvent

pytestmark = pytest.mark.django_db


def member(*shops: Shop, name: str = "mia", permissions: tuple[str, ...] = ()) -> User:
    user = User.objects.create_user(name, is_staff=True)
    for label in permissions:
        app, codename = label.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    for shop in shops:
        Membership.objects.create(user=user, shop=shop)
    return User.objects.get(pk=user.pk)


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


class TestScope:
    def test_an_owner_and_platform_staff_see_every_shop(self):
        assert staff_scope(User.objects.create_superuser("olga")).is_platform
        assert staff_scope(member(permissions=(SEE_EVERY_SHOP,))).is_platform

    def test_a_member_sees_the_shops_of_active_memberships(self):
        user = member(ShopFactory(id="here"), ShopFactory(id="gone"), ShopFactory(id="there"))
        Membership.objects.filter(shop_id="gone").update(active=False)
        assert staff_scope(user).shop_ids == {"here", "there"}

    def test_staff_who_are_neither_see_nothing(self):
        user = member(permissions=("tenants.view_shop",))
        ShopFactory()
        assert staff_scope(user).shop_ids == frozenset()
        assert browser(user).get("/admin/tenants/shop/").status_code == 403

    def test_no_staff_no_scope(self):
        shop = ShopFactory()
        left, customer = member(shop, name="left"), member(shop, name="customer")
        left.is_active = False
        customer.is_staff = False
        assert staff_scope(left).shop_ids == staff_scope(customer).shop_ids == frozenset()

    def test_it_is_asked_once_per_request(self):
        user = member(ShopFactory())
        with CaptureQueriesContext(connection) as captured:
            scopes = [staff_scope(user) for _ in range(3)]
        assert sum("tenants_membership" in query["sql"] for query in captured) == 1
        assert scopes[0] is scopes[2]

    def test_rows_without_a_shop_are_the_platforms(self):
        scope = staff_scope(member(ShopFactory(id="here")))
        assert [scope.sees("here"), scope.sees("there"), scope.sees(None)] == [True, False, False]
        assert not scope.sees_row(Host(hostname="hooks.example"), "shop")
        assert scope.rows(Host.objects.all(), None).count() == 0


@pytest.mark.parametrize(
    ("model", "path"),
    [(Shop, "pk"), (Host, "shop"), (StripeEvent, "shop"), (EventDelivery, "event__shop"), (User, None)],
)
def test_a_model_finds_its_shop(model: type[Any], path: str | None):
    assert path_to_shop(model) == path


class TestDeclaration:
    @pytest.mark.parametrize("page", admin.site._registry.values(), ids=lambda page: page.model._meta.label)
    def test_every_page_says_how_its_rows_find_their_shop(self, page: Any):
        assert path_errors(page.model, page.shop_path, type(page)) == []
        found = path_to_shop(page.model)
        assert page.shop_path in {found, None}
        # What could be scoped and isn't, one by one.
        closed = {"tenants.StripeObject"}
        assert (page.shop_path is None and found is not None) == (page.model._meta.label in closed)

    @pytest.mark.parametrize("path", ["?", "owner", "hostname", "shop__settings", ""])
    def test_a_page_that_does_not_is_a_failed_check_and_the_platforms(self, path: str):
        page = type("HostPage", (ModelAdmin,), {"shop_path": path})(Host, admin.site)
        assert [error.id for error in page.check()] == ["tenants.E001"]

    def test_undeclared_means_platform(self, rf: Any):
        page = type("HostPage", (ModelAdmin,), {})(Host, admin.site)
        request = rf.get("/")
        request.user = member(HostFactory().shop, permissions=("tenants.view_host",))
        assert not page.has_view_permission(request)
        assert page.get_queryset(request).count() == 0


class TestForms:
    def test_a_declared_choice_is_narrowed_and_the_class_is_left_alone(self, rf: Any):
        class Asking(forms.Form):
            shop = forms.ModelChoiceField(Shop.objects.all())

        here, there = ShopFactory(), ShopFactory()
        request = rf.get("/")
        request.user = member(here)
        form = admin.site.get_model_admin(Host).narrowed(Asking, request)  # type: ignore[attr-defined]
        assert form({"shop": here.pk}).is_valid()
        assert not form({"shop": there.pk}).is_valid()
        assert Asking({"shop": there.pk}).is_valid()

    def test_a_member_can_not_make_a_host_that_is_no_shops(self):
        client = browser(member(ShopFactory(), permissions=("tenants.add_host", "tenants.view_host")))
        data = {"hostname": "all.example", "mode": "active", "reason_for_change": "Mine now"}
        for role in Host.Role.values:
            answer = client.post("/admin/tenants/host/add/", data | {"role": role})
            assert answer.status_code == 200
            told = answer.context["adminform"].form.errors
            assert told["shop"] == ["Choose one of your shops: what belongs to none is the platform's."], role
        assert not Host.objects.exists()

    @pytest.mark.parametrize("role", [Host.Role.HOOKS, Host.Role.PLATFORM])
    def test_nor_one_that_serves_every_shop(self, role: str):
        shop = ShopFactory()
        client = browser(member(shop, permissions=("tenants.add_host", "tenants.view_host")))
        data = {"hostname": "all.example", "mode": "active", "reason_for_change": "Mine now", "shop": shop.pk}
        answer = client.post("/admin/tenants/host/add/", data | {"role": role})
        errors = dict(answer.context["adminform"].form.errors)
        assert errors == {"role": ["A host with this role serves every shop, and belongs to none."]}
        assert not Host.objects.exists()

    def test_platform_staff_are_asked_for_a_shop_by_the_role(self):
        client = browser(User.objects.create_superuser("olga"))
        data = {"hostname": "all.example", "mode": "active", "reason_for_change": "A campaign"}
        answer = client.post("/admin/tenants/host/add/", data | {"role": "alias"})
        errors = dict(answer.context["adminform"].form.errors)
        assert errors == {"role": ["A host with this role needs a shop."]}
        assert client.post("/admin/tenants/host/add/", data | {"role": "hooks"}).status_code == 302
        assert Host.objects.get().shop is None

    def test_nor_a_shop(self):
        client = browser(member(ShopFactory(), permissions=("tenants.add_shop", "tenants.view_shop")))
        assert client.get("/admin/tenants/shop/add/").status_code == 403


class TestMemberships:
    def test_they_begin_and_end_on_the_shops_page_with_a_reason_on_record(self):
        shop, user = ShopFactory(id="here"), member(name="mia")
        client = browser(User.objects.create_superuser("olga"))
        path = "/admin/tenants/shop/here/change/"
        data = filled(client.get(path)) | {"settings-0-locales": "en,de", "settings-0-alert_recipients": ""}
        begin = {"memberships-TOTAL_FORMS": "1", "memberships-0-user": str(user.pk), "memberships-0-active": "on"}
        refused = client.post(path, data | begin | {"memberships-0-shop": "here"})
        assert (refused.status_code, Membership.objects.count()) == (200, 0), "no reason, no membership"

        begin |= {"memberships-0-shop": "here", "reason_for_change": "Starts on Monday"}
        assert client.post(path, data | begin).status_code == 302
        row = Membership.objects.get()
        assert (row.user, row.shop, row.active) == (user, shop, True)

        data = filled(client.get(path)) | {"settings-0-locales": "en,de", "settings-0-alert_recipients": ""}
        del data["memberships-0-active"]
        assert client.post(path, data | {"reason_for_change": "Has left us"}).status_code == 302
        row.refresh_from_db()
        assert not row.active
        told = AuditEntry.objects.order_by("pk").values_list("action", "object_id", "shop_id", "actor_name", "reason")
        assert list(told) == [
            ("membership.added", "mia", "here", "olga", "Starts on Monday"),
            ("membership.changed", "mia", "here", "olga", "Has left us"),
        ]
        assert AuditEntry.objects.order_by("pk")[0].data["changes"]["user"] == ["", str(user.pk)]
        assert AuditEntry.objects.order_by("pk")[1].data == {"changes": {"active": ["True", "False"]}}

    def test_a_member_can_not_let_others_in(self):
        shop, other = ShopFactory(id="here"), member(name="otto")
        every = [f"tenants.{act}_{model}" for act in ("add", "change", "view") for model in ("shop", "membership")]
        client = browser(member(shop, permissions=(*every, "tenants.view_shopsettings")))
        path = "/admin/tenants/shop/here/change/"
        page = client.get(path)
        assert page.status_code == 200
        data = filled(page) | {"reason_for_change": "A favour"}
        data |= {"memberships-TOTAL_FORMS": "2", "memberships-INITIAL_FORMS": "1"}
        client.post(path, data | {"memberships-1-user": str(other.pk), "memberships-1-shop": "here"})
        assert list(Membership.objects.values_list("user__username", flat=True)) == ["mia"]

    def test_once_per_shop(self):
        shop = ShopFactory()
        user = member(shop)
        with pytest.raises(IntegrityError, match="membership_once"), transaction.atomic():
            Membership.objects.create(user=user, shop=shop)
