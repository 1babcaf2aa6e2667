"""A shop's Stripe account and its secrets at rest: sealed, one shop's alone, rotated, and never to be read."""

from __future__ import annotations

import base64
import os
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from config.checks import check_sealed_rows
from tenants import credentials, webhook_secrets
from tenants.audit import Actor
from tenants.errors import CredentialsRefused, CredentialsUnusable, NotFound
from tenants.models import AuditEntry, Shop, ShopCredential, WebhookSecret
from tenants.ownership import StripeScope
from tenants.sealing import SealError, key_id, seal, unseal
from tenants.secrecy import without_secrets
from tenants.staff import EVERY_SHOP
from tests.factories.tenants import ShopFactory
from tests.fixtures.lines import Lines

pytestmark = pytest.mark.django_db(transaction=True)

OLGA = Actor("staff", "olga")
KEY = "sk_test_own_1234567890abcd"
WHSEC = "whsec_own_1234567890wxyz"
FRESH = "whsec_fresh_0123456789"
OWN = StripeScope(livemode=False, account="acct_own")


def new_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def adopt(shop: Shop, *, account: str = "acct_own", key: str = KEY) -> ShopCredential:
    return credentials.adopt_account(
        shop_id=shop.pk, scope=StripeScope(False, account), secret_key=key, reason="Contract", acting=OLGA
    )


def rows() -> list[tuple[Any, ...]]:
    return list(ShopCredential.objects.order_by("pk").values_list("shop_id", "account", "kind", "status"))


@pytest.fixture
def shop() -> Shop:
    return ShopFactory(id="acme")


class TestSealing:
    def test_a_secret_comes_back_and_is_not_in_its_seal(self):
        sealed = seal(KEY, about="a")
        assert unseal(sealed.text, about="a") == KEY
        assert KEY not in sealed.text + repr(sealed)
        assert KEY.encode() not in base64.urlsafe_b64decode(sealed.text)

    def test_it_opens_for_what_it_was_sealed_about_alone(self):
        with pytest.raises(SealError, match="something else"):
            unseal(seal(KEY, about="key:acme").text, about="key:other")

    def test_an_older_key_opens_and_the_newest_seals(self, settings: Any):
        old, new = new_key(), new_key()
        settings.CREDENTIAL_KEYS = (old,)
        sealed = seal(KEY, about="a")
        settings.CREDENTIAL_KEYS = (new, old)
        assert unseal(sealed.text, about="a") == KEY
        assert (sealed.by, seal(KEY, about="a").by) == (key_id(old), key_id(new))
        settings.CREDENTIAL_KEYS = (new,)
        with pytest.raises(SealError, match="None of CREDENTIAL_KEYS"):
            unseal(sealed.text, about="a")

    @pytest.mark.parametrize("keys", [(), ("short",), ("ä" * 44,)])
    def test_no_key_no_seal(self, settings: Any, keys: tuple[str, ...]):
        settings.CREDENTIAL_KEYS = keys
        with pytest.raises(SealError, match="CREDENTIAL_KEYS"):
            seal(KEY, about="a")

    @pytest.mark.parametrize("text", ["", "x", "gAAAAA", "ä"])
    def test_a_damaged_seal_says_nothing_else(self, text: str):
        with pytest.raises(SealError) as told:
            unseal(text, about="a")
        assert told.value.__cause__ is None

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            (f"Invalid API Key provided: {KEY}.", "Invalid API Key provided: •••."),
            (f'"{WHSEC}" and rk_live_abc', '"•••" and •••'),
            ("pk_live_abc risk_test_abc", "pk_live_abc risk_test_abc"),
            ("nothing", "nothing"),
        ],
    )
    def test_what_is_hidden_on_its_way_out(self, text: str, shown: str):
        assert without_secrets(text) == shown


