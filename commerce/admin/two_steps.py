"""Pages that do something in two steps on one address: chosen, then said in plain words, then confirmed with a reason.

What the second step confirms is what the first one showed: the signed token names the choice and who saw it, and holds
the key under which it will be done. So a second click is the same deed, and a changed form is shown again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import uuid4

from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from commerce.admin.asking import asked_for
from tenants.backoffice import ReasonForm
from tenants.context import ShopContext
from tenants.display import change_url
from tenants.errors import HoldfastError

PAGE_SECONDS: Final = 3_600
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Labels:
    """What stands on the two buttons, and whether the second is one to hesitate at."""

    confirm: str
    check: str = "Check"
    danger: bool = False


def row_to_change(desk: Any, request: HttpRequest, object_id: str, permission: str) -> Any:
    """The row of the model admin `desk` at this address. Raises Http404, PermissionDenied."""
    row = desk.get_object(request, object_id)
    if row is None:
        raise Http404
    if not request.user.has_perm(permission) or not desk.in_scope(request, row):
        raise PermissionDenied
    return row


def signed_choice(request: HttpRequest, *, salt: str, digest: str, **more: Any) -> str:
    """The token of what is shown now; `more` comes back with it."""
    told = {"user": str(request.user.pk), "digest": digest, "key": f"staff:{uuid4().hex}", **more}
    return signing.dumps(told, salt=salt)


def choice_confirmed(request: HttpRequest, *, salt: str) -> dict[str, Any] | None:
    """What was shown to this very person and is confirmed now, `digest` and `key` among it, if anything is. Whether the
    form still says the same is for the caller to compare.
    """
    if "confirm" not in request.POST:
        return None
    try:
        told: dict[str, Any] = signing.loads(request.POST.get("token", ""), salt=salt, max_age=PAGE_SECONDS)
    except signing.BadSignature:
        return None
    return told if told["user"] == str(request.user.pk) else None


def carry_out(
    request: HttpRequest, *, shop_id: str, verb: Callable[[ShopContext], T], said: Callable[[T], str]
) -> None:
    """Does it, and tells what became of it with the next page."""
    try:
        messages.success(request, said(asked_for(shop_id, verb)))
    except HoldfastError as error:
        messages.warning(request, error.detail)


def leads_to(row: Model) -> HttpResponse:
    return HttpResponseRedirect(change_url(row) or "../")


def two_step_page(
    desk: Any,
    request: HttpRequest,
    *,
    row: Model,
    title: str,
    intro: str,
    form: ReasonForm,
    token: str,
    plan: Sequence[str] | None,
    labels: Labels,
) -> HttpResponse:
    """The form and, once it was checked, the `plan`: what will happen, a sentence each."""
    context = {
        **desk.admin_site.each_context(request),
        "title": title,
        "opts": desk.model._meta,
        "intro": intro,
        "form": form,
        "token": token,
        "plan": plan,
        "labels": labels,
        "back": change_url(row),
    }
    return TemplateResponse(request, "admin/two_steps.html", context)
