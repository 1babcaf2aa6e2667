"""What the stand-in remembers, in one SQLite file: objects, idempotency results, deliveries and settings.

Every method expects the caller to hold the engine's lock; SQLite is used as a file format that survives `kill -9`,
not for its own concurrency.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import Json

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL, platform TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
    created INTEGER NOT NULL, due_at INTEGER, body TEXT NOT NULL, hidden TEXT NOT NULL,
    UNIQUE (account, kind, id));
CREATE INDEX IF NOT EXISTS objects_list ON objects (account, kind, seq);
CREATE INDEX IF NOT EXISTS objects_by_id ON objects (id);
CREATE INDEX IF NOT EXISTS objects_due ON objects (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_intent ON objects (account, kind, json_extract(body, '$.payment_intent'));
CREATE INDEX IF NOT EXISTS objects_charge ON objects (account, kind, json_extract(body, '$.charge'));
CREATE INDEX IF NOT EXISTS objects_invoice ON objects (account, kind, json_extract(body, '$.invoice'));
CREATE INDEX IF NOT EXISTS objects_subscription
    ON objects (account, kind, json_extract(body, '$.parent.subscription_details.subscription'));
CREATE TABLE IF NOT EXISTS idempotency (
    scope TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL,
    request_id TEXT NOT NULL, saved_at INTEGER NOT NULL, PRIMARY KEY (scope, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL, type TEXT NOT NULL, account TEXT NOT NULL, endpoint TEXT NOT NULL, state TEXT NOT NULL,
    tries INTEGER NOT NULL, next_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (next_at, id) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS deliveries_event ON deliveries (event);
CREATE TABLE IF NOT EXISTS tries (
    id INTEGER PRIMARY KEY, delivery INTEGER NOT NULL, at REAL NOT NULL, status INTEGER, error TEXT, seconds REAL);
CREATE INDEX IF NOT EXISTS tries_delivery ON tries (delivery);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
TABLES = ("objects", "idempotency", "deliveries", "tries", "settings")


@dataclass(slots=True)
class Record:
    """One stored object: `body` is what the API shows, `hidden` what only the stand-in knows about it.

    `platform` is the account whose key made it; where it differs from `account` the object belongs to a connected
    account. `due_at` asks the ticker to look at the object at that second of the stand-in's clock.
    """

    account: str
    platform: str
    kind: str
    body: Json
    hidden: Json = field(default_factory=dict)
    due_at: int | None = None
    seq: int = 0

    @property
    def id(self) -> str:
        return str(self.body["id"])


@dataclass(frozen=True, slots=True)
class Saved:
    """The remembered outcome of an idempotent request."""

    fingerprint: str
    status: int
    body: bytes
    request_id: str
    saved_at: int


COLUMNS = "seq, account, platform, kind, due_at, body, hidden"


def _record(row: Sequence[Any]) -> Record:
    seq, account, platform, kind, due_at, body, hidden = row
    return Record(account, platform, kind, json.loads(body), json.loads(hidden), due_at, seq)


class Store:
    def __init__(self, path: Path | None) -> None:
        self.db = sqlite3.connect(str(path) if path else ":memory:", check_same_thread=False, isolation_level=None)
        # The operating system keeps written pages when this process is killed; only a power cut could lose them,
        # and a development tool need not pay an fsync per request for that.
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.executescript(SCHEMA)

    def settle(self) -> None:
        """Fold the log into the file. The connection stays open: threads may still be answering."""
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def mark(self) -> None:
        self.db.execute("SAVEPOINT work")

    def undo_to_mark(self) -> None:
        self.db.execute("ROLLBACK TO work")

    def unmark(self) -> None:
        self.db.execute("RELEASE work")

    def rehearse(self) -> None:
        self.db.execute("SAVEPOINT rehearsal")

    def undo_rehearsal(self) -> None:
        self.db.execute("ROLLBACK TO rehearsal")
        self.db.execute("RELEASE rehearsal")

    # Objects

    def get(self, account: str, kind: str, object_id: str) -> Record | None:
        sql = f"SELECT {COLUMNS} FROM objects WHERE account = ? AND kind = ? AND id = ?"
        row = self.db.execute(sql, (account, kind, object_id)).fetchone()
        return _record(row) if row else None

    def find(self, kind: str, object_id: str) -> Record | None:
        """By id alone, whoever's it is: for the page and the control surface, which carry no key."""
        sql = f"SELECT {COLUMNS} FROM objects WHERE id = ? AND kind = ?"
        row = self.db.execute(sql, (object_id, kind)).fetchone()
        return _record(row) if row else None

    def put(self, record: Record) -> None:
        self.db.execute(
            "INSERT INTO objects (account, platform, kind, id, created, due_at, body, hidden)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, kind, id)"
            " DO UPDATE SET due_at = excluded.due_at, body = excluded.body, hidden = excluded.hidden",
            (
                record.account,
                record.platform,
                record.kind,
                record.id,
                int(record.body.get("created") or 0),
                record.due_at,
                json.dumps(record.body, separators=(",", ":")),
                json.dumps(record.hidden, separators=(",", ":")),
            ),
        )

    def delete(self, record: Record) -> None:
        sql = "DELETE FROM objects WHERE account = ? AND kind = ? AND id = ?"
        self.db.execute(sql, (record.account, record.kind, record.id))

    def select(self, where: str, args: Sequence[Any], *, newest_first: bool = True, limit: int = -1) -> list[Record]:
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT {COLUMNS} FROM objects WHERE {where} ORDER BY seq {order} LIMIT ?"
        return [_record(row) for row in self.db.execute(sql, (*args, limit)).fetchall()]

    def due(self, now: int) -> list[Record]:
        """What is due first: everything of one second, since doing it may make more due before the next."""
        sql = (
            f"SELECT {COLUMNS} FROM objects WHERE due_at = (SELECT MIN(due_at) FROM objects WHERE due_at IS NOT NULL)"
            " AND due_at <= ? ORDER BY seq LIMIT 500"
        )
        return [_record(row) for row in self.db.execute(sql, (now,)).fetchall()]

    # Idempotency results

    def saved_result(self, scope: str, key: str, *, not_before: int) -> Saved | None:
        sql = (
            "SELECT fingerprint, status, body, request_id, saved_at FROM idempotency"
            " WHERE scope = ? AND key = ? AND saved_at > ?"
        )
        row = self.db.execute(sql, (scope, key, not_before)).fetchone()
        return Saved(*row) if row else None

    def save_result(self, scope: str, key: str, saved: Saved) -> None:
        self.db.execute(
            "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?, ?)",
            (scope, key, saved.fingerprint, saved.status, saved.body, saved.request_id, saved.saved_at),
        )

    # Settings

    def setting(self, name: str) -> Any:
        row = self.db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def set_setting(self, name: str, value: Any) -> None:
        self.db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def wipe(self) -> None:
        for table in TABLES:
            self.db.execute(f"DELETE FROM {table}")
