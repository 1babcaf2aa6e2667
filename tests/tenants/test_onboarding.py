"""Bringing a domain in: its name, its proof, what is served before, the checklist, the preview and a move."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tenants.audit import Actor
from tenants.domain_probes import NotChecked, ProbeFailed, Probes
from tenants.errors import InvalidRequest, NotFound
from tenants.hosts import HOSTNAME, host_map, is_own_host
from tenants.models import AuditEntry, Host, Membership
from tenants.onboarding import checklist, normalise_domain, record_name, record_value, verify_host
from tenants.onboarding_file import arrival_mark
from tenants.staff import EVERY_SHOP
from tests.factories.tenants import HostFactory, ShopFactory
from tests.tenants.test_admin import errors, form_of

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", "olga")
FILE = "/.well-known/holdfast-verification.txt"


class Domain:
    """A domain as its probes find it; `probes` is what settings.DOMAIN_PROBES names in these tests."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] | None = {}
        self.body: str | None = None
        self.until = timezone.now() + timedelta(days=60)
        self.looked: list[str] = []

    @property
    def probes(self) -> Probes:
        return Probes(lambda name: ["192.0.2.1"], self._texts, self._fetch, lambda name: self.until)

    def _texts(self, name: str) -> list[str]:
        if self.texts is None:
            raise NotChecked("No name server is configured on this machine.")
        return self.texts.get(name, [])

    def _fetch(self, hostname: str, path: str) -> str:
        self.looked.append(f"{hostname}{path}")
        if self.body is None:
            raise ProbeFailed("Nothing answers on port 443.")
        return self.body


@pytest.fixture
def domain() -> Domain:
    return Domain()


@pytest.fixture
def host() -> Host:
    made: Host = HostFactory(shop__id="acme", hostname="shop.example")
    return made


def verify(host: Host, domain: Domain) -> str:
    return verify_host(host_id=host.pk, scope=EVERY_SHOP, acting=STAFF, reason="New domain", probes=domain.probes)


class TestNames:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("shop.example", "shop.example"),
            (" Shop.Example. ", "shop.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ],
    )
    def test_as_people_write_them(self, text: str, name: str):
        assert normalise_domain(text) == name

    @pytest.mark.parametrize(
        "text",
        ["", ".", "https://x.example", "x.example/", "x.example:8000", "a@x.example", "x y.example", "[::1]", "a..b",
         "straße.example", "ü" * 70, "x\x00.example", "-x.example", "*.example", "x_y.example", "a" * 254],
    )  # fmt: skip
    def test_what_is_no_domain(self, text: str):
        with pytest.raises(ValueError, match=r"\w"):
            normalise_domain(text)

    @given(st.text(max_size=80))
    def test_whatever_comes_out_can_be_stored(self, text: str):
        try:
            name = normalise_domain(text)
        except ValueError:
            return
        assert HOSTNAME.match(name) and normalise_domain(name) == name


