"""Statements that go straight to the driver are in their shop's scope like all others, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import DatabaseError, connection, transaction

from tenants.database import WEB_ROLE, as_shop, as_system
from tenants.postgres.direct import ask, text_array

WHO = """
    CREATE FUNCTION bench_who(p_shop text, p_words text[], OUT o_shop text, OUT o_role text, OUT o_scope text,
        OUT o_words text[]) LANGUAGE sql VOLATILE
    AS $$ SELECT p_shop, current_user::text, current_setting('holdfast.shop', true), p_words $$
"""
PREPARED = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%bench_who%'"


@pytest.fixture
def who(transactional_db: None) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(WHO)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION bench_who")


def asked(shop_id: str, words: tuple[str, ...] = ()) -> tuple[object, ...]:
    return ask(
        columns="o_shop, o_role, o_scope, o_words",
        function="bench_who",
        shop_id=shop_id,
        arguments="%s::text[]",
        values=[text_array(words)],
    )


def one(statement: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def test_it_is_in_the_scope_of_its_shop_and_leaves_none(who: None):
    login = one("SELECT session_user::text")
    with as_shop("acme"):
        answers = [asked("acme") for _ in range(8)]
    assert answers == [("acme", WEB_ROLE, "acme", [])] * 8
    assert one("SELECT current_user::text") == login
    assert one("SELECT coalesce(current_setting('holdfast.shop', true), '')") == ""
    assert one(PREPARED) == 1, "it went straight, or there would be no plan kept for it"


def test_connections_that_change_shops_follow(who: None):
    def as_each(number: int) -> tuple[object, ...]:
        with as_shop(f"shop-{number % 3}"):
            answer = asked(f"shop-{number % 3}")
        if number > 30:
            connection.close()
        return answer[:3]

    with ThreadPoolExecutor(1) as pool:
        found = list(pool.map(as_each, range(32)))
    assert found == [(f"shop-{number % 3}", WEB_ROLE, f"shop-{number % 3}") for number in range(32)]


def test_without_a_scope_it_has_the_rights_of_the_login(who: None):
    login = one("SELECT session_user::text")
    assert asked("acme") == ("acme", login, None, [])
    with as_shop("acme"):
        assert asked("acme")[1:3] == (WEB_ROLE, "acme")
    assert asked("acme")[1] == login
    assert one("SELECT current_user::text") == login


def test_inside_a_transaction_and_in_other_scopes_it_is_a_statement_like_any(who: None):
    with as_shop("acme"), transaction.atomic():
        assert asked("acme")[1:3] == (WEB_ROLE, "acme")
        assert one("SELECT current_user::text") == WEB_ROLE
    with as_system():
        assert asked("acme")[1:3] == ("holdfast_system", "")
    with as_shop("other"):
        assert asked("acme")[1:3] == (WEB_ROLE, "other"), "the scope decides, not the argument"
    assert one(PREPARED) == 0


def test_a_failure_is_djangos_and_the_connection_lives_on(who: None):
    with as_shop("acme"):
        for _ in range(8):
            with pytest.raises(DatabaseError):
                ask(columns="1", function="bench_who", shop_id="acme", arguments="%s::text[]", values=["no array"])
        assert asked("acme")[0] == "acme"


@pytest.mark.parametrize("words", [(), ("",), ("a", "b"), ('"', "\\", '\\"', "{},", "NULL", " x ", "ü|:#", "a\nb")])
def test_arrays_arrive_as_they_were(who: None, words: tuple[str, ...]):
    with as_shop("acme"):
        assert asked("acme", words)[3] == list(words)
