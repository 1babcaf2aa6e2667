"""Bringing a domain in (T10): its name, the proof that it is its owner's, the checklist, and its move between shops."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from tenants.allowlist import VERIFICATION_PATH
from tenants.audit import Actor, record_audit
from tenants.domain_probes import NotChecked, ProbeFailed, Probes
from tenants.errors import InvalidRequest, NotFound
from tenants.hosts import host_map, normalise_host
from tenants.models import Host, Shop
from tenants.onboarding_file import arrival_mark
from tenants.staff import StaffScope

State = Literal["good", "bad", "unknown"]

CERTIFICATE_ENDS_SOON = timedelta(days=14)
# Names that IDNA 2003, which Python has, writes differently from what browsers do (UTS 46): better refused than wrong.
DEVIATING = frozenset("ßςẞ\u200c\u200d")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the checklist. `what` says what to set where, `found` what the last look saw."""

    name: str
    label: str
    what: str
    state: State = "unknown"
    found: str = "Not looked at yet."


def normalise_domain(text: str) -> str:
    """The host name that `text` means: lower-case, without a trailing dot, international names as xn--.

    Raises ValueError with a sentence for staff; a scheme, port or path is refused rather than guessed away.
    """
    name = text.strip().lower().replace("\u3002", ".")
    if DEVIATING & set(name):
        raise ValueError("Write this name in its xn-- form: its letters are spelled in two ways.")
    try:
        name = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError("This can't be a host name.") from error
    found = normalise_host(name)
    if found is None or found[1] is not None:
        raise ValueError("A host name alone, without scheme, port or path, such as shop.example.com.")
    return found[0]


def record_name(hostname: str) -> str:
    return f"_holdfast.{hostname}"


def record_value(token: str) -> str:
    return f"holdfast-verification={token}"


def checklist(host: Host) -> list[Step]:
    """Every step with what the last look found. No network."""
    seen = {str(found.get("name")): found for found in host.checks if isinstance(found, dict)}
    steps = []
    for step in _steps(host):
        found = seen.get(step.name, {})
        state, text = found.get("state", step.state), str(found.get("found", step.found))
        steps.append(Step(step.name, step.label, step.what, state, text))
    return steps


def _steps(host: Host) -> list[Step]:
    target = next(iter(settings.PLATFORM_HOSTS), "this deployment")
    value = record_value(host.verification_token)
    return [
        Step("txt", "Proof by DNS", f"TXT record at {record_name(host.hostname)}: {value}"),
        Step(
            "file",
            "or proof by file",
            f"While the domain is still served elsewhere: {value} as a line of {VERIFICATION_PATH} there",
        ),
        Step("address", "Address", f"CNAME to {target}; for a bare domain its ALIAS, or the A and AAAA records of it"),
        Step(
            "arrival",
            "Requests arrive",
            "Nothing more to set: the address leads here, and proxies keep the Host header",
        ),
        Step("tls", "Certificate", f"A certificate for {host.hostname} where TLS ends, renewed by itself"),
    ]


def look(host: Host, probes: Probes) -> list[Step]:
    """Looks at the domain now; seconds of network, therefore outside any transaction."""
    value, mark = record_value(host.verification_token), arrival_mark(host.hostname)
    body: str | ProbeFailed | NotChecked
    try:
        body = probes.fetch(host.hostname, VERIFICATION_PATH)
    except (ProbeFailed, NotChecked) as error:
        body = error
    looks: dict[str, Callable[[], tuple[State, str]]] = {
        "txt": lambda: _txt(probes, host.hostname, value),
        "file": lambda: _line(body, value, "The file is there.", "The file doesn't have this line."),
        "address": lambda: ("good", ", ".join(probes.addresses(host.hostname))),
        "arrival": lambda: _line(body, mark, "They arrive here.", "Another server answers."),
        "tls": lambda: _certificate(probes.certificate_until(host.hostname), timezone.now()),
    }
    return [Step(step.name, step.label, step.what, *_seen(looks[step.name])) for step in _steps(host)]


def _seen(probe: Callable[[], tuple[State, str]]) -> tuple[State, str]:
    try:
        return probe()
    except ProbeFailed as error:
        return "bad", str(error)
    except NotChecked as error:
        return "unknown", f"Not checked. {error}"


def _txt(probes: Probes, hostname: str, value: str) -> tuple[State, str]:
    found = [text.strip() for text in probes.texts(record_name(hostname))]
    if value in found:
        return "good", "The record is there."
    return "bad", "There is a record with another value." if found else "There is no such record."


def _line(body: str | ProbeFailed | NotChecked, line: str, there: str, missing: str) -> tuple[State, str]:
    if not isinstance(body, str):
        raise body
    return ("good", there) if line in (text.strip() for text in body.splitlines()) else ("bad", missing)


def _certificate(until: datetime, now: datetime) -> tuple[State, str]:
    text = f"Valid until {until:%Y-%m-%d}."
    return ("good", text) if until - now > CERTIFICATE_ENDS_SOON else ("bad", f"{text} It should have been renewed.")


