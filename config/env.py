"""Strict environment readers: a value that is set but makes no sense stops the process, with the fix in the message."""

from __future__ import annotations

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()


def required(name: str, fix: str) -> str:
    """Value of `name`; raises ImproperlyConfigured naming the fix when it is unset or empty."""
    value: str = env.str(name, default="").strip()
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. {fix}")
    return value


def integer(name: str, default: int, *, low: int, high: int) -> int:
    """Whole number within [low, high]; raises ImproperlyConfigured otherwise."""
    raw: str = env.str(name, default=str(default)).strip()
    if not raw.lstrip("-").isdigit() or not low <= int(raw) <= high:
        raise ImproperlyConfigured(f"{name}={raw!r}: expected a whole number from {low} to {high}.")
    return int(raw)


def flag(name: str, default: bool) -> bool:
    """`true`/`1` or `false`/`0`; anything else, `yes` and an empty value included, is refused."""
    raw: str = env.str(name, default="true" if default else "false").strip().lower()
    if raw not in {"true", "false", "1", "0"}:
        raise ImproperlyConfigured(f"{name}={raw!r}: expected true or false.")
    return raw in {"true", "1"}


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    """One of `allowed`; raises ImproperlyConfigured listing them otherwise."""
    raw: str = env.str(name, default=default).strip()
    if raw not in allowed:
        raise ImproperlyConfigured(f"{name}={raw!r}: expected one of {', '.join(allowed)}.")
    return raw


def names(name: str) -> tuple[str, ...]:
    """Comma-separated list without empty members."""
    raw: str = env.str(name, default="")
    return tuple(part.strip() for part in raw.split(",") if part.strip())


def mail_settings(url: str) -> dict[str, object]:
    """Django's EMAIL_… settings of `smtp://`, `smtp+tls://` or `smtp+ssl://user:password@host:port`, or of
    `consolemail://`, which prints. Raises ImproperlyConfigured for anything else.
    """
    try:
        found: dict[str, object] = environ.Env.email_url_config(url)
    except (KeyError, ValueError, ImproperlyConfigured):
        found = {}
    scheme = url.partition("://")[0]
    sends = scheme in {"smtp", "smtp+tls", "smtp+ssl"} and bool(found.get("EMAIL_HOST"))
    if not sends and scheme != "consolemail":
        raise ImproperlyConfigured("EMAIL_URL: expected smtp+tls://user:password@host:587, or consolemail:// to print.")
    return {name: value for name, value in found.items() if name.isupper() and name != "EMAIL_FILE_PATH"}
