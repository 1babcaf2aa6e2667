"""Service tokens: what is kept of them, their rotation and end, and who a request with one is."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from prometheus_client import REGISTRY
from pytest_django import Settings

from tenants.audit import Actor
from tenants.callers import ServiceTokens
from tenants.errors import HostsUnavailable, InvalidRequest, NotFound, Unauthenticated, WrongState
from tenants.models import AuditEntry, ServiceToken
from tenants.secrecy import without_secrets
from tenants.service_tokens import (
    IssuedServiceToken,
    Material,
    end_older_secret,
    issue_service_token,
    revoke_service_token,
    rotate_service_token,
    secret_digest,
)
from tenants.staff import EVERY_SHOP
from tests.factories.tenants import ShopFactory
from tests.fixtures.lines import Lines
from tests.fixtures.outages import postgresql_away

pytestmark = pytest.mark.django_db
STAFF = Actor("staff", "olga")
WHY: dict[str, Any] = {"reason": "A test", "acting": STAFF}


@pytest.fixture(autouse=True)
def acme(db: None) -> None:
    ShopFactory(id="acme")


def issue(**more: Any) -> IssuedServiceToken:
    asked = {"shop_id": "acme", "scope": EVERY_SHOP, "label": "worker", "scopes": ["inventory:hold"], **WHY}
    return issue_service_token(**asked | more)


def admits(ring: ServiceTokens, token: str) -> bool:
    try:
        ring.admit(token, shop_label="-")
    except Unauthenticated:
        return False
    return True


def flipped(token: str) -> str:
    return token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]


class TestLife:
    def test_what_is_stored_opens_nothing(self):
        issued = issue()
        row = ServiceToken.objects.get()
        form = re.fullmatch(r"hfs_([0-9a-f]{16})_([A-Za-z0-9_-]{43})", issued.token)
        assert form, "256 bits"
        assert (row.pk, row.digest) == (form[1], secret_digest(form[1], form[2]))
        assert (row.created_by, row.scopes, row.expires_at, row.last_used_at) == (
            "staff:olga", ["inventory:hold"], None, None,
        )  # fmt: skip
        assert not admits(ServiceTokens(), f"hfs_{row.pk}_{row.digest[:43]}")
        assert form[2] not in str(list(AuditEntry.objects.values())) + str(row) + repr(row)

    def test_a_digest_opens_its_own_row_alone(self):
        first, second = issue(), issue()
        ServiceToken.objects.filter(pk=second.row.pk).update(digest=first.row.digest)
        assert not admits(ServiceTokens(), first.token.replace(first.row.pk, second.row.pk))

    def test_a_caller_is_whoever_the_row_says(self):
        caller = ServiceTokens().admit(issue(scopes=["orders:read", "inventory:read"]).token, shop_label="-")
        assert (caller.shop_id, caller.scopes) == ("acme", {"orders:read", "inventory:read"})
        assert str(caller.acting) == f"api:{ServiceToken.objects.get().pk}"
        platform = issue(shop_id=None)
        assert ServiceTokens().admit(platform.token, shop_label="-").shop_id is None

    def test_rotation_leaves_no_gap_and_two_secrets_at_most(self):
        old = issue()
        new = rotate_service_token(scope=EVERY_SHOP, token_id=old.row.pk, overlap_hours=24, **WHY)
        assert (new.row.pk, new.token == old.token) == (old.row.pk, False)
        assert (admits(ServiceTokens(), old.token), admits(ServiceTokens(), new.token)) == (True, True)
        with pytest.raises(WrongState, match="Two secrets"):
            rotate_service_token(scope=EVERY_SHOP, token_id=old.row.pk, overlap_hours=1, **WHY)
        end_older_secret(scope=EVERY_SHOP, token_id=old.row.pk, **WHY)
        assert (admits(ServiceTokens(), old.token), admits(ServiceTokens(), new.token)) == (False, True)
        with pytest.raises(WrongState, match="Only one"):
            end_older_secret(scope=EVERY_SHOP, token_id=old.row.pk, **WHY)

    def test_the_older_secret_ends_by_itself(self):
        old = issue()
        new = rotate_service_token(scope=EVERY_SHOP, token_id=old.row.pk, overlap_hours=1, **WHY)
        ring = ServiceTokens()
        assert admits(ring, old.token)
        ServiceToken.objects.update(older_until=timezone.now() - timedelta(seconds=1))
        ring.forget()
        assert (admits(ring, old.token), admits(ring, new.token)) == (False, True)
        third = rotate_service_token(scope=EVERY_SHOP, token_id=old.row.pk, overlap_hours=1, **WHY)
        assert [admits(ServiceTokens(), one.token) for one in (old, new, third)] == [False, True, True]

    def test_without_an_overlap_the_old_one_ends_at_once(self):
        old = issue()
        new = rotate_service_token(scope=EVERY_SHOP, token_id=old.row.pk, overlap_hours=0, **WHY)
        assert (admits(ServiceTokens(), old.token), admits(ServiceTokens(), new.token)) == (False, True)

    def test_an_end_is_an_end_wipes_both_secrets_and_is_on_record(self):
        old = issue(days=30)
        new = rotate_service_token(scope=EVERY_SHOP, token_id=old.row.pk, overlap_hours=2, **WHY)
        row = revoke_service_token(scope=EVERY_SHOP, token_id=old.row.pk, **WHY)
        assert (row.digest, row.older_digest, row.revoked_by) == ("", "", "staff:olga")
        assert [admits(ServiceTokens(), one.token) for one in (old, new)] == [False, False]
        for again in (revoke_service_token, end_older_secret):
            with pytest.raises(WrongState):
                again(scope=EVERY_SHOP, token_id=row.pk, **WHY)
        with pytest.raises(WrongState):
            rotate_service_token(scope=EVERY_SHOP, token_id=row.pk, overlap_hours=1, **WHY)
        entries = AuditEntry.objects.order_by("id").values_list("action", "shop_id", "object_id", "reason")
        assert list(entries) == [
            (f"service_token.{what}", "acme", row.pk, "A test") for what in ("issued", "rotated", "revoked")
        ]

    def test_it_expires(self):
        ring, issued = ServiceTokens(), issue(days=1)
        assert admits(ring, issued.token)
        ServiceToken.objects.update(expires_at=timezone.now())
        ring.forget()
        assert not admits(ring, issued.token)
        with pytest.raises(WrongState):
            rotate_service_token(scope=EVERY_SHOP, token_id=issued.row.pk, overlap_hours=1, **WHY)

    @pytest.mark.parametrize(
        ("more", "error"),
        [
            ({"scopes": []}, InvalidRequest),
            ({"scopes": ["inventory:*"]}, InvalidRequest),
            ({"scopes": ["inventory:read", "admin"]}, InvalidRequest),
            ({"days": 0}, InvalidRequest),
            ({"days": 731}, InvalidRequest),
            ({"shop_id": "nobody"}, NotFound),
        ],
    )
    def test_nonsense_is_refused_and_leaves_nothing(self, more: dict[str, Any], error: type[Exception]):
        with pytest.raises(error):
            issue(**more)
        assert (ServiceToken.objects.count(), AuditEntry.objects.count()) == (0, 0)

    @pytest.mark.parametrize("hours", [-1, 73])
    def test_an_overlap_is_bounded(self, hours: int):
        issued = issue()
        with pytest.raises(InvalidRequest):
            rotate_service_token(scope=EVERY_SHOP, token_id=issued.row.pk, overlap_hours=hours, **WHY)
        assert admits(ServiceTokens(), issued.token)

    @pytest.mark.parametrize(
        "fields",
        [
            {"id": "short"},
            {"digest": "secret"},
            {"digest": ""},
            {"scopes": []},
            {"scopes": ["root"]},
            {"revoked_at": timezone.now()},
            {"older_digest": "b" * 64},
            {"older_until": timezone.now()},
        ],
    )
    def test_the_database_refuses_what_the_code_would_not_do(self, fields: dict[str, Any]):
        whole = {
            "id": "0" * 16, "label": "x", "scopes": ["orders:read"], "digest": "a" * 64, "created_by": "x",
            "created_at": timezone.now(), "secret_at": timezone.now(), "secret_by": "x",
        }  # fmt: skip
        with pytest.raises(IntegrityError), transaction.atomic():
            ServiceToken.objects.create(**whole | fields)

    def test_no_line_shows_one(self):
        token = issue().token
        assert without_secrets(f"Authorization: Bearer {token}, again") == "Authorization: Bearer •••, again"
        assert without_secrets("Bearer fdt_" + "x" * 43) == "Bearer •••"


class TestRefusals:
    @pytest.mark.parametrize(
        "offered",
        [
            "",
            "x",
            "hfs_",
            "hfs_" + "0" * 16 + "_" + "A" * 43,
            "HFS_" + "0" * 16,
            "fdt_" + "A" * 43,
            "ſ" * 64,
            "\0" * 64,
        ],
    )
    def test_what_opens_nothing(self, offered: str):
        issue()
        assert not admits(ServiceTokens(), offered)

    def test_every_fault_has_the_same_sentence(self):
        issued, expired, ended = issue(), issue(days=1), issue()
        ServiceToken.objects.filter(pk=expired.row.pk).update(expires_at=timezone.now())
        revoke_service_token(scope=EVERY_SHOP, token_id=ended.row.pk, **WHY)
        said = set()
        for token in ("x", flipped(issued.token), f"hfs_{'0' * 16}_{'A' * 43}", expired.token, ended.token):
            with pytest.raises(Unauthenticated) as refused:
                ServiceTokens().admit(token, shop_label="-")
            said.add((refused.value.detail, str(refused.value.members())))
        assert len(said) == 1

    def test_they_are_counted_each_time_and_told_once_a_minute_without_what_was_sent(self, log_lines: Lines):
        ring, label = ServiceTokens(), {"shop_id": "acme"}
        before = REGISTRY.get_sample_value("service_token_refused_total", label) or 0.0
        guess = flipped(issue().token)
        for _ in range(5):
            with pytest.raises(Unauthenticated):
                ring.admit(guess, shop_label="acme")
        assert REGISTRY.get_sample_value("service_token_refused_total", label) == before + 5
        assert [line["refused"] for line in log_lines() if line["event"] == "service_token_refused"] == [1]
        assert guess[-30:] not in str(log_lines())


class TestCost:
    def test_a_known_token_and_an_unknown_id_cost_one_look_up_each(
        self, settings: Settings, django_assert_num_queries: Any
    ):
        settings.SERVICE_TOKEN_SECONDS = 60.0
        ring, token, unknown = ServiceTokens(), issue().token, f"hfs_{'0' * 16}_{'A' * 43}"
        with django_assert_num_queries(2):  # the row, and the time of its use
            assert admits(ring, token)
        with django_assert_num_queries(1):
            assert not admits(ring, unknown)
        with django_assert_num_queries(0):
            assert admits(ring, token)
            assert not admits(ring, flipped(token))
            assert not admits(ring, unknown)
            assert not admits(ring, "hfs_nonsense")

    def test_a_scan_does_not_push_real_ones_out(self, settings: Settings, django_assert_num_queries: Any):
        settings.SERVICE_TOKEN_SECONDS = 60.0
        ring, token = ServiceTokens(), issue().token
        assert admits(ring, token)
        ring._unknown._most = 3
        for number in range(10):
            assert not admits(ring, f"hfs_{number:016x}_{'A' * 43}")
        assert len(ring._unknown) == 3
        with django_assert_num_queries(0):
            assert admits(ring, token)

    def test_use_is_kept_to_the_minute_and_per_secret(self):
        old = issue()
        assert admits(ServiceTokens(), old.token)
        first = ServiceToken.objects.get().last_used_at
        assert first is not None
        assert admits(ServiceTokens(), old.token), "another process"
        assert ServiceToken.objects.get().last_used_at == first
        new = rotate_service_token(scope=EVERY_SHOP, token_id=old.row.pk, overlap_hours=1, **WHY)
        assert ServiceToken.objects.values_list("last_used_at", "older_used_at").get() == (None, first)
        assert admits(ServiceTokens(), new.token)
        ServiceToken.objects.update(older_used_at=first - timedelta(minutes=2))
        assert admits(ServiceTokens(), old.token)
        row = ServiceToken.objects.get()
        assert row.last_used_at is not None
        assert row.older_used_at is not None
        assert row.older_used_at > first - timedelta(minutes=1)

    def test_an_end_is_in_force_within_the_promised_time(self, settings: Settings):
        settings.SERVICE_TOKEN_SECONDS = 0.4
        ring, issued = ServiceTokens(), issue()
        assert admits(ring, issued.token)
        revoke_service_token(scope=EVERY_SHOP, token_id=issued.row.pk, **WHY)
        started = time.monotonic()
        while admits(ring, issued.token):
            time.sleep(0.01)
        # The promise is 0.4 s; a busy machine is given more, so that a failure means "not in time at all".
        assert time.monotonic() - started <= 10

    def test_a_new_token_works_within_the_promised_time_after_its_id_was_guessed(self, settings: Settings):
        settings.SERVICE_TOKEN_SECONDS = 0.2
        ring = ServiceTokens()
        assert not admits(ring, f"hfs_{'1' * 16}_{'A' * 43}")
        token = issue(made_of=Material("1" * 16, "A" * 43)).token
        started = time.monotonic()
        while not admits(ring, token):
            assert time.monotonic() - started <= 10
            time.sleep(0.01)

    @pytest.mark.django_db(transaction=True)
    def test_without_postgresql_a_copy_serves_for_its_life_and_then_it_fails_closed(self, settings: Settings):
        settings.SERVICE_TOKEN_SECONDS = 60.0
        ring, issued = ServiceTokens(), issue()
        assert admits(ring, issued.token)
        with postgresql_away():
            assert admits(ring, issued.token)
            with pytest.raises(HostsUnavailable):
                ServiceTokens().admit(issued.token, shop_label="-")
            settings.SERVICE_TOKEN_SECONDS = 0.0
            with pytest.raises(HostsUnavailable):
                ring.admit(issued.token, shop_label="-")
        assert admits(ring, issued.token), "recovers by itself"
