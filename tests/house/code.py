"""The project's own source, for the rules to read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
APPS = ("tenants", "inventory", "commerce", "checkout", "webhooks", "config")


@cache
def sources(*, apps: tuple[str, ...] = APPS) -> tuple[Path, ...]:
    """Every module of `apps` but the migrations, as absolute paths."""
    found = [path for app in apps for path in sorted((ROOT / app).rglob("*.py")) if "migrations" not in path.parts]
    return tuple(found)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def project_modules() -> Iterator[str]:
    """Dotted names of every module."""
    for path in sources():
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