class TestAccounts:
    def test_own_keys(self, shop: Shop):
        row = adopt(shop)
        assert rows() == [("acme", "acct_own", "own_keys", "active")]
        assert (row.last_four, row.verified_by) == ("abcd", "olga")
        found = credentials.active_credential(shop_id="acme")
        assert found is not None
        assert (found.secret_key, found.scope) == (KEY, OWN)
        assert KEY not in repr(found) and KEY not in repr(row) + str(vars(row))
        assert credentials.shop_of_account(OWN) == "acme"
        assert credentials.shop_of_account(StripeScope(True, "acct_own")) is None, "the other mode is another world"

    def test_a_newer_key_of_the_same_account_takes_the_older_ones_place(self, shop: Shop):
        adopt(shop)
        adopt(shop, key="sk_test_own_newer_zzzz")
        assert rows() == [("acme", "acct_own", "own_keys", "active")]
        found = credentials.active_credential(shop_id="acme")
        assert found is not None and found.secret_key == "sk_test_own_newer_zzzz"

    def test_a_former_account_settles_what_is_in_flight_there(self, shop: Shop):
        adopt(shop)
        adopt(shop, account="acct_conn", key="")
        assert rows() == [("acme", "acct_own", "own_keys", "retired"), ("acme", "acct_conn", "connected", "active")]
        former = credentials.credential_for(shop_id="acme", scope=OWN)
        assert former is not None and former.secret_key == KEY
        credentials.return_to_platform(shop_id="acme", reason="Ended", acting=OLGA)
        assert credentials.active_credential(shop_id="acme") is None
        assert [row[3] for row in rows()] == ["retired", "retired"]
        with pytest.raises(CredentialsRefused, match="already"):
            credentials.return_to_platform(shop_id="acme", reason="Again", acting=OLGA)
        adopt(shop)
        assert [row[3] for row in rows()] == ["active", "retired"]

    @pytest.mark.parametrize("key", ["", KEY])
    def test_an_account_is_one_shops_alone(self, shop: Shop, key: str):
        adopt(shop)
        other = ShopFactory(id="other")
        mine = adopt(other, account="acct_mine")
        with pytest.raises(CredentialsRefused, match="acct_own belongs to another shop"):
            adopt(other, key=key)
        mine.refresh_from_db()
        assert mine.status == "active", "a refusal changes nothing"
        assert credentials.credential_for(shop_id="other", scope=OWN) is None
        with pytest.raises(IntegrityError, match="credential_account_one_shop"), transaction.atomic():
            ShopCredential.objects.create(shop=other, kind="connected", livemode=False, account="acct_own")

    def test_forgetting_wipes_and_frees(self, shop: Shop):
        row = adopt(shop)
        webhook_secrets.add_shop_secret(shop_id="acme", secret=WHSEC, reason="New", acting=OLGA)
        with pytest.raises(CredentialsRefused, match="former"):
            credentials.forget_account(credential_id=row.pk, scope=EVERY_SHOP, reason="Sold", acting=OLGA)
        credentials.return_to_platform(shop_id="acme", reason="Sold", acting=OLGA)
        credentials.forget_account(credential_id=row.pk, scope=EVERY_SHOP, reason="Sold", acting=OLGA)
        assert list(ShopCredential.objects.values_list("status", "sealed", "last_four")) == [("forgotten", "", "")]
        assert webhook_secrets.shop_secrets(shop_id="acme", livemode=False) == []
        adopt(ShopFactory(id="other"))
        assert credentials.shop_of_account(OWN) == "other"

    def test_a_key_that_can_not_be_opened_never_falls_back(self, shop: Shop, settings: Any, log_lines: Lines):
        adopt(shop)
        settings.CREDENTIAL_KEYS = (new_key(),)
        with pytest.raises(CredentialsUnusable) as told:
            credentials.active_credential(shop_id="acme")
        assert "acct_own" not in told.value.detail
        assert [line["account"] for line in log_lines() if line["event"] == "credentials_unusable"] == ["acct_own"]

    def test_anothers_ciphertext_opens_nothing(self, shop: Shop):
        theirs, mine = adopt(shop), adopt(ShopFactory(id="other"), account="acct_other")
        ShopCredential.objects.filter(pk=mine.pk).update(sealed=theirs.sealed)
        with pytest.raises(CredentialsUnusable):
            credentials.active_credential(shop_id="other")

    def test_no_key_to_seal_with(self, shop: Shop, settings: Any):
        settings.CREDENTIAL_KEYS = ()
        with pytest.raises(CredentialsRefused, match="CREDENTIAL_KEYS is not set"):
            adopt(shop)
        assert rows() == []

    @pytest.mark.parametrize(
        ("values", "constraint"),
        [
            ({"kind": "own_keys"}, "credential_sealed_if_own_keys"),
            ({"kind": "connected", "sealed": "x", "sealed_by": "y"}, "credential_sealed_if_own_keys"),
            ({"kind": "own_keys", "status": "forgotten", "sealed": "x", "sealed_by": "y"}, "credential_sealed"),
            ({"kind": "gift"}, "credential_kind_known"),
            ({"kind": "connected", "status": "lost"}, "credential_status_known"),
            ({"kind": "connected", "account": "platform"}, "credential_account_well_formed"),
        ],
    )
    def test_the_database_refuses(self, shop: Shop, values: dict[str, Any], constraint: str):
        with pytest.raises(IntegrityError, match=constraint):
            ShopCredential.objects.create(**{"shop": shop, "livemode": False, "account": "acct_x", **values})

    def test_one_account_at_a_time(self, shop: Shop):
        adopt(shop)
        with pytest.raises(IntegrityError, match="credential_one_active_per_shop"):
            ShopCredential.objects.create(shop=shop, kind="connected", livemode=False, account="acct_two")

    def test_every_step_is_on_record_and_no_record_holds_a_secret(self, shop: Shop):
        adopt(shop)
        row = webhook_secrets.add_shop_secret(shop_id="acme", secret=WHSEC, reason="New", acting=OLGA)
        webhook_secrets.roll_secret(
            secret_id=row.pk, scope=EVERY_SHOP, secret=FRESH, overlap_hours=1, reason="Due", acting=OLGA
        )
        webhook_secrets.remove_secret(secret_id=row.pk, scope=EVERY_SHOP, reason="Leaked", acting=OLGA)
        credentials.return_to_platform(shop_id="acme", reason="Ended", acting=OLGA)
        told = AuditEntry.objects.order_by("pk").values_list("action", "shop_id", "actor_name", "reason")
        assert list(told) == [
            ("credentials.own_keys", "acme", "olga", "Contract"),
            ("webhook_secret.added", "acme", "olga", "New"),
            ("webhook_secret.rolled", "acme", "olga", "Due"),
            ("webhook_secret.removed", "acme", "olga", "Leaked"),
            ("credentials.platform", "acme", "olga", "Ended"),
        ]
        everything = str(list(AuditEntry.objects.values()))
        assert "whsec_" not in everything and "sk_test_" not in everything

    def test_unknown_shops(self):
        with pytest.raises(NotFound):
            credentials.return_to_platform(shop_id="nobody", reason="Trying", acting=OLGA)


