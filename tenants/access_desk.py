"""Who may come in: the trusted edge's tokens."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
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
    widgets,
)
from tenants.errors import WrongState
from tenants.models import FrontDoorToken
from tenants.tokens import issue_front_door_token, revoke_front_door_token


class IssueForm(ReasonForm):
    label = forms.CharField(
        max_length=60,
        widget=widgets.UnfoldAdminTextInputWidget(),
        help_text="Which edge will carry it, since when. It can't be changed later.",
    )


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
                token = issue_front_door_token(**form.cleaned_data, acting=staff_actor(request)).token
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
        return shop_time(token.revoked_at) if token.revoked_at else ""
