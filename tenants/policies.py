"""Migration steps that put a table under row-level security. What the roles mean: tenants/database.py."""

from __future__ import annotations

from typing import Final, Literal

from django.db.migrations.operations.special import RunSQL

from tenants.database import SHOP_SETTING, SYSTEM_ROLE, WEB_ROLE

Rights = Literal["all", "append", "read", "none"]
RIGHTS: Final[dict[Rights, str]] = {
    "all": "SELECT, INSERT, UPDATE, DELETE",
    "append": "SELECT, INSERT",
    "read": "SELECT",
    "none": "",
}
IN_SCOPE: Final = f"current_setting('{SHOP_SETTING}', true)"
"""The shop of the current transaction; NULL or empty without one, which equals no shop."""


def rows_of_a_shop(
    table: str, *, web: Rights = "all", column: str = "shop_id", rows: str = "", written: str = ""
) -> RunSQL:
    """Puts `table` under row-level security: the web role sees rows whose `column` is the shop of its transaction, and
    may do to them what `web` says; the system role sees all. `rows` is another condition than that, as SQL, and
    `written` the one for rows that it writes where that is narrower.

    The owner is exempt, so migrations and `dbshell` see everything.
    """
    condition = rows or f"{column}::text = {IN_SCOPE}"
    check = f" WITH CHECK ({written})" if written else ""
    granted = f"GRANT {RIGHTS[web]} ON {table} TO {WEB_ROLE};" if RIGHTS[web] else ""
    return RunSQL(
        f"""
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
        CREATE POLICY rows_of_a_shop ON {table} TO {WEB_ROLE} USING ({condition}){check};
        CREATE POLICY rows_of_all_shops ON {table} TO {SYSTEM_ROLE} USING (true);
        {granted}
        """,
        f"""
        REVOKE ALL ON {table} FROM {WEB_ROLE};
        DROP POLICY rows_of_all_shops ON {table};
        DROP POLICY rows_of_a_shop ON {table};
        ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;
        """,
    )


def web_may_update(table: str, *columns: str) -> RunSQL:
    """Of the rows that it sees the web role may change these columns, and nothing else of them."""
    named = ", ".join(columns)
    return RunSQL(
        f"GRANT UPDATE ({named}) ON {table} TO {WEB_ROLE};", f"REVOKE UPDATE ({named}) ON {table} FROM {WEB_ROLE};"
    )
