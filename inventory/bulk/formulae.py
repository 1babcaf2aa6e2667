"""Cells that a spreadsheet would take for a formula. Pure.

A text that begins with one of these characters is executed by whoever opens the file (OWASP, "CSV injection"): on the
way out it gets an apostrophe in front, which spreadsheets take for "this is text"; on the way in the apostrophe goes.
"""

from __future__ import annotations

from typing import Final

# The wide forms are what spreadsheets with Chinese or Japanese settings read as operators. The apostrophe is here so
# that a text which begins with one comes back as it was.
TRIGGERS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")


def neutralise(text: str) -> str:
    """`text` as a spreadsheet shows it and executes nothing. `restore` takes it back."""
    return f"'{text}" if text.startswith(TRIGGERS) else text


def restore(text: str) -> str:
    """`text` before `neutralise`; any other text as it is."""
    return text[1:] if text.startswith("'") and text[1:].startswith(TRIGGERS) else text
