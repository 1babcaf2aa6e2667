"""What production refuses, what is refused everywhere, and that refusing means not starting."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from config.checks import check_settings
from tests.house.code import ROOT

# Only the check reads these settings while a test changes them.
pytestmark = pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")

GOOD: dict[str, Any] = {
    "ENVIRONMENT": "production",
    "DEBUG": False,
    "DATABASES": {"default": {"HOST": "db.example.com"}},
    "REDIS_URL": "rediss://cache.example.com:6379",
    "STRIPE_API_BASE": "https://api.stripe.com",
    "STRIPE_SECRET_KEY": "sk_live_1",
    "STRIPE_PUBLISHABLE_KEY": "",
    "STRIPE_ACCOUNT": "acct_1",
    "STRIPE_WEBHOOK_SECRETS": ("whsec_1",),
    "CREDENTIAL_KEYS": ("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",),
    "PLATFORM_HOSTS": ("admin.example.com",),
    "METRICS_TOKEN": "",
    "EMAIL_URL": "",
    "STOCK_ALERT_RECIPIENT": (),
    "WEBHOOK_UNRESOLVED_RESPONSE": 503,
}


def found(settings: Settings, **changes: Any) -> list[str]:
    for name, value in (GOOD | changes).items():
        setattr(settings, name, value)
    messages = check_settings()
    assert all(message.hint and message.is_serious() for message in messages)
    return [str(message.id).removeprefix("holdfast.") for message in messages]


def database(host: str) -> dict[str, Any]:
    return {"default": {"HOST": host}}


def test_a_sound_production_passes(settings: Settings):
    assert found(settings) == []
    assert found(settings, STRIPE_SECRET_KEY="sk_test_1", DATABASES=database("/run/postgresql")) == []
    assert found(settings, REDIS_URL="unix:///run/valkey.sock", STRIPE_SECRET_KEY="rk_live_1") == []


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({"DEBUG": True}, ["E010"]),
        ({"CHECKOUT_RATE_LIMIT_REQUESTS_PER_MINUTE": 601}, ["E024"]),
        ({"DATABASES": database("/tmp/holdfast-0-abc")}, ["E011"]),
        ({"DATABASES": database("/srv/holdfast/.data/postgres")}, ["E011"]),
        ({"REDIS_URL": "unix:///tmp/holdfast-0-abc/valkey.sock"}, ["E012"]),
        ({"REDIS_URL": "unix:///srv/holdfast/.data/valkey.sock?db=0"}, ["E012"]),
        ({"STRIPE_API_BASE": "http://127.0.0.1:9000", "STRIPE_SECRET_KEY": "sk_test_1"}, ["E013"]),
        ({"STRIPE_API_BASE": "https://api.stripe.com.evil.example"}, ["E003", "E013"]),
        ({"STRIPE_SECRET_KEY": "sk_test_standin"}, ["E014"]),
        ({"STRIPE_WEBHOOK_SECRETS": ()}, ["E015"]),
        ({"PLATFORM_HOSTS": ()}, ["E016"]),
        ({"CREDENTIAL_KEYS": ()}, ["E018"]),
        ({"STOCK_ALERT_RECIPIENT": ("ops@shop.test",)}, ["E020"]),
        ({"STOCK_ALERT_RECIPIENT": ("ops",), "EMAIL_URL": "smtp://mail.test"}, ["E021"]),
    ],
)
def test_production_refuses(settings: Settings, changes: dict[str, Any], ids: list[str]):
    assert found(settings, **changes) == ids


@pytest.mark.parametrize("environment", ["production", "development", "test"])
@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"STRIPE_SECRET_KEY": "pk_live_1"}, "E001"),
        ({"STRIPE_ACCOUNT": "account"}, "E002"),
        ({"STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_PUBLISHABLE_KEY": "pk_live_1"}, "E025"),
        ({"STRIPE_SECRET_KEY": "sk_live_1", "STRIPE_PUBLISHABLE_KEY": "pk_test_1"}, "E025"),
        ({"STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_PUBLISHABLE_KEY": "sk_test_1"}, "E025"),
        ({"STRIPE_SECRET_KEY": "sk_live_1", "STRIPE_API_BASE": "http://127.0.0.1:9000"}, "E003"),
        ({"STRIPE_SECRET_KEY": "rk_live_1", "STRIPE_API_BASE": "http://127.0.0.1:9000"}, "E003"),
        ({"WEBHOOK_UNRESOLVED_RESPONSE": 404}, "E004"),
        ({"METRICS_TOKEN": "short"}, "E005"),
        ({"CREDENTIAL_KEYS": ("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", "short")}, "E017"),
        ({"CHECKOUT_REPRICE_DRIFT_PCT": Decimal(1) + Decimal("0.01")}, "E006"),
        ({"CHECKOUT_REPRICE_DRIFT_ABS": Decimal("-0.1")}, "E006"),
    ],
)
def test_refused_everywhere(settings: Settings, environment: str, changes: dict[str, Any], number: str):
    assert number in found(settings, ENVIRONMENT=environment, **changes)


def test_development_may_do_what_production_may_not(settings: Settings):
    assert found(
        settings,
        ENVIRONMENT="development",
        DATABASES=database("/tmp/holdfast-0-abc"),
        REDIS_URL="unix:///tmp/holdfast-0-abc/valkey.sock",
        STRIPE_API_BASE="http://127.0.0.1:9000",
        STRIPE_SECRET_KEY="sk_test_standin",
        STRIPE_WEBHOOK_SECRETS=(),
        PLATFORM_HOSTS=(),
    ) == []  # fmt: skip


def production(**changes: str) -> dict[str, str]:
    """An environment as docs/configuration.md asks for it, and nothing of this one's."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONWARNINGS": "ignore",
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "DATABASE_URL": "postgres://holdfast:x@db.example.com:5432/holdfast",
        "REDIS_URL": "rediss://cache.example.com:6379",
        "SECRET_KEY": "Zm9yIGEgdGVzdCB3aXRoIGZpZnR5IGNoYXJhY3RlcnMgYW5kIG1vcmU-yes",
        "STRIPE_SECRET_KEY": "sk_live_1",
        "STRIPE_ACCOUNT": "acct_1",
        "STRIPE_WEBHOOK_SECRETS": "whsec_1",
        "CREDENTIAL_KEYS": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "PLATFORM_HOSTS": "admin.example.com",
        **changes,
    }