class TestProof:
    def test_a_txt_record(self, host: Host, domain: Domain):
        domain.texts = {record_name("shop.example"): ["v=spf1", record_value(host.verification_token)]}
        assert verify(host, domain) == "Proven by TXT record. It is served from now on."
        host.refresh_from_db()
        assert (host.verified_at == host.checked_at, host.verified_by) == (True, "dns")
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.shop_id, entry.actor_name, entry.reason) == (
            "host.verified",
            "acme",
            "olga",
            "New domain",
        )

    def test_a_file_on_the_domain(self, host: Host, domain: Domain):
        domain.body = f"# ours\r\n{record_value(host.verification_token)}\r\n"
        assert verify(host, domain).startswith("Proven by File on the domain")
        assert domain.looked == [f"shop.example{FILE}"]

    @pytest.mark.parametrize("body", ["", "holdfast-verification=", "x{value}", "{value}x", "{mark}", "{other}"])
    def test_no_other_file_proves_anything(self, host: Host, domain: Domain, body: str):
        other = record_value(HostFactory(shop=host.shop, role="alias", hostname="b.example").verification_token)
        value, mark = record_value(host.verification_token), arrival_mark(host.hostname)
        domain.body = body.format(value=value, mark=mark, other=other)
        domain.texts = {record_name("shop.example"): [other, mark]}
        assert verify(host, domain).startswith("Looked at, not proven yet.")
        host.refresh_from_db()
        assert (host.verified_at, AuditEntry.objects.get().action) == (None, "host.looked_at")

    def test_a_proof_stays_when_its_record_goes(self, host: Host, domain: Domain):
        domain.texts = {record_name("shop.example"): [record_value(host.verification_token)]}
        verify(host, domain)
        domain.texts = {}
        assert verify(host, domain) == "Looked at; it was proven before."
        host.refresh_from_db()
        assert (host.verified_by, checklist(host)[0].state) == ("dns", "bad")

    def test_the_checklist_says_what_was_seen_and_what_was_not_looked_at(self, host: Host, domain: Domain):
        assert {step.state for step in checklist(host)} == {"unknown"}
        domain.texts, domain.body = None, arrival_mark(host.hostname)
        domain.until = timezone.now() + timedelta(days=3)
        verify(host, domain)
        host.refresh_from_db()
        assert [(step.name, step.state) for step in checklist(host)] == [
            ("txt", "unknown"),
            ("file", "bad"),
            ("address", "good"),
            ("arrival", "good"),
            ("tls", "bad"),
        ]
        found = {step.name: step.found for step in checklist(host)}
        assert found["txt"] == "Not checked. No name server is configured on this machine."
        assert found["address"] == "192.0.2.1"
        assert "should have been renewed" in found["tls"]

    def test_a_host_edited_or_gone_meanwhile(self, host: Host, domain: Domain):
        class Edited(Domain):
            def _fetch(self, hostname: str, path: str) -> str:
                Host.objects.update(hostname="moved.example")
                return record_value(host.verification_token)

        with pytest.raises(InvalidRequest, match="edited meanwhile"):
            verify(host, Edited())
        assert not Host.objects.exclude(verified_at=None).exists()
        with pytest.raises(NotFound):
            verify_host(host_id=0, scope=EVERY_SHOP, acting=STAFF, reason="x", probes=domain.probes)


class TestUnprovenHosts:
    def test_production_serves_nothing_but_the_file(self, host: Host, client: Client, settings: Any):
        settings.SERVE_UNVERIFIED_HOSTS = False
        for path in ("/", "/en/", "/api/cart", "/.well-known/other", "/static/storefront/style.css"):
            answer = client.get(path, headers={"Host": "shop.example"})
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_host"), path
        file = client.get(FILE, headers={"Host": "shop.example"})
        assert (file.status_code, file.content.decode()) == (200, arrival_mark("shop.example") + "\n")
        assert host.verification_token not in file.content.decode(), "pointing a name here is no proof"
        assert not is_own_host("acme", "shop.example")
        Host.objects.update(verified_at=timezone.now())
        assert client.get("/en/", headers={"Host": "shop.example"}).status_code == 200
        assert is_own_host("acme", "shop.example")

    def test_development_serves_them(self, host: Host, client: Client):
        assert client.get("/en/", headers={"Host": "shop.example"}).status_code == 200

    def test_the_file_is_every_hosts_own_and_nobody_elses(self, host: Host, client: Client):
        HostFactory(shop=None, role=Host.Role.HOOKS, hostname="hooks.example")
        file = client.get(FILE, headers={"Host": "hooks.example"})
        assert file.content.decode().strip() == arrival_mark("hooks.example")
        assert client.get(FILE, headers={"Host": "unknown.example"}).status_code == 404
        assert client.post(FILE, headers={"Host": "shop.example"}).status_code == 405
        assert arrival_mark("a.example") != arrival_mark("b.example")


@pytest.fixture
def owner(client: Client, settings: Any, domain: Domain) -> Client:
    global _probes
    _probes = domain.probes
    settings.DOMAIN_PROBES = "tests.tenants.test_onboarding._probes"
    client.force_login(User.objects.create_superuser("olga"))
    return client


