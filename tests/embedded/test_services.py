"""config/embedded: servers that start, are shared, survive their users, and are left to nobody."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import environ
import psycopg
import pytest
import redis

from config import embedded
from config.embedded.processes import alive, wait_until
from tests.embedded.conftest import Hold, answer, copied_site, popen

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")


def answers(services: embedded.Services) -> bool:
    """Both servers do real work."""
    with psycopg.connect(services.database_url) as connection:
        row = connection.execute("SELECT 1").fetchone()
    return row == (1,) and bool(redis.Redis.from_url(services.redis_url).ping())


def gone(services: embedded.Services) -> bool:
    return wait_until(lambda: not alive(services.postgres_pid) and not alive(services.valkey_pid), seconds=10)


def test_the_application_gets_a_plain_role_on_a_unicode_database_in_utc(folder: Path) -> None:
    with embedded.Lease(folder / "data") as lease, psycopg.connect(lease.services.database_url) as connection:
        role = connection.execute(
            "SELECT current_user, rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = user"
        ).fetchone()
        shape = connection.execute(
            "SELECT pg_encoding_to_char(encoding), datlocale, pg_get_userbyid(datdba), current_setting('TimeZone'),"
            " current_setting('listen_addresses'), upper('größe') FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        durable = connection.execute(
            "SELECT current_setting('fsync'), current_setting('synchronous_commit')"
        ).fetchone()
        memory = redis.Redis.from_url(lease.services.redis_url).config_get("*")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(lease.services.database_url.replace("holdfast@", "postgres@"))
    assert role == ("holdfast", False, True, False, False)
    assert shape == ("UTF8", "C.UTF-8", "holdfast", "UTC", "", "GRÖSSE".replace("SS", "ß"))
    assert durable == ("on", "on")
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "port": "0"}
    assert {name: memory[name] for name in wanted} == wanted


def test_the_urls_mean_the_same_to_django_environ(folder: Path) -> None:
    with embedded.Lease(folder / "data", profile="fast") as lease:
        read = environ.Env.db_url_config(lease.services.database_url)
        sockets = read["OPTIONS"]["host"]
    assert read == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "holdfast",
        "USER": "holdfast",
        "PASSWORD": "",
        "HOST": "",
        "PORT": "",
        "OPTIONS": {"host": sockets},
    }
    assert lease.services.redis_url == f"unix://{sockets}/valkey.sock?db=0"


def test_data_survive_the_last_user(folder: Path) -> None:
    with embedded.Lease(folder / "data", profile="fast") as lease:
        first = lease.services
        with psycopg.connect(first.database_url) as connection:
            connection.execute("CREATE TABLE kept (id int)")
    assert gone(first)
    with embedded.Lease(folder / "data") as lease:
        assert lease.services.postgres_pid != first.postgres_pid
        with psycopg.connect(lease.services.database_url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_the_last_user_stops_the_servers_and_no_one_before(folder: Path, hold: Hold) -> None:
    first, second = hold(folder / "data"), hold(folder / "data")
    assert first.services == second.services
    first.leave()
    assert answers(second.services)
    second.leave()
    assert gone(first.services)


def test_a_killed_user_does_not_count(folder: Path, hold: Hold) -> None:
    killed, other = hold(folder / "data"), hold(folder / "data")
    killed.kill()
    assert answers(other.services)
    other.leave()
    assert gone(other.services)


def test_what_a_killed_user_left_is_adopted(folder: Path, hold: Hold) -> None:
    killed = hold(folder / "data")
    killed.kill()
    assert answers(killed.services)
    with embedded.Lease(folder / "data") as lease:
        assert lease.services == killed.services
    assert gone(killed.services)


def test_killed_servers_are_revived_with_what_was_committed(folder: Path) -> None:
    with embedded.Lease(folder / "data", profile="durable") as lease:
        before = lease.services
        with psycopg.connect(before.database_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        memory = redis.Redis.from_url(before.redis_url)
        memory.set("kept", "7")
        os.kill(before.postgres_pid, signal.SIGKILL)
        os.kill(before.valkey_pid, signal.SIGKILL)
        assert gone(before)
        assert not before.alive()
        after = lease.ensure()
        assert after.alive()
        with psycopg.connect(after.database_url) as connection:
            assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
        assert memory.get("kept") == b"7"
    assert gone(after)


def test_a_hanging_postmaster_is_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pid lives and its socket takes connections, so only a real session tells."""
    monkeypatch.setattr("config.embedded.postgres.PATIENCE_SECONDS", 2.0)
    with embedded.Lease(folder / "data", profile="fast") as lease:
        before = lease.services
        os.kill(before.postgres_pid, signal.SIGSTOP)
        after = lease.ensure()
        assert after.postgres_pid != before.postgres_pid
        assert after.valkey_pid == before.valkey_pid
        assert answers(after)


