"""Stripe accounts and webhook secrets in the back office: set, connected, rolled, forgotten, and never shown."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from commerce.gateway.onboarding import use_own_keys
from tenants import webhook_secrets
from tenants.audit import Actor
from tenants.models import AuditEntry, Membership, Shop, ShopCredential, ShopPayments, WebhookSecret
from tests.commerce.backoffice import Desk, desk, html, queries, text
from tests.factories.tenants import ShopFactory
from tests.fixtures.standin import StandIn

pytestmark = pytest.mark.django_db(transaction=True)

KEY, ACCOUNT = "sk_test_own_1234567890abcd", "acct_own_1234567890abcd"
WHSEC, FRESH = "whsec_own_1234567890wxyz", "whsec_fresh_0123456789"
WHY = {"reason": "Contract", "acting": Actor("staff", "olga")}
ADD = "/admin/tenants/webhooksecret/add/"


@pytest.fixture
def shop(standin: StandIn) -> ShopPayments:
    ShopFactory(id="acme")
    return ShopPayments.objects.get(pk="acme")


@pytest.fixture
def secret(shop: ShopPayments) -> WebhookSecret:
    use_own_keys(shop_id="acme", secret_key=KEY, **WHY)
    return webhook_secrets.add_shop_secret(shop_id="acme", secret=WHSEC, **WHY)


def actions() -> list[tuple[str, str | None, str, str]]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", "shop_id", "actor_name", "reason"))


class TestAccounts:
    def test_every_shop_has_a_page(self, shop: ShopPayments):
        shown = text(desk().page(shop))
        assert "The platform's account" in shown and "acct_standin" in shown and "Test" in shown
        assert "it has sold on the platform's account alone" in shown, "a table without rows says why"
        assert "arrive on the hooks host" in shown and "Shops' Stripe accounts" in shown

    def test_keys_go_in_and_their_last_four_come_out(self, shop: ShopPayments):
        owner = desk()
        told = owner.do(ShopPayments, "set-keys", shop, secret_key=f" {KEY} ", reason="Contract")
        assert f"Sells on {ACCOUNT} by its own key …abcd." in told
        assert actions() == [("credentials.own_keys", "acme", "owner", "Contract")]
        shown = text(owner.page(shop))
        assert f"Own keys Account {ACCOUNT}" in shown and "…abcd" in shown and "by owner" in shown
        pages = [owner.page(shop), owner.list(ShopPayments), owner.list(ShopCredential)]
        pages.append(owner.page(ShopCredential.objects.get()))
        sealed = ShopCredential.objects.get().sealed
        assert all(KEY not in html(page) and sealed not in html(page) for page in pages)
        assert KEY not in str(list(AuditEntry.objects.values()))

    def test_a_form_with_an_error_does_not_repeat_the_key(self, shop: ShopPayments):
        owner = desk()
        asked = owner.ask(ShopPayments, "set-keys", shop)
        again = owner.confirm(ShopPayments, "set-keys", asked, secret_key=KEY, reason="")
        assert "This field is required" in text(again) and KEY not in html(again)
        assert not ShopCredential.objects.exists()

    @pytest.mark.parametrize(
        ("key", "why"),
        [("pk_test_abc", "no secret key"), ("sk_live_abc", "live key"), ("rk_test_unknown", "Stripe refuses")],
    )
    def test_what_is_refused_is_told_why(self, shop: ShopPayments, key: str, why: str):
        told = desk().do(ShopPayments, "set-keys", shop, secret_key=key, reason="Trying")
        assert why in told and key not in told
        assert (ShopCredential.objects.count(), actions()) == (0, [])

    def test_the_public_key_of_pages_is_the_accounts_own(self, shop: ShopPayments):
        owner = desk()
        asked = owner.ask(ShopPayments, "publishable", shop)
        assert "Its pages use the platform's publishable key." in text(asked)
        use_own_keys(shop_id="acme", secret_key=KEY, **WHY)
        assert "None: only the hosted page can be used" in text(owner.page(shop))
        refused = owner.do(ShopPayments, "publishable", shop, publishable_key=KEY, reason="Elements")
        assert "This is no publishable key" in refused and KEY not in refused
        told = owner.do(ShopPayments, "publishable", shop, publishable_key=" pk_test_own ", reason="Elements")
        assert f"Pages pay to {ACCOUNT} with pk_test_own." in told and "pk_test_own" in text(owner.page(shop))
        assert actions()[-1] == ("credentials.publishable_key", "acme", "owner", "Elements")
        owner.do(ShopPayments, "publishable", shop, publishable_key="", reason="Hosted again")
        assert ShopCredential.objects.get().publishable_key == ""

    def test_one_key_is_not_for_two_shops(self, shop: ShopPayments):
        ShopFactory(id="other")
        rows = ShopPayments.objects.order_by("pk")
        told = desk().do(ShopPayments, "set-keys", *rows, secret_key=KEY, reason="Both at once")
        assert "belongs to another shop" in told
        assert list(ShopCredential.objects.values_list("shop_id", flat=True)) == ["acme"]

    def test_connect_and_back(self, shop: ShopPayments):
        owner = desk()
        told = owner.do(ShopPayments, "connect", shop, account="acct_conn", reason="They joined")
        assert "Sells on the connected account acct_conn." in told
        assert "settled on acct_conn" in text(owner.ask(ShopPayments, "platform", shop))
        assert "Sells on the platform's account." in owner.do(ShopPayments, "platform", shop, reason="They left")
        assert "already" in text(owner.ask(ShopPayments, "platform", shop))
        row = ShopCredential.objects.get()
        assert "wiped" in text(owner.ask(ShopCredential, "forget", row))
        assert "Forgotten" in owner.do(ShopCredential, "forget", row, reason="Sold on")
        assert actions() == [
            ("credentials.connected", "acme", "owner", "They joined"),
            ("credentials.platform", "acme", "owner", "They left"),
            ("credentials.forgotten", "acme", "owner", "Sold on"),
        ]

    def test_seeing_is_not_changing(self, shop: ShopPayments):
        clerk = desk("tenants.view_shoppayments", "tenants.see_every_shop")
        page = clerk.page(shop)
        assert page.status_code == 200 and "Set keys" not in text(page)
        assert "Kept in the audit trail" not in text(clerk.ask(ShopPayments, "set-keys", shop)), "the list again"
        assert clerk.client.get("/admin/tenants/shoppayments/acme/act-set-keys/").status_code == 403

    def test_a_member_sees_the_own_shop_alone(self, shop: ShopPayments):
        other = ShopFactory(id="other")
        clerk = member(shop, "tenants.view_shoppayments", "tenants.change_shopcredential")
        assert {row.pk for row in clerk.list(ShopPayments).context["cl"].result_list} == {"acme"}
        assert clerk.page(ShopPayments.objects.get(pk=other.pk)).status_code in {302, 404}
        assert "Set keys" in text(clerk.page(shop))

    def test_lists_cost_the_same_with_three_rows(self, shop: ShopPayments):
        owner = desk()
        once = queries(lambda: owner.list(ShopPayments))
        for number in range(2):
            ShopFactory(id=f"more-{number}")
            use_own_keys(shop_id=f"more-{number}", secret_key=f"sk_test_more{number}", **WHY)
        assert queries(lambda: owner.list(ShopPayments)) == once


def member(shop: Shop, *permissions: str) -> Desk:
    user = User.objects.create_user("mia", is_staff=True)
    for label in permissions:
        app, codename = label.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    Membership.objects.create(user=user, shop_id=shop.pk)
    client = Client(headers={"Host": "localhost"})
    client.force_login(user)
    return Desk(client)


class TestWebhookSecrets:
    def test_a_shops_is_added_on_its_page(self, shop: ShopPayments):
        owner = desk()
        assert "whose events arrive on the hooks host" in text(owner.ask(ShopPayments, "add-secret", shop))
        use_own_keys(shop_id="acme", secret_key=KEY, **WHY)
        told = owner.do(ShopPayments, "add-secret", shop, secret=WHSEC, reason="Endpoint made")
        assert f"whsec_…wxyz verifies events of {ACCOUNT} from now on." in told
        page = owner.page(shop)
        assert "whsec_…wxyz" in text(page) and WHSEC not in html(page)
        assert actions()[-1] == ("webhook_secret.added", "acme", "owner", "Endpoint made")

    def test_rolling_says_until_when_both_work(self, secret: WebhookSecret):
        owner = desk()
        told = owner.do(WebhookSecret, "roll", secret, secret=FRESH, overlap_hours=24, reason="Yearly")
        assert re.search(r"whsec_…6789 and whsec_…wxyz both work until \d{4}-\d\d-\d\d \d\d:\d\d UTC", told)
        listed = owner.list(WebhookSecret)
        assert "Active" in text(listed) and "Until 20" in text(listed)
        assert FRESH not in html(listed) and WHSEC not in html(owner.page(secret))
        assert FRESH not in str(list(AuditEntry.objects.values()))
        entry = AuditEntry.objects.get(action="webhook_secret.rolled")
        assert (entry.data["account"], entry.data["rolled"]) == (ACCOUNT, str(secret.pk))

    def test_rolling_without_overlap(self, secret: WebhookSecret):
        told = desk().do(WebhookSecret, "roll", secret, secret=FRESH, overlap_hours=0, reason="Leaked")
        assert "whsec_…6789 works; whsec_…wxyz is refused from now on." in told

    def test_removed(self, secret: WebhookSecret):
        owner = desk()
        assert "refused at once" in text(owner.ask(WebhookSecret, "remove", secret))
        assert "Removed" in owner.do(WebhookSecret, "remove", secret, reason="Leaked")
        assert "This secret has ended." in text(owner.ask(WebhookSecret, "remove", secret))
        assert "This secret has ended." in text(owner.ask(WebhookSecret, "roll", secret))
        assert "Ended" in text(owner.page(secret))

    @pytest.mark.parametrize("scope", ["platform", "connect"])
    def test_the_platforms_are_added_here(self, standin: StandIn, scope: str):
        owner = desk()
        data = {"scope": scope, "secret": f" {WHSEC} ", "reason": "New endpoint"}
        refused = owner.client.post(ADD, data | {"secret": "sk_test_own_1234567890abcd"})
        assert "begins with whsec_" in text(refused) and "sk_test_own" not in html(refused)
        assert owner.client.post(ADD, data | {"reason": ""}).status_code == 200
        assert not WebhookSecret.objects.exists()
        assert owner.client.post(ADD, data).status_code == 302
        row = WebhookSecret.objects.get()
        assert (row.scope, row.shop_id, row.account, row.last_four) == (scope, None, "acct_standin", "wxyz")
        assert actions() == [("webhook_secret.added", None, "owner", "New endpoint")]

    def test_a_shops_scope_can_not_be_forged_there(self, shop: ShopPayments):
        data = {"scope": "shop", "shop": "acme", "secret": WHSEC, "reason": "Trying"}
        assert desk().client.post(ADD, data).status_code == 200
        assert not WebhookSecret.objects.exists()

    def test_members_add_none_for_the_platform(self, shop: ShopPayments):
        clerk = member(shop, "tenants.view_webhooksecret", "tenants.add_webhooksecret")
        assert clerk.client.get(ADD).status_code == 403