def run(arguments: list[str], environment: dict[str, str], said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, input=said, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def test_djangos_own_deployment_checks_are_clean():
    told = run(["manage.py", "check", "--deploy", "--fail-level", "WARNING"], production())
    assert (told.returncode, told.stdout) == (0, "System check identified no issues (0 silenced).\n"), told.stderr


@pytest.mark.parametrize(
    "program",
    [
        ["-c", "import config.wsgi"],
        ["-m", "celery", "-A", "config", "beat", "--schedule", "{folder}/schedule"],
        ["-m", "celery", "-A", "config", "worker", "--pool", "solo"],
        ["manage.py", "reap_holds"],
    ],
    ids=["web", "beat", "worker", "manage"],
)
def test_nothing_starts_on_a_contradiction(program: list[str], tmp_path: Path):
    told = run([word.format(folder=tmp_path) for word in program], production(STRIPE_API_BASE="http://127.0.0.1:9000"))
    assert told.returncode != 0
    assert "holdfast.E003" in told.stderr
    assert "Unset STRIPE_API_BASE" in told.stderr


# A process of its own for each environment, forked from one that has all but the settings loaded.
READER = """
import importlib, json, os, sys
import config.settings.production
ours = [name for name in sys.modules if name.split(".")[0] == "config"]
for environment in json.load(sys.stdin):
    sys.stdout.flush()
    if os.fork() == 0:
        os.environ.clear()
        os.environ.update(environment)
        for name in ours:
            del sys.modules[name]
        try:
            importlib.import_module("config.settings.production")
            print(json.dumps(None))
        except Exception as error:
            print(json.dumps(str(error)))
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""
SOUND = ("SECRET_KEY", production()["SECRET_KEY"])
NONSENSE = (
    ("CHECKOUT_RATE_LIMIT_ENABLED", "perhaps"),
    ("CHECKOUT_RATE_LIMIT_REQUESTS_PER_MINUTE", "0"),
    ("CHECKOUT_RATE_LIMIT_REQUESTS_PER_MINUTE", "ten"),
    ("FRONT_DOOR_RATE_LIMIT_ENABLED", ""),
    ("FRONT_DOOR_RATE_LIMIT_REQUESTS_PER_MINUTE", "59"),
)
NEEDED = tuple(
    (name, "") for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "STRIPE_SECRET_KEY", "STRIPE_ACCOUNT")
)


def test_a_variable_that_is_missing_or_makes_no_sense_is_named():
    changes = [SOUND, *NONSENSE, *NEEDED]
    told = run(["-c", READER], production(), json.dumps([production(**{name: value}) for name, value in changes]))
    assert told.returncode == 0, told.stderr
    answers = dict(zip(changes, map(json.loads, told.stdout.splitlines()), strict=True))
    assert answers[SOUND] is None
    for name, value in NONSENSE:
        assert f"{name}={value!r}: expected" in str(answers[name, value])
    for name, value in NEEDED:
        assert f"{name} is not set" in str(answers[name, value])
