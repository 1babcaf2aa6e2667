"""The floor under the hold verb: pgbench with the same statement, prepared, under the same policies."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from django.db import connection

from config.bench.hold_callers import Took
from config.bench.hold_stage import SHOP_ID
from config.embedded.place import EmbeddedError
from config.embedded.programs import postgres_install
from tenants.database import SHOP_SETTING, WEB_ROLE

WARMING_SECONDS = 0.3
"""The first calls of a session plan their statements; callers have that behind them, so it doesn't count here."""


class NoPgbenchError(RuntimeError):
    """There is no pgbench; the message says what to install."""


def pgbench() -> Path:
    """The program, from the installed wheel or the PATH. Raises NoPgbenchError."""
    try:
        inside = postgres_install() / "bin" / "pgbench"
    except EmbeddedError:
        inside = Path("pgbench")
    if inside.is_file() and os.access(inside, os.X_OK):
        return inside
    if found := shutil.which("pgbench"):
        return Path(found)
    raise NoPgbenchError("pgbench is missing. On Debian and Ubuntu: apt-get install postgresql-contrib")


def place(*, lines: int, hot: bool, skus: int, callers: int, seconds: int) -> Took:
    """Holds placed by `callers` sessions for `seconds`, the first moments left out of account.

    Raises NoPgbenchError, and RuntimeError with pgbench's own words when it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "place.sql")
        script.write_text(_script(lines=lines, hot=hot, skus=skus))
        command = [
            str(pgbench()), "--no-vacuum", "--protocol=prepared", f"--file={script}", f"--client={callers}",
            f"--jobs={min(2, callers)}", f"--time={seconds}", "--log", f"--log-prefix={folder}/took",
        ]  # fmt: skip
        ended = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)  # noqa: S603
        if ended.returncode != 0:
            raise RuntimeError(f"pgbench: {ended.stderr.strip()[-500:]}")
        return _counted([path.read_text() for path in Path(folder).glob("took.*")])


def _script(*, lines: int, hot: bool, skus: int) -> str:
    third = skus // 3
    at = [third * number for number in range(lines)]
    drawn = "".join(f"\\set n{first} random({first + 1}, {first + (1 if hot else third)})\n" for first in at)
    keys = ", ".join(f"'bench-' || :n{first}" for first in at)
    ones = ", ".join("1" for _ in at)
    return (  # everything in it is this module's own
        f"{drawn}SELECT o_answer, o_hold, o_status, o_expires_at, o_available, o_waited_seconds, o_troubles"  # noqa: S608
        f" FROM inventory_hold_place('{SHOP_ID}', uuidv7(), gen_random_uuid()::text, repeat('0', 64),"
        f" ARRAY[{keys}]::text[], ARRAY[{ones}], 'direct', 3600, now(), '', 5000, 'lenient');\n"
    )


def _environment() -> dict[str, str]:
    """libpq's words for Django's connection, in the role and shop that a web request would have."""
    given = connection.get_connection_params()
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    own = {variable: str(given[name]) for name, variable in names.items() if given.get(name)}
    return {**os.environ, **own, "PGOPTIONS": f"-c role={WEB_ROLE} -c {SHOP_SETTING}={SHOP_ID}"}


def _counted(logs: list[str]) -> Took:
    """From pgbench's own record: client, number, microseconds it took, script, and when it ended (s, µs)."""
    calls = sorted(
        (int(words[4]) + int(words[5]) / 1e6, int(words[2]) / 1e6)
        for log in logs
        for line in log.splitlines()
        if len(words := line.split()) >= 6
    )
    if not calls:
        raise RuntimeError("pgbench came to nothing in its time: this machine has too much else to do.")
    warm = calls[0][0] + WARMING_SECONDS
    counted = [(ended, took) for ended, took in calls if ended > warm] or calls
    seconds = counted[-1][0] - counted[0][0]
    return Took(placed=len(calls), seconds=seconds * len(calls) / len(counted), times=[took for _, took in counted])
