"""Staff actions that ask first: what will happen to each row, why, then exactly once (A6).

An action names a verb and how to describe its effect; this module shows the page, takes the reason, makes a second
click harmless and reports per row. The verb keeps its own rules, transaction and audit entry: staff are a caller too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, Protocol, TypeVar
from uuid import uuid4

import structlog
from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core import signing
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from tenants.audit import Actor
from tenants.display import change_url
from tenants.errors import HoldfastError
from tenants.staff import StaffScope, staff_scope

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=Model)

MOST_ROWS = 50
"""Rows per action. Verbs may speak to Stripe, and a request has to end well within the server's patience."""

PAGE_SECONDS = 3_600
"""How long a confirmation page stays good: what it says about the rows grows old."""

CLAIM_SECONDS = 2 * PAGE_SECONDS
SALT = "tenants.reasoned"


@dataclass(frozen=True, slots=True)
class Mandate:
    """Who acts, on whose rows they may, and why. `fields` are the values of the action's own form fields.

    A verb that takes a bare id takes `scope` beside it: what the page showed is no proof of whose row it was.
    """

    acting: Actor
    scope: StaffScope
    reason: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """A plan's answer for a row to which the verb would do nothing."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonAction(Generic[M]):
    """One action, offered in the list and on the object's page.

    `plan` says in one sentence what will happen to a row, or `Refused`. `verb` does it and says what happened; it runs
    outside any transaction and may raise HoldfastError. `permission` is `view`, `change`, … of the model's admin, or a
    full `app.codename`. `form` adds fields to the reason; see `ReasonForm` in tenants/backoffice.py.
    """

    name: str
    label: str
    plan: Callable[[M], str | Refused]
    verb: Callable[[M, Mandate], str]
    permission: str = "change"
    help: str = ""
    danger: bool = False
    form: type[forms.Form] | None = None
    in_the_way: Callable[[HoldfastError], Sequence[tuple[Model, str]]] | None = None
    """Rows that a refusal is about, each with a text: they are linked to beside it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row on the page: `tone` is good, warn or bad."""

    label: str
    url: str | None
    text: str
    tone: str
    links: Sequence[tuple[str, str]] = ()
    """`(address, text)` of the rows that a refusal is about."""


class Desk(Protocol):
    """What this module needs of a model admin."""

    admin_site: AdminSite
    reason_form: type[forms.Form]

    @property
    def model(self) -> type[Model]: ...

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]: ...

    def in_scope(self, request: HttpRequest, obj: Model | None = None) -> bool: ...

    def narrowed(self, form: type[forms.BaseForm], request: HttpRequest) -> type[forms.BaseForm]: ...


def staff_actor(request: HttpRequest) -> Actor:
    return Actor("staff", request.user.get_username())


def allowed(desk: Desk, action: ReasonAction[Any], request: HttpRequest, row: Model | None = None) -> bool:
    """Whether this member of staff may do this at all, and to `row` where one is given."""
    if "." in action.permission:
        user = request.user
        return user.is_active and user.has_perm(action.permission) and desk.in_scope(request, row)
    return bool(getattr(desk, f"has_{action.permission}_permission")(request, row))


def confirm(desk: Desk, action: ReasonAction[Any], request: HttpRequest, ids: Sequence[str]) -> HttpResponse:
    """The page that asks. `ids` come from the list's check boxes or are the one object's."""
    if not allowed(desk, action, request):
        raise PermissionDenied
    if len(ids) > MOST_ROWS:
        messages.error(request, f"{action.label}: select at most {MOST_ROWS} rows at once.")
        return HttpResponseRedirect(_list_url(desk))
    token = signing.dumps(
        {"action": action.name, "user": str(request.user.pk), "ids": list(ids), "nonce": uuid4().hex}, salt=SALT
    )
    return _page(desk, action, request, ids, token, _form(desk, action, request)())


def act(desk: Desk, action: ReasonAction[Any], request: HttpRequest) -> HttpResponse:
    """Carries out a confirmed action once, whatever the number of clicks, and leads to its outcome."""
    if not allowed(desk, action, request):
        raise PermissionDenied
    token = request.POST.get("token", "")
    try:
        told = signing.loads(token, salt=SALT, max_age=PAGE_SECONDS)
    except signing.BadSignature:
        messages.error(request, "That page had grown too old. Nothing was done; start again.")
        return HttpResponseRedirect(_list_url(desk))
    if told["action"] != action.name or told["user"] != str(request.user.pk):
        raise PermissionDenied
    form = _form(desk, action, request)(request.POST)
    if not form.is_valid():
        return _page(desk, action, request, told["ids"], token, form)
    key = _claim_key(request, told["nonce"])
    if cache.add(key, [], CLAIM_SECONDS):
        fields = dict(form.cleaned_data)
        reason = fields.pop("reason")
        mandate = Mandate(acting=staff_actor(request), scope=staff_scope(request.user), reason=reason, fields=fields)
        lines = [_carry_out(desk, action, request, pk, mandate) for pk in told["ids"]]
        cache.set(key, [asdict(line) for line in lines], CLAIM_SECONDS)
    return HttpResponseRedirect(_url(desk, "outcome", action.name, told["nonce"]))


def outcome(desk: Desk, action: ReasonAction[Any], request: HttpRequest, nonce: str) -> HttpResponse:
    """What became of each row. Reloading it does nothing again."""
    if not allowed(desk, action, request):
        raise PermissionDenied
    stored = cache.get(_claim_key(request, nonce))
    lines = [Line(**line) for line in stored or ()]
    context = _context(desk, action, request) | {
        "lines": lines,
        "running": stored == [],
        "unknown": stored is None,
        "counts": {tone: sum(1 for line in lines if line.tone == tone) for tone in ("good", "warn", "bad")},
    }
    return TemplateResponse(request, "admin/reason_outcome.html", context)


def _carry_out(desk: Desk, action: ReasonAction[Any], request: HttpRequest, pk: str, mandate: Mandate) -> Line:
    """One row, on its own: what fails here doesn't stop the rest."""
    row = desk.get_queryset(request).filter(pk=pk).first()
    if row is None:
        return Line(pk, None, "It is no longer there.", "warn")
    label, url = str(row), change_url(row)
    if not allowed(desk, action, request, row):
        return Line(label, url, "You may not do this to it.", "bad")
    try:
        return Line(label, url, action.verb(row, mandate), "good")
    except HoldfastError as error:
        found = action.in_the_way(error) if action.in_the_way else ()
        links = [(address, text) for other, text in found if (address := change_url(other)) is not None]
        return Line(label, url, error.detail, "warn", links)
    except Exception:
        log.exception("staff_action_failed", action=action.name, object=str(pk))
        request_id = getattr(request, "request_id", "")
        return Line(label, url, f"An error of ours; it is in the log under {request_id}.", "bad")