class TestWebhookSecrets:
    @pytest.fixture
    def row(self, shop: Shop) -> WebhookSecret:
        adopt(shop)
        return webhook_secrets.add_shop_secret(shop_id="acme", secret=WHSEC, reason="New", acting=OLGA)

    def in_force(self) -> list[str]:
        return [found.secret for found in webhook_secrets.shop_secrets(shop_id="acme", livemode=False)]

    def test_it_names_the_shops_account_and_shows_four_characters(self, row: WebhookSecret):
        (found,) = webhook_secrets.shop_secrets(shop_id="acme", livemode=False)
        assert (found.secret, found.scope, found.connect, found.row_id) == (WHSEC, OWN, False, row.pk)
        assert WHSEC not in repr(found) and str(row) == "whsec_…wxyz"
        assert webhook_secrets.shop_secrets(shop_id="acme", livemode=True) == []
        assert webhook_secrets.platform_secrets(livemode=False, connect=True) == []

    def test_both_work_while_one_is_rolled(self, row: WebhookSecret):
        fresh, old = webhook_secrets.roll_secret(
            secret_id=row.pk, scope=EVERY_SHOP, secret=FRESH, overlap_hours=24, reason="Due", acting=OLGA
        )
        assert self.in_force() == [FRESH, WHSEC]
        assert old.active_until is not None and abs(old.active_until - timezone.now() - timedelta(hours=24)) < (
            timedelta(minutes=1)
        )
        WebhookSecret.objects.filter(pk=old.pk).update(active_until=timezone.now())
        assert self.in_force() == [FRESH]
        assert (fresh.shop_id, fresh.account) == ("acme", "acct_own")

    def test_without_overlap_the_old_one_is_gone_and_wiped(self, row: WebhookSecret):
        webhook_secrets.roll_secret(
            secret_id=row.pk, scope=EVERY_SHOP, secret=FRESH, overlap_hours=0, reason="Leak", acting=OLGA
        )
        assert self.in_force() == [FRESH]
        row.refresh_from_db()
        assert row.sealed == ""

    @pytest.mark.parametrize("hours", [-1, 73])
    def test_an_overlap_has_bounds(self, row: WebhookSecret, hours: int):
        with pytest.raises(CredentialsRefused, match="72 hours"):
            webhook_secrets.roll_secret(
                secret_id=row.pk, scope=EVERY_SHOP, secret=FRESH, overlap_hours=hours, reason="Due", acting=OLGA
            )
        assert self.in_force() == [WHSEC]

    def test_removed_means_at_once_and_for_good(self, row: WebhookSecret):
        webhook_secrets.remove_secret(secret_id=row.pk, scope=EVERY_SHOP, reason="Leaked", acting=OLGA)
        assert self.in_force() == []
        for verb in (
            lambda: webhook_secrets.remove_secret(secret_id=row.pk, scope=EVERY_SHOP, reason="Again", acting=OLGA),
            lambda: webhook_secrets.roll_secret(
                secret_id=row.pk, scope=EVERY_SHOP, secret=FRESH, overlap_hours=1, reason="Due", acting=OLGA
            ),
        ):
            with pytest.raises(CredentialsRefused, match="ended"):
                verb()

    def test_they_stay_few(self, row: WebhookSecret):
        for number in range(webhook_secrets.MOST_ACTIVE - 1):
            webhook_secrets.add_shop_secret(shop_id="acme", secret=f"{FRESH}{number}", reason="More", acting=OLGA)
        with pytest.raises(CredentialsRefused, match="Remove one first"):
            webhook_secrets.add_shop_secret(shop_id="acme", secret="whsec_more_0123456789", reason="More", acting=OLGA)

    @pytest.mark.parametrize("secret", ["", "whsec_short", KEY, f"{FRESH} b", FRESH * 20, f"{FRESH}\n"])
    def test_what_is_no_signing_secret(self, row: WebhookSecret, secret: str):
        with pytest.raises(CredentialsRefused, match="whsec_"):
            webhook_secrets.add_shop_secret(shop_id="acme", secret=secret, reason="New", acting=OLGA)

    def test_a_shop_on_the_platforms_account_has_no_endpoint(self, shop: Shop):
        with pytest.raises(CredentialsRefused, match="platform's account"):
            webhook_secrets.add_shop_secret(shop_id="acme", secret=WHSEC, reason="New", acting=OLGA)

    def test_use_is_noted_to_the_minute(self, row: WebhookSecret):
        webhook_secrets.note_use(row.pk)
        row.refresh_from_db()
        first = row.last_used_at
        webhook_secrets.note_use(row.pk)
        row.refresh_from_db()
        assert first is not None and row.last_used_at == first

    def test_the_database_keeps_scopes_and_shops_together(self, shop: Shop):
        more = {"livemode": False, "account": "acct_x", "active_from": timezone.now(), "sealed": "x", "sealed_by": "y"}
        for values in ({"scope": "shop"}, {"scope": "connect", "shop": shop}):
            with pytest.raises(IntegrityError, match="webhook_secret_shop_matches_scope"), transaction.atomic():
                WebhookSecret.objects.create(**more, **values)