_probes: Probes


def act(client: Client, host: Host, name: str, **fields: Any) -> str:
    """Asks for an action on the host's page, confirms it, and answers both pages' text."""
    page = client.get(f"/admin/tenants/host/{host.pk}/act-{name}/")
    told = errors(page)
    token = re.search(r'name="token" value="([^"]+)"', told)
    assert token is not None, told
    done = client.post(f"/admin/tenants/host/act/{name}/", {"token": token[1], **fields}, follow=True)
    return told + errors(done)


class TestBackOffice:
    def test_a_domain_is_added_as_people_write_it(self, owner: Client):
        shop = ShopFactory(id="acme")
        path = "/admin/tenants/host/add/"
        data = form_of(owner, path) | {"hostname": "Bücher.Example.", "role": "canonical", "shop": shop.pk}
        assert "This field is required" in errors(owner.post(path, data))
        page = owner.post(path, data | {"reason_for_change": "New domain"})
        assert page.status_code == 302, errors(page)
        host = Host.objects.get()
        assert (host.hostname, host.verified_at, host.verified_by) == ("xn--bcher-kva.example", None, "")
        assert AuditEntry.objects.get().action == "host.added"

    def test_its_page_says_what_to_set_where(self, owner: Client, host: Host):
        text = errors(owner.get(f"/admin/tenants/host/{host.pk}/change/"))
        assert "_holdfast.shop.example" in text and f"holdfast-verification={host.verification_token}" in text
        assert "not proven" in text and "not checked" in text
        assert owner.get("/admin/tenants/host/").status_code == 200

    def test_a_check_keeps_what_it_found(self, owner: Client, host: Host, domain: Domain):
        domain.texts = {record_name("shop.example"): [record_value(host.verification_token)]}
        assert "Proven by TXT record" in act(owner, host, "verify", reason="Record is set")
        text = errors(owner.get(f"/admin/tenants/host/{host.pk}/change/"))
        assert "The record is there." in text and "192.0.2.1" in text

    def test_a_new_name_needs_a_new_proof(self, owner: Client, host: Host):
        Host.objects.update(verified_at=timezone.now(), verified_by="dns", checks=[{"name": "txt", "state": "good"}])
        path = f"/admin/tenants/host/{host.pk}/change/"
        page = owner.post(path, form_of(owner, path) | {"hostname": "NEW.example", "reason_for_change": "Renamed"})
        assert page.status_code == 302, errors(page)
        changed = Host.objects.get()
        assert (changed.hostname, changed.verified_at, changed.verified_by, changed.checks) == (
            "new.example",
            None,
            "",
            [],
        )
        assert changed.verification_token != host.verification_token

    def test_any_other_edit_keeps_it(self, owner: Client, host: Host):
        Host.objects.update(verified_at=timezone.now(), verified_by="dns")
        path = f"/admin/tenants/host/{host.pk}/change/"
        data = form_of(owner, path) | {"mode": "landing_only", "locale": "de", "reason_for_change": "Not yet"}
        assert owner.post(path, data).status_code == 302
        changed = Host.objects.get()
        assert (changed.mode, changed.locale, changed.verified_by) == ("landing_only", "de", "dns")
        assert (changed.verification_token, changed.shop_id) == (host.verification_token, "acme")

    def test_a_second_canonical_host_is_refused_on_its_page(self, owner: Client, host: Host):
        alias = HostFactory(shop=host.shop, role="alias", hostname="b.example")
        path = f"/admin/tenants/host/{alias.pk}/change/"
        page = owner.post(path, form_of(owner, path) | {"role": "canonical", "reason_for_change": "Trying"})
        assert (page.status_code, "host_one_canonical_per_shop" in errors(page)) == (200, True)

    def test_a_move_says_what_is_lost_and_asks(self, owner: Client, host: Host):
        other = ShopFactory(id="other", name="Other")
        told = act(owner, host, "move", to_shop=other.pk, reason="Sold")
        assert "Acme (acme) loses shop.example." in told and "No checkout is open there." in told
        assert "It is its canonical host" in told
        assert "belongs to Other now" in told
        assert Host.objects.get().shop_id == "other"
        found = host_map.find("shop.example")
        assert found is not None and found.shop is not None and found.shop.shop_id == "other", "every process sees it"
        entries = AuditEntry.objects.order_by("shop_id")
        assert [(e.action, e.shop_id, e.reason, e.data["changes"]) for e in entries] == [
            ("host.moved", "acme", "Sold", {"shop": ["acme", "other"]}),
            ("host.moved", "other", "Sold", {"shop": ["acme", "other"]}),
        ]

    @pytest.mark.parametrize(("to", "why"), [("acme", "belongs to Acme already"), ("taken", "canonical host already")])
    def test_moves_that_are_refused(self, owner: Client, host: Host, to: str, why: str):
        HostFactory(shop__id="taken")
        assert why in act(owner, host, "move", to_shop=to, reason="Sold")
        assert Host.objects.get(pk=host.pk).shop_id == "acme"
        assert not AuditEntry.objects.exists()

    def test_the_shop_is_no_field_of_the_form(self, owner: Client, host: Host):
        other = ShopFactory(id="other")
        path = f"/admin/tenants/host/{host.pk}/change/"
        owner.post(path, form_of(owner, path) | {"shop": other.pk, "mode": "expired", "reason_for_change": "Sly"})
        assert (Host.objects.get().shop_id, Host.objects.get().mode) == ("acme", "expired")

    def test_a_shops_own_staff_move_nothing_to_others(self, owner: Client, host: Host):
        ShopFactory(id="other")
        clerk = User.objects.create_user("clerk", is_staff=True)
        clerk.user_permissions.set(Permission.objects.filter(codename__in=["view_host", "change_host"]))
        Membership.objects.create(user=clerk, shop_id="acme", active=True)
        owner.force_login(clerk)
        assert "valid choice" in act(owner, host, "move", to_shop="other", reason="Mine")
        assert Host.objects.get().shop_id == "acme"


