"""Text that PostgreSQL can keep. Foreign payloads are kept whatever they carry: losing one to a stray byte is worse."""

from __future__ import annotations

from typing import Any


def storable(value: Any) -> Any:
    """`value`, parsed JSON, with NUL and lone surrogates in its texts replaced by U+FFFD; nothing else changes."""
    if isinstance(value, str):
        if "\x00" not in value and value.isascii():
            return value
        return value.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [storable(member) for member in value]
    if isinstance(value, dict):
        return {storable(name): storable(member) for name, member in value.items()}
    return value
