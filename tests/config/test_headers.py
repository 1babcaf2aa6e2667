from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db


def directives(policy: str) -> dict[str, set[str]]:
    return {name: set(rest) for name, *rest in (part.split() for part in policy.split(";"))}


@pytest.mark.usefixtures("probes")
def test_data_loads_nothing_and_is_not_kept(client: Client, shop_host: str):
    answer = client.get("/api/cart", headers={"Host": shop_host})
    assert directives(answer["Content-Security-Policy"])["default-src"] == {"'none'"}
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cache-Control"] == "no-store"


def test_the_admin_may_evaluate_and_nothing_may_run_inline(client: Client):
    page = directives(client.get("/admin/login/", headers={"Host": "localhost"})["Content-Security-Policy"])
    assert page["script-src"] == {"'self'", "'unsafe-eval'"}
    assert page["style-src"] == {"'self'", "'unsafe-inline'"}
    assert page["frame-ancestors"] == {"'none'"}


def test_pages_of_a_shop_run_no_inline_script():
    from config.headers import STOREFRONT

    page = directives(STOREFRONT)
    assert "'unsafe-inline'" not in STOREFRONT
    assert "'unsafe-eval'" not in STOREFRONT
    assert page["img-src"] == {"'self'", "data:"}
    assert page["form-action"] == {"'self'", "https://checkout.stripe.com"}
    assert page["object-src"] == {"'none'"}


def test_refusals_of_the_front_door_carry_them_too(client: Client):
    answer = client.get("/api/cart", headers={"Host": "nobody.example"})
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert directives(answer["Content-Security-Policy"])["default-src"] == {"'none'"}


def test_a_form_without_its_token_is_refused_on_a_page(client: Client):
    User.objects.create_user("staff", password="correct horse")
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post(
        "/admin/login/", {"username": "staff", "password": "correct horse"},
        headers={"Host": "localhost", "Accept": "text/html"},
    )  # fmt: skip
    assert (answer.status_code, answer["Content-Type"].split(";")[0]) == (403, "text/html")
    assert b"expired" in answer.content
    assert b"CSRF" not in answer.content
