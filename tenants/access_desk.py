"""Who may come in: the trusted edge's tokens, and staff whom failed logins have locked out."""

from __future__ import annotations

import secrets
from typing import Any

from axes.models import AccessAttempt
from django import forms
from django.conf import settings
from django.contrib import admin
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db.models import F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from tenants.backoffice import (
    Mandate,
    ReadOnlyAdmin,
    ReasonAction,
    ReasonForm,
    Refused,
    badge,
    list_url,
    shop_time,
    staff_actor,
    time_left,
    widgets,
)
from tenants.errors import WrongState
from tenants.logins import unlock_login
from tenants.models import FrontDoorToken
from tenants.reasoned import PAGE_SECONDS
from tenants.tokens import issue_front_door_token, revoke_front_door_token

SALT = "tenants.access_desk.issue"


def new_page() -> str:
    return signing.dumps(secrets.token_urlsafe(32), salt=SALT)


class IssueForm(ReasonForm):
    label = forms.CharField(
        max_length=60,
        widget=widgets.UnfoldAdminTextInputWidget(),
        help_text="Which edge will carry it, since when. It can't be changed later.",
    )
    # Which showing of this page was clicked: two clicks on one issue one token.
    page = forms.CharField(widget=forms.HiddenInput, initial=new_page)

    def clean_page(self) -> str:
        try:
            nonce: str = signing.loads(self.cleaned_data["page"], salt=SALT, max_age=PAGE_SECONDS)
        except signing.BadSignature as error:
            self.data = {name: self.data[name] for name in self.data} | {"page": new_page()}
            raise forms.ValidationError("This page had grown too old. Nothing was done; send it once more.") from error
        return nonce


def plan_revoking(token: FrontDoorToken) -> str | Refused:
    if not token.is_valid:
        return Refused("It was revoked before.")
    return "Within two seconds every request that carries it is treated as one from a stranger. This can't be undone."


def revoke(token: FrontDoorToken, mandate: Mandate) -> str:
    revoke_front_door_token(token_id=token.pk, reason=mandate.reason, acting=mandate.acting)
    return "Revoked."


@admin.register(FrontDoorToken)
class FrontDoorTokenAdmin(ReadOnlyAdmin[FrontDoorToken]):
    shop_path = None
    list_display = ("label", "state", "created", "created_by", "used", "revoked", "revoked_by")
    fields = ("label", "state", "created", "created_by", "used", "revoked", "revoked_by")
    readonly_fields = fields
    empty_text = "No token yet. An edge that names shops by header needs one."
    reason_actions = (
        ReasonAction(
            name="revoke",
            label="Revoke",
            plan=plan_revoking,
            verb=revoke,
            permission="tenants.change_frontdoortoken",
            danger=True,
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tenants.add_frontdoortoken") and self.in_scope(request)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Asks for label and reason, then shows the token on the answer itself: no page can be asked for it again."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = IssueForm(request.POST if request.method == "POST" else None)
        token = None
        if form.is_valid():
            try:
                asked = dict(form.cleaned_data)
                nonce = asked.pop("page")
                token = issue_front_door_token(**asked, nonce=nonce, acting=staff_actor(request)).token
            except WrongState as error:
                form.add_error(None, error.detail)
        context = {
            **self.admin_site.each_context(request),
            "title": "Issue a front-door token",
            "opts": self.model._meta,
            "form": form,
            "token": token,
            "list_url": list_url(self.model),
        }
        return TemplateResponse(request, "admin/front_door_token.html", context)

    @admin.display(description="State", ordering="slot")
    def state(self, token: FrontDoorToken) -> str:
        return badge("Valid", "good") if token.is_valid else badge("Revoked", "plain")

    @admin.display(description="Issued", ordering="created_at")
    def created(self, token: FrontDoorToken) -> str:
        return shop_time(token.created_at)

    @admin.display(description="Last used", ordering="last_used_at")
    def used(self, token: FrontDoorToken) -> str:
        """To the minute: which of two tokens the edge has come to send."""
        return shop_time(token.last_used_at) if token.last_used_at else "never"

    @admin.display(description="Revoked", ordering="revoked_at")
    def revoked(self, token: FrontDoorToken) -> str:
        return shop_time(token.revoked_at)


def plan_unlocking(attempt: AccessAttempt) -> str | Refused:
    if not attempt.username or not attempt.ip_address:
        return Refused("It names no login.")
    return "Its failures from this address are forgotten: the next login is the first."


def unlock(attempt: AccessAttempt, mandate: Mandate) -> str:
    unlock_login(username=attempt.username, address=attempt.ip_address, reason=mandate.reason, acting=mandate.acting)
    return "Unlocked."


@admin.register(AccessAttempt)
class FailedLoginAdmin(ReadOnlyAdmin[AccessAttempt]):
    """One row per name, address and browser; together they lock the name from that address."""

    shop_path = None
    list_display = ("username", "state", "failures_since_start", "ip_address", "last", "forgotten")
    fields = ("username", "state", "failures_since_start", "ip_address", "user_agent", "last", "forgotten")
    readonly_fields = fields
    search_fields = ("username__exact", "ip_address__exact")
    search_help_text = "A whole user name or address"
    ordering = ("-attempt_time", "-id")
    empty_text = "Nobody has failed to log in lately. Failures are forgotten after a while."
    reason_actions = (
        ReasonAction(
            name="unlock",
            label="Unlock",
            plan=plan_unlocking,
            verb=unlock,
            permission="axes.change_accessattempt",
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccessAttempt]:
        same = AccessAttempt.objects.filter(username=OuterRef("username"), ip_address=OuterRef("ip_address"))
        together = same.order_by().values("username").annotate(sum=Sum("failures_since_start")).values("sum")
        # Whoever has no name or no address is like nobody else: SQL's null equals nothing.
        counted = Coalesce(Subquery(together), F("failures_since_start"))
        rows: QuerySet[AccessAttempt] = super().get_queryset(request).annotate(together=counted)
        return rows.defer("get_data", "post_data")

    @admin.display(description="State")
    def state(self, attempt: AccessAttempt) -> str:
        locked = attempt.together >= settings.AXES_FAILURE_LIMIT
        return badge("Locked", "bad") if locked else badge("Counted", "plain")

    @admin.display(description="Last failure", ordering="attempt_time")
    def last(self, attempt: AccessAttempt) -> str:
        return shop_time(attempt.attempt_time)

    @admin.display(description="Forgotten")
    def forgotten(self, attempt: AccessAttempt) -> str:
        return time_left(attempt.attempt_time + settings.AXES_COOLOFF_TIME)
