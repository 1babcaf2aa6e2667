"""Databases from before the migrations were begun anew: complete ones need nothing, others are told so."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from config.checks import RENEWED, check_older_database, refuse_to_start

Name = tuple[str, str]
# What each app had last when its migrations were begun anew.
LAST = {
    "tenants": "0019_audit_by_words",
    "inventory": "0020_stock_day_over",
    "commerce": "0033_rental_desk",
    "checkout": "0008_subscribe_attempts",
    "webhooks": "0006_journal_differs",
}


def former() -> dict[Name, Name]:
    """Former migration → the one that replaces it."""
    found = MigrationLoader(None).disk_migrations
    return {name: key for key, migration in sorted(found.items()) if key[0] in RENEWED for name in migration.replaces}


def recorded() -> set[Name]:
    return {name for name in MigrationRecorder(connection).applied_migrations() if name[0] in RENEWED}


def record(names: Collection[Name]) -> None:
    """Makes the record say that of this product's migrations these were applied, in this order."""
    recorder = MigrationRecorder(connection)
    recorder.migration_qs.filter(app__in=RENEWED).delete()
    for app, name in names:
        recorder.record_applied(app, name)


def of_before() -> list[Name]:
    """What a complete database of before has recorded."""
    return sorted({*former(), *((app, "0001_initial") for app in RENEWED)})


def test_every_former_migration_is_replaced_once_and_the_last_by_the_first():
    replaced = [
        name
        for key, migration in MigrationLoader(None).disk_migrations.items()
        if key[0] in RENEWED
        for name in migration.replaces
    ]
    assert len(replaced) == len(set(replaced)) == 83
    for app, last in LAST.items():
        assert former()[app, last] == (app, "0001_initial")


@pytest.mark.django_db
def test_a_complete_database_of_before_needs_nothing():
    now = recorded()
    record(of_before())
    assert check_older_database() == []
    call_command("migrate", verbosity=0, skip_checks=False)
    assert recorded() == now
    call_command("migrate", check_unapplied=True, verbosity=0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "names",
    [
        [name for name in of_before() if name != ("commerce", "0033_rental_desk")],
        [name for name in of_before() if name < ("commerce", "0020") or name[0] == "tenants"],
        [("tenants", "0001_initial"), ("tenants", "0002_audit_rules")],
        [("tenants", "0001_initial")],
    ],
    ids=["all but the last", "some of several apps", "the first two", "the first"],
)
def test_an_unfinished_one_is_told_what_to_do(names: list[Name]):
    record(names)
    (message,) = check_older_database()
    assert message.id == "holdfast.E026" and 'docs/development.md, "Older databases"' in str(message.hint)
    with pytest.raises(SystemCheckError, match="older version and was never brought up to its last"):
        call_command("migrate", verbosity=0, skip_checks=False)
    assert recorded() == set(names)
    with pytest.raises(SystemExit, match="E026"):
        refuse_to_start()


@pytest.mark.django_db
def test_a_start_that_was_interrupted_goes_on():
    """Each migration records what it replaces, so that none of those to come looks as if it had been applied."""
    done = [("tenants", "0001_initial"), ("tenants", "0002_audit_stays")]
    record([*done, *(name for name, by in former().items() if by in done)])
    assert check_older_database() == []
    loader = MigrationLoader(connection)
    assert {name for name in loader.applied_migrations if name[0] in RENEWED} >= set(done)
    assert ("tenants", "0003_host_versions") not in loader.applied_migrations
    record([])
    assert check_older_database() == []