class TestPreview:
    def ask(self, client: Client, url: str, language: str = "") -> str:
        page = client.get("/admin/tenants/host/preview/", {"url": url, "language": language})
        assert page.status_code == 200
        return errors(page)

    def test_the_whole_chain_is_shown(self, owner: Client, host: Host, settings: Any):
        settings.PUBLIC_PORT = 80
        HostFactory(shop=host.shop, role="redirect_only", hostname="spring.example")
        text = self.ask(owner, "https://spring.example/x?utm_source=a", "de")
        for shown in (
            "301 to http://shop.example/x?utm_source=a",
            "307 to /de/x?utm_source=a",
            "http://shop.example/de/x?utm_source=a",
            "Served.",
        ):
            assert shown in text

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("https://nobody.example/", "not served here"),
            ("https://shop.example//evil.test/", "404: nothing is there."),
            ("https://shop.example/api/cart", "Served."),
            ("javascript:alert(1)", "begins with http"),
            ("https://a b/", "no host name"),
            ("https://[/", "Invalid IPv6"),
            ("https://shop.example/<script>alert(1)</script>/", "&lt;script&gt;"),
        ],
    )
    def test_other_ends(self, owner: Client, host: Host, url: str, shown: str):
        text = self.ask(owner, url)
        assert shown in text
        assert "<script>alert" not in text

    def test_an_unproven_host_is_shown_as_it_will_be(self, owner: Client, host: Host, settings: Any):
        settings.SERVE_UNVERIFIED_HOSTS = False
        assert "not proven yet" in self.ask(owner, "https://shop.example/")

    def test_it_is_for_those_who_see_hosts(self, owner: Client):
        assert "Preview an address" in errors(owner.get("/admin/tenants/host/"))
        assert owner.get("/admin/tenants/host/preview-link/", follow=True).status_code == 200
        owner.force_login(User.objects.create_user("clerk", is_staff=True))
        assert owner.get("/admin/tenants/host/preview/").status_code == 403
