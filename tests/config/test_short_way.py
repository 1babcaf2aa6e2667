"""What machines ask is answered past the middleware of pages, and loses nothing by it."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client

from config.short_way import innermost
from tenants.allowlist import API, API_BELOW
from tenants.models import Host
from tests.factories.tenants import HostFactory
from tests.fixtures.standin import StandIn
from tests.webhooks.deliver import deliver, event

HOOKS = "hooks.localhost"


@pytest.fixture
def hooks_host(db: None) -> None:
    HostFactory(hostname=HOOKS, role=Host.Role.HOOKS, shop=None)


def test_it_leads_to_the_view_itself() -> None:
    handler = WSGIHandler()
    assert innermost(handler._middleware_chain).__wrapped__ == handler._get_response  # type: ignore[attr-defined]


def test_it_stands_behind_what_guards_every_request() -> None:
    names = settings.MIDDLEWARE
    before = names[: names.index("config.short_way.ShortWay")]
    assert before == [
        "config.headers.SecurityHeaders",
        "tenants.front_door.FrontDoor",
        "tenants.redirecting.Redirecting",
        "config.problems.ProblemMiddleware",
        "django.middleware.security.SecurityMiddleware",
    ]


def test_what_staff_or_customers_ask_with_a_cookie_never_takes_it() -> None:
    bare = {path for path, rule in {**API, **API_BELOW}.items() if rule.bare}
    assert bare == {
        "stripe-webhook", "billing/webhook", "inventory/availability", "inventory/validate", "inventory/holds",
        "inventory/holds/", "inventory/health",
    }  # fmt: skip


@pytest.mark.parametrize("language", ["de", "en"])
def test_an_answer_has_its_length_and_its_guards_and_no_language(hooks_host: None, language: str) -> None:
    answer = Client().get("/api/stripe-webhook", headers={"Host": HOOKS, "Accept-Language": language})
    assert (answer.status_code, answer.json()["code"], answer["Allow"]) == (405, "method_not_allowed", "POST, OPTIONS")
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"] == "no-store"
    assert "Content-Language" not in answer
    assert "Vary" not in answer


def test_a_browsers_form_token_is_not_asked_for(hooks_host: None) -> None:
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post("/api/stripe-webhook", b"{}", "application/json", headers={"Host": HOOKS})
    assert answer.json()["code"] == "webhook_signature"


def test_a_success_has_its_length(hooks_host: None, standin: StandIn) -> None:
    answer = deliver(event("customer.created", {"id": "cus_1"}))
    assert (answer.status_code, answer["Content-Length"]) == (200, str(len(answer.content)))