def test_a_pid_file_naming_another_process_is_not_believed(folder: Path) -> None:
    with embedded.Lease(folder / "data", profile="fast"):
        pass
    (folder / "data/postgres/postmaster.pid").write_text(f"{os.getpid()}\n")
    (folder / "data/valkey/valkey.pid").write_text(f"{os.getpid()}\n")
    with embedded.Lease(folder / "data") as lease:
        assert os.getpid() not in {lease.services.postgres_pid, lease.services.valkey_pid}
        assert answers(lease.services)


def test_racing_first_starts_share_one_pair(folder: Path) -> None:
    racers = [popen(folder / "data") for _ in range(4)]
    found = {answer(racer) for racer in racers}
    for racer in racers:
        racer.communicate("leave\n", timeout=60)
    assert len(found) == 1
    assert gone(found.pop())


def test_two_folders_side_by_side_however_long_their_path(folder: Path) -> None:
    """A socket's path may have 107 bytes; the folder's is much longer here, and has spaces."""
    deep = folder.joinpath(*["a folder with spaces"] * 8)
    with embedded.Lease(deep / "one", profile="fast") as one, embedded.Lease(deep / "two", profile="fast") as two:
        assert one.services.database_url != two.services.database_url
        assert answers(one.services)
        assert answers(two.services)
        with psycopg.connect(one.services.database_url) as connection:
            assert connection.execute("SELECT pg_postmaster_start_time() IS NOT NULL").fetchone() == (True,)
    assert gone(one.services)
    assert gone(two.services)


def test_only_the_missing_server_is_started(folder: Path) -> None:
    with embedded.Lease(folder / "data", profile="fast", servers=frozenset({"valkey"})) as lease:
        assert lease.services.database_url == ""
        assert lease.services.postgres_pid == 0
        assert not (folder / "data/postgres").exists()


def test_a_folder_keeps_its_profile(folder: Path) -> None:
    data = folder / "data"
    with embedded.Lease(data, profile="fast", servers=frozenset({"valkey"})):
        pass
    with pytest.raises(embedded.EmbeddedError, match="made as 'fast', not 'durable'"):
        embedded.start(data, profile="durable")


def test_nobody_is_thrown_out(folder: Path) -> None:
    with embedded.Lease(folder / "data", profile="fast", servers=frozenset({"valkey"})) as lease:
        assert not embedded.stop(folder / "data")
        with pytest.raises(embedded.InUseError), embedded.vacated(folder / "data"):
            pytest.fail("the folder is in use")
        assert lease.services.alive()


def test_a_planted_socket_folder_is_refused(folder: Path) -> None:
    """Anybody may write to the temp folder: a link there must not lead our sessions to another's server."""
    data = folder / "data"
    sockets = embedded.place_of(data).sockets
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    sockets.symlink_to(elsewhere)
    try:
        with pytest.raises(embedded.EmbeddedError, match="must be a folder of mode 700"), embedded.Lease(data):
            pytest.fail("the link was followed")
    finally:
        sockets.unlink()
    assert list(elsewhere.iterdir()) == []


def test_a_private_home_stays_private(folder: Path, hold: Hold) -> None:
    """Programs and data below a folder of mode 700: for root this means programs that PostgreSQL's user can't reach."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    holder = hold(home / "project/data", site=copied_site(home / "site"))
    try:
        assert answers(holder.services)
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
    finally:
        holder.leave()
    assert gone(holder.services)
    sockets = embedded.place_of(home / "project/data").sockets
    assert list(sockets.parent.glob(f"{sockets.name}*")) == []


@as_root
def test_root_serves_through_another_user(folder: Path) -> None:
    with embedded.Lease(folder / "data", profile="fast") as lease:
        for pid in (lease.services.postgres_pid, lease.services.valkey_pid):
            assert Path(f"/proc/{pid}").stat().st_uid != 0


@as_root
def test_a_normal_user_has_servers_of_its_own(folder: Path, hold: Hold) -> None:
    home = folder / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    holder = hold(home / "data", user="nobody", site=copied_site(folder / "site"))
    assert Path(f"/proc/{holder.services.postgres_pid}").stat().st_uid == 65534
    assert answers(holder.services)
    holder.leave()
    assert gone(holder.services)