class TestRotation:
    @pytest.fixture
    def old_key(self, settings: Any) -> str:
        """Three credentials and a webhook secret, sealed with a key that is then the older of two."""
        settings.CREDENTIAL_KEYS = (new_key(),)
        for number in range(3):
            adopt(ShopFactory(id=f"shop-{number}"), account=f"acct_{number}", key=f"sk_test_{number}_wxyz")
        webhook_secrets.add_shop_secret(shop_id="shop-0", secret=WHSEC, reason="New", acting=OLGA)
        (old,) = settings.CREDENTIAL_KEYS
        settings.CREDENTIAL_KEYS = (new_key(), old)
        return str(old)

    def run(self, *arguments: str) -> str:
        out = StringIO()
        call_command("rotate_credentials", *arguments, stdout=out, stderr=out)
        return out.getvalue()

    def sealed_by(self) -> set[str]:
        return {row.sealed_by for model in (ShopCredential, WebhookSecret) for row in model.objects.all()}

    def test_everything_is_sealed_anew_and_the_old_key_can_go(self, old_key: str, settings: Any):
        told = self.run("--batch", "2")
        assert told.splitlines() == [
            "2 of 4", "3 of 4", "4 of 4", "4 of 4 secrets sealed anew.",
            "Keys behind the first are no longer needed here.",
        ]  # fmt: skip
        settings.CREDENTIAL_KEYS = settings.CREDENTIAL_KEYS[:1]
        assert self.sealed_by() == {key_id(settings.CREDENTIAL_KEYS[0])}
        for number in range(3):
            found = credentials.active_credential(shop_id=f"shop-{number}")
            assert found is not None and found.secret_key == f"sk_test_{number}_wxyz"
        assert [s.secret for s in webhook_secrets.shop_secrets(shop_id="shop-0", livemode=False)] == [WHSEC]
        assert "0 of 0 secrets sealed anew." in self.run()

    def test_a_dry_run_writes_nothing(self, old_key: str):
        assert "4 of 4 secrets could be sealed anew." in self.run("--dry-run")
        assert self.sealed_by() == {key_id(old_key)}

    def test_an_interrupted_run_goes_on_where_it_ended(self, old_key: str):
        done = ShopCredential.objects.get(account="acct_1")
        sealed = seal("sk_test_1_wxyz", about=done.about)
        ShopCredential.objects.filter(pk=done.pk).update(sealed=sealed.text, sealed_by=sealed.by)
        assert "3 of 3 secrets sealed anew." in self.run()
        done.refresh_from_db()
        assert done.sealed == sealed.text, "what was done is left alone"

    def test_what_no_key_opens_is_named_and_stops_nothing_else(self, old_key: str):
        lost = Fernet(new_key()).encrypt(b"x").decode()
        ShopCredential.objects.filter(account="acct_1").update(sealed=lost, sealed_by="elsewhere")
        out = StringIO()
        with pytest.raises(CommandError, match="1 could not be opened"):
            call_command("rotate_credentials", stdout=out, stderr=out)
        assert "(acct_1): None of CREDENTIAL_KEYS opens it." in out.getvalue()
        assert "3 of 4 secrets sealed anew." in out.getvalue()

    def test_without_keys_it_says_so(self, settings: Any):
        settings.CREDENTIAL_KEYS = ()
        with pytest.raises(CommandError, match="CREDENTIAL_KEYS is not set"):
            self.run()

    @pytest.mark.parametrize("batch", ["0", "1001"])
    def test_batches_have_bounds(self, batch: str):
        with pytest.raises(CommandError, match="--batch"):
            self.run("--batch", batch)

    def test_the_check_misses_a_key_that_rows_still_need(self, old_key: str, settings: Any):
        assert check_sealed_rows() == []
        settings.CREDENTIAL_KEYS = settings.CREDENTIAL_KEYS[:1]
        (message,) = check_sealed_rows()
        assert (message.id, message.msg.partition(" ")[0]) == ("holdfast.E019", "4")
        settings.CREDENTIAL_KEYS = ()
        assert [found.id for found in check_sealed_rows()] == ["holdfast.E019"]