def _page(
    desk: Desk, action: ReasonAction[Any], request: HttpRequest, ids: Sequence[str], token: str, form: forms.BaseForm
) -> HttpResponse:
    rows = {str(row.pk): row for row in desk.get_queryset(request).filter(pk__in=ids)}
    lines = list(_plans(action, (rows[pk] for pk in map(str, ids) if pk in rows)))
    context = _context(desk, action, request) | {
        "form": form,
        "lines": lines,
        "token": token,
        "possible": any(line.tone == "good" for line in lines),
        "act_url": _url(desk, "act", action.name),
    }
    return TemplateResponse(request, "admin/reason_confirm.html", context)


def _plans(action: ReasonAction[M], rows: Iterable[M]) -> Iterable[Line]:
    for row in rows:
        plan = action.plan(row)
        refused = isinstance(plan, Refused)
        text = plan.why if isinstance(plan, Refused) else plan
        yield Line(str(row), change_url(row), text, "warn" if refused else "good")


def _form(desk: Desk, action: ReasonAction[Any], request: HttpRequest) -> type[forms.BaseForm]:
    return desk.narrowed(action.form or desk.reason_form, request)


def _context(desk: Desk, action: ReasonAction[Any], request: HttpRequest) -> dict[str, Any]:
    return {
        **desk.admin_site.each_context(request),
        "title": action.label,
        "action": action,
        "opts": desk.model._meta,
        "list_url": _list_url(desk),
    }


def _claim_key(request: HttpRequest, nonce: str) -> str:
    """Of one person: what became of the rows of one shop is not for whoever learns the address."""
    return f"staff-action:{request.user.pk}:{nonce}"


def _list_url(desk: Desk) -> str:
    return _url(desk, "changelist")


def _url(desk: Desk, page: str, *args: str) -> str:
    meta = desk.model._meta
    return reverse(f"{desk.admin_site.name}:{meta.app_label}_{meta.model_name}_{page}", args=args)
