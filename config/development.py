"""The environment that programs get on a developer's machine, and what a data folder keeps. Standard library only."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config import embedded

ROOT = Path(__file__).resolve().parent.parent


class StartError(Exception):
    """A command can't go on; the message says why and what to do."""


def servers_wanted() -> frozenset[embedded.Server]:
    """The embedded servers that the environment doesn't already replace."""
    wanted: set[embedded.Server] = set()
    if not os.environ.get("DATABASE_URL"):
        wanted.add("postgres")
    if not os.environ.get("REDIS_URL"):
        wanted.add("valkey")
    return frozenset(wanted)


def uses_standin() -> bool:
    """Whether the local Stripe stand-in is meant: it is, until a real key is given."""
    return not os.environ.get("STRIPE_SECRET_KEY")


def environment(data: Path, services: embedded.Services, *, settings: str) -> dict[str, str]:
    """The environment of every program in development: this process's own, completed.

    What is set already wins, so that real Stripe test keys or a real database come in by the environment alone; but the
    tests never see anybody's Stripe keys.
    Side effect: makes the data folder's secrets at the first call.
    """
    ports = read_json(data / "ports.json")
    web = int(ports.get("web", 8000))
    secret = _secrets(data)
    defaults = {
        "DATABASE_URL": services.database_url,
        "REDIS_URL": services.redis_url,
        "SECRET_KEY": secret["django"],
        "CREDENTIAL_KEYS": secret["credentials"],
    }
    testing = settings.endswith(".test")
    if testing or uses_standin():
        defaults["STRIPE_SECRET_KEY"] = "sk_test_standin"  # noqa: S105 (opens nothing: only the stand-in takes it)
        defaults["STRIPE_PUBLISHABLE_KEY"] = "pk_test_standin"
        defaults["STRIPE_ACCOUNT"] = "acct_standin"
        defaults["STRIPE_API_BASE"] = f"http://127.0.0.1:{ports.get('standin', web + 1)}"
        defaults["STRIPE_WEBHOOK_SECRETS"] = secret["webhook"]
    # libpq reads PG* beside the URL: a PGPORT meant for another server would lead away from ours.
    foreign = (*(["PG"] if services.database_url else []), *(["STRIPE_"] if testing else []))
    given = {name: value for name, value in os.environ.items() if value and not name.startswith(foreign)}
    return {
        **defaults,
        **given,
        "DJANGO_SETTINGS_MODULE": settings,
        "HOLDFAST_PORT": str(web),
        "HOLDFAST_DATA": str(data),
        "PYTHONUNBUFFERED": "1",
    }


def _secrets(data: Path) -> dict[str, str]:
    """Made once per data folder, so that sessions and signed webhooks outlive a restart."""
    path = data / "secrets.json"
    found = read_json(path)
    made = {
        "django": secrets.token_urlsafe(50),
        "webhook": f"whsec_{secrets.token_urlsafe(32)}",
        "credentials": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }
    if made.keys() - found.keys():
        found = made | found
        write_json(path, found)
    return found


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty when there is none or it can't be read as one."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a file in one step, readable by its owner alone: a reader sees the old content or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        json.dump(content, stream, indent=2)
        stream.write("\n")
    fresh.replace(path)


def web_socket(port: int) -> socket.socket:
    """Bind the web port (0: any free one); gunicorn inherits the socket.

    So a busy port is known before anything starts, and nobody can take it while gunicorn restarts. Raises StartError.
    """
    channel = socket.socket(socket.AF_INET)
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        channel.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        channel.close()
        reason = getattr(error, "strerror", "") or error
        raise StartError(f"Port {port} can't be used ({reason}): choose another with --port, or --port 0.") from error
    return channel


def standin_port(data: Path, web: int) -> int:
    """The stand-in's port: the data folder's last one, else the web port's neighbour, else any free one.

    Kept because addresses of hosted pages, with this port in them, lie in the database.
    """
    neighbour = web + 1
    for port in (int(read_json(data / "ports.json").get("standin", neighbour)), neighbour, 0):
        with contextlib.suppress(StartError), web_socket(port) as probe:
            return int(probe.getsockname()[1])
    raise StartError("There is no free port for the Stripe stand-in.")