def network_probes() -> Probes:
    probes: Probes = import_string(settings.DOMAIN_PROBES)
    return probes


def verify_host(*, host_id: int, scope: StaffScope, acting: Actor, reason: str, probes: Probes) -> str:
    """Looks at the domain, keeps what was found, and takes the host for proven once a proof is there; says so.

    A proof once given stays: a record may be removed afterwards. Audited. Raises NotFound for a host that is gone or
    outside the caller's `scope`, and InvalidRequest for one that was edited meanwhile.
    """
    # no tx: network
    host = scope.rows(Host.objects.all(), "shop").filter(pk=host_id).first()
    if host is None:
        raise NotFound("There is no such host.")
    steps = look(host, probes)
    state = {step.name: step.state for step in steps}
    proof = (
        Host.Proof.DNS if state["txt"] == "good" else Host.Proof.FILE if state["file"] == "good" else Host.Proof.NONE
    )
    with transaction.atomic():
        row = Host.objects.select_for_update(of=("self",)).get(pk=host.pk)
        seen = (host.hostname, host.verification_token, host.shop_id)
        if (row.hostname, row.verification_token, row.shop_id) != seen:
            raise InvalidRequest("The host was edited meanwhile. Look again.")
        proven = bool(proof) and row.verified_at is None
        row.checked_at = timezone.now()
        row.checks = [{"name": s.name, "state": s.state, "found": s.found} for s in steps]
        if proven:
            row.verified_at, row.verified_by = row.checked_at, proof
        row.save()
        host_map.announce_on_commit(names={row.hostname}, shop_ids=())
        record_audit(
            shop_id=row.shop_id,
            acting=acting,
            action="host.verified" if proven else "host.looked_at",
            object_type="host",
            object_id=row.pk,
            reason=reason,
            data={"hostname": row.hostname, "proof": str(proof), "steps": state},
        )
    if proven:
        return f"Proven by {Host.Proof(proof).label}. It is served from now on."
    if row.verified_at:
        return "Looked at; it was proven before."
    missing = next(step for step in steps if step.name == "txt")
    return f"Looked at, not proven yet. {missing.found}"


def edited_name(host: Host) -> None:
    """Forgets the proof of a host whose name has changed: it was another domain's. Doesn't save."""
    host.verification_token = secrets.token_urlsafe()
    host.verified_at, host.verified_by, host.checked_at, host.checks = None, Host.Proof.NONE, None, []


def open_checkouts(shop_id: str) -> int:
    count: Callable[[str], int] = import_string(settings.OPEN_CHECKOUTS)
    return count(shop_id)


def describe_move(host: Host) -> str:
    """What moving the host to another shop takes from its present one. Raises InvalidRequest where it can't move."""
    if host.shop is None:
        raise InvalidRequest("It belongs to no shop.")
    told = [f"{host.shop.name} ({host.shop_id}) loses {host.hostname}."]
    if host.role == Host.Role.CANONICAL:
        told.append(
            "It is its canonical host: its other hosts lead nowhere then, its checkouts have no return address."
        )
    count = open_checkouts(host.shop_id or "")
    if count:
        told.append(f"Open checkouts there: {count}. Their orders are settled all the same,")
        told.append("but customers who come back to this host find the other shop.")
    else:
        told.append("No checkout is open there.")
    return " ".join(told)


@transaction.atomic
def move_host(*, host_id: int, scope: StaffScope, to_shop: Shop, acting: Actor, reason: str) -> str:
    """Gives the host to another shop, with an entry in both shops' trails. Every process sees it within two seconds.

    Raises InvalidRequest when it is there already or the shop has a canonical host and this is one too, NotFound when
    the host or the shop is outside the caller's `scope`.
    """
    hosts = scope.rows(Host.objects.select_for_update(of=("self",)), "shop").select_related("shop")
    host = hosts.filter(pk=host_id).first()
    if host is None or not scope.sees(to_shop.pk):
        raise NotFound("There is no such host." if host is None else "There is no such shop.")
    if host.shop is None:
        raise InvalidRequest("It belongs to no shop.")
    if host.shop_id == to_shop.pk:
        raise InvalidRequest(f"It belongs to {to_shop.name} already.")
    second = Host.objects.filter(shop=to_shop, role=Host.Role.CANONICAL).exists()
    if second and host.role == Host.Role.CANONICAL:
        raise InvalidRequest(f"{to_shop.name} has a canonical host already. Make this one an alias first.")
    left = host.shop
    host.shop = to_shop
    host.save()
    host_map.announce_on_commit(names={host.hostname}, shop_ids={left.pk, to_shop.pk})
    for shop_id in (left.pk, to_shop.pk):
        record_audit(
            shop_id=shop_id,
            acting=acting,
            action="host.moved",
            object_type="host",
            object_id=host.pk,
            reason=reason,
            data={"hostname": host.hostname, "changes": {"shop": [left.pk, to_shop.pk]}},
        )
    return f"{host.hostname} belongs to {to_shop.name} now, no longer to {left.name}."
