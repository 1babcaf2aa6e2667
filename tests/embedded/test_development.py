"""config/development and dev.py's own rules: what programs are told, which ports they get, who may run it."""

from __future__ import annotations

import ast
import socket
import stat
from pathlib import Path

import pytest

from config import embedded
from config.development import (
    ROOT,
    StartError,
    environment,
    read_json,
    servers_wanted,
    standin_port,
    web_socket,
    write_json,
)

SERVICES = embedded.Services(database_url="postgres://ours", redis_url="unix:///ours")
NAMES = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "STRIPE_SECRET_KEY", "STRIPE_ACCOUNT", "STRIPE_API_BASE")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, "STRIPE_WEBHOOK_SECRETS"):
        monkeypatch.delenv(name, raising=False)


def test_everything_a_program_needs_is_supplied(tmp_path: Path) -> None:
    write_json(tmp_path / "ports.json", {"web": 8123, "standin": 8200})
    env = environment(tmp_path, SERVICES, settings="config.settings.development")
    kept = read_json(tmp_path / "secrets.json")
    wanted = {
        "DATABASE_URL": "postgres://ours",
        "REDIS_URL": "unix:///ours",
        "DJANGO_SETTINGS_MODULE": "config.settings.development",
        "SECRET_KEY": kept["django"],
        "STRIPE_SECRET_KEY": "sk_test_standin",
        "STRIPE_ACCOUNT": "acct_standin",
        "STRIPE_API_BASE": "http://127.0.0.1:8200",
        "STRIPE_WEBHOOK_SECRETS": kept["webhook"],
        "HOLDFAST_PORT": "8123",
        "HOLDFAST_DATA": str(tmp_path),
    }
    assert {name: env[name] for name in wanted} == wanted
    assert len(kept["django"]) >= 50
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    assert environment(tmp_path, SERVICES, settings="config.settings.development") == env


def test_what_the_environment_says_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://theirs")
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_theirs")
    env = environment(tmp_path, embedded.Services(redis_url="unix:///ours"), settings="config.settings.development")
    assert (env["DATABASE_URL"], env["REDIS_URL"]) == ("postgres://theirs", "unix:///ours")
    assert env["STRIPE_SECRET_KEY"] == "sk_test_theirs"
    assert not {"STRIPE_API_BASE", "STRIPE_ACCOUNT", "STRIPE_WEBHOOK_SECRETS"} & env.keys()
    assert servers_wanted() == {"valkey"}


def test_tests_never_see_anybodys_stripe_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_live_theirs")
    monkeypatch.setenv("STRIPE_API_BASE", "https://theirs")
    env = environment(tmp_path, SERVICES, settings="config.settings.test")
    assert (env["STRIPE_SECRET_KEY"], env["STRIPE_API_BASE"]) == ("sk_test_standin", "http://127.0.0.1:8001")


def test_libpq_is_not_led_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "5433")
    assert "PGPORT" not in environment(tmp_path, SERVICES, settings="config.settings.test")
    theirs = embedded.Services(redis_url="unix:///ours")
    assert environment(tmp_path, theirs, settings="config.settings.test")["PGPORT"] == "5433"


def test_a_busy_port_is_named_before_anything_starts() -> None:
    with web_socket(0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"Port {port} can't be used .*--port"):
            web_socket(port)


def test_the_standin_keeps_its_port(tmp_path: Path) -> None:
    with web_socket(0) as web:
        port = web.getsockname()[1]
        first = standin_port(tmp_path, port)
        write_json(tmp_path / "ports.json", {"standin": first})
        assert standin_port(tmp_path, port + 100) == first
        with socket.create_server(("127.0.0.1", first)):
            assert standin_port(tmp_path, port) not in {first, port}


def test_half_a_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "seed.json").write_text('{"shops": [')
    assert read_json(tmp_path / "seed.json") == {}
    assert read_json(tmp_path / "absent.json") == {}


def test_an_older_python_gets_as_far_as_the_message() -> None:
    """A syntax error would come before any message could."""
    source = (ROOT / "dev.py").read_text()
    tree = ast.parse(source, feature_version=(3, 7))
    assert [type(node).__name__ for node in tree.body[:3]] == ["Expr", "Import", "If"]
    assert "import sys" in source.splitlines()
