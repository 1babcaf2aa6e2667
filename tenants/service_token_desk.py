"""Service tokens for staff: issued and rotated on pages that show the secret once, ended with a reason.

The platform's staff see every token, a shop's managers their own.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

from django import forms
from django.contrib import admin, messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.utils import timezone

from tenants.backoffice import (
    Mandate,
    ModelAdmin,
    ReadOnlyAdmin,
    ReasonAction,
    ReasonForm,
    Refused,
    RelatedDropdownFilter,
    badge,
    duration,
    list_url,
    staff_actor,
    time_left,
    widgets,
)
from tenants.desk_scope import scope_of
from tenants.display import EMPTY, change_url
from tenants.errors import HoldfastError
from tenants.models import ServiceToken
from tenants.panels import shop_moment
from tenants.reasoned import PAGE_SECONDS
from tenants.service_tokens import (
    LONGEST_LIFE_DAYS,
    LONGEST_OVERLAP_HOURS,
    IssuedServiceToken,
    end_older_secret,
    issue_service_token,
    material_drawn_from,
    revoke_service_token,
    rotate_service_token,
    secret_drawn_from,
)

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[ServiceToken]
else:
    _ModelForm = forms.ModelForm

CHANGE: Final = "tenants.change_servicetoken"
SALT: Final = "tenants.service_token_desk"
TOO_OLD: Final = "This page had grown too old. Nothing was done; send it once more."


def new_page(row: ServiceToken | None = None) -> str:
    """Which showing of a page was clicked, and for rotations which token in which state it showed."""
    seen = [row.pk, row.secret_at.isoformat()] if row else []
    return signing.dumps({"nonce": secrets.token_urlsafe(32), "seen": seen}, salt=SALT)


def read_page(page: str) -> dict[str, Any]:
    """What `new_page` said. Raises ValidationError for anything else, and after an hour."""
    try:
        told: dict[str, Any] = signing.loads(page, salt=SALT, max_age=PAGE_SECONDS)
    except signing.BadSignature as error:
        raise forms.ValidationError(TOO_OLD) from error
    return told


class NewTokenForm(_ModelForm):
    every_shop = forms.BooleanField(
        required=False,
        label="For every shop",
        widget=widgets.UnfoldBooleanSwitchWidget(),
        help_text="The platform's own: each of its requests says for which shop it is.",
    )
    scopes = forms.MultipleChoiceField(
        choices=[(value, f"{value}: {label}") for value, label in ServiceToken.Scope.choices],
        widget=widgets.UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="No more than its holder needs. They can't be changed later.",
    )
    days = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=LONGEST_LIFE_DAYS,
        initial=365,
        label="Days until it expires",
        widget=widgets.UnfoldAdminIntegerFieldWidget(),
        help_text=f"1 to {LONGEST_LIFE_DAYS}. Empty: it doesn't expire by itself.",
    )
    reason = ReasonForm.base_fields["reason"]
    page = forms.CharField(widget=forms.HiddenInput, initial=new_page)

    class Meta:
        model = ServiceToken
        fields = ("label", "shop")
        help_texts = {"label": "Which program will carry it, and where it runs."}

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "shop" in data and bool(data["shop"]) == bool(data.get("every_shop")):
            self.add_error("shop", "Choose a shop, or say that it is for every shop.")
        try:
            data["nonce"] = read_page(data.get("page", ""))["nonce"]
        except forms.ValidationError as error:
            again = cast(QueryDict, self.data).copy()
            again["page"] = new_page()
            self.data = again
            self.add_error(None, error)
        return data


class RotateForm(ReasonForm):
    overlap_hours = forms.IntegerField(
        label="Hours that both work",
        min_value=0,
        max_value=LONGEST_OVERLAP_HOURS,
        initial=24,
        widget=widgets.UnfoldAdminIntegerFieldWidget(),
        help_text="Until its holder has the new secret; 0 ends the old one at once.",
    )
    page = forms.CharField(widget=forms.HiddenInput)

    def clean_page(self) -> dict[str, Any]:
        return read_page(self.cleaned_data["page"])


def standing(row: ServiceToken) -> str:
    if row.revoked_at is not None:
        return badge("Revoked", "plain")
    if not row.is_valid():
        return badge("Expired", "plain")
    return badge("Two secrets", "warn") if row.has_older() else badge("Valid", "good")


def plan_rotating(row: ServiceToken) -> str | Refused:
    if not row.is_valid():
        return Refused("It has ended. Issue another.")
    if row.has_older():
        return Refused("Two secrets work already. End the older one first.")
    return "Its secret is replaced. Its id, its scopes and its expiry stay."


def plan_revoking(row: ServiceToken) -> str | Refused:
    if row.revoked_at is not None:
        return Refused("It was revoked before.")
    return "Within two seconds every request that carries it is refused. This can't be undone."


def revoke(row: ServiceToken, mandate: Mandate) -> str:
    revoke_service_token(token_id=row.pk, scope=mandate.scope, reason=mandate.reason, acting=mandate.acting)
    return "Revoked."


def plan_ending_older(row: ServiceToken) -> str | Refused:
    if not row.is_valid() or not row.has_older():
        return Refused("Only one secret works.")
    used = f"{duration((timezone.now() - row.older_used_at).total_seconds())} ago" if row.older_used_at else "never"
    return f"The secret that was replaced is refused within two seconds. It was last used: {used}."


def end_older(row: ServiceToken, mandate: Mandate) -> str:
    end_older_secret(token_id=row.pk, scope=mandate.scope, reason=mandate.reason, acting=mandate.acting)
    return "The older secret opens nothing any more."


@admin.register(ServiceToken)
class ServiceTokenAdmin(ReadOnlyAdmin[ServiceToken]):
    shop_path = "shop"
    list_display = ("label", "token", "whose", "state", "good_for", "used", "left", "created_by")
    list_filter = (("shop", RelatedDropdownFilter),)
    list_select_related = ("shop__settings",)
    search_fields = ("id__exact",)
    search_help_text = "A whole id: 16 digits, as in hfs_…_"
    sortable_by = ()
    autocomplete_fields = ("shop",)
    empty_text = "No token yet. A server that holds stock or refunds by itself needs one."
    actions_detail = ("rotate",)
    reason_actions = (
        ReasonAction(
            name="end_older", label="End older secret", plan=plan_ending_older, verb=end_older, permission=CHANGE
        ),
        ReasonAction(name="revoke", label="Revoke", plan=plan_revoking, verb=revoke, permission=CHANGE, danger=True),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return ModelAdmin.has_add_permission(self, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ServiceToken], search_term: str
    ) -> tuple[QuerySet[ServiceToken], bool]:
        """By id alone, also as pages show it; a secret behind it is dropped."""
        token_id = search_term.strip().removeprefix("hfs_").partition("_")[0]
        return (queryset.filter(pk=token_id) if token_id else queryset), False

    # ---------------------------------------------------------------- issuing
    def get_form(
        self, request: HttpRequest, obj: ServiceToken | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None:
            kwargs["form"] = NewTokenForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: ServiceToken | None = None) -> Any:
        if obj is None:
            every_shop = ("every_shop",) if scope_of(request).is_platform else ()
            return ("label", "shop", *every_shop, "scopes", "days", "reason", "page")
        return (
            "label", "token", "whose", "state", "good_for", "used", "expires", "created", "created_by", "renewed",
            "secret_by", "older", "ended", "revoked_by",
        )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: ServiceToken | None = None) -> Any:
        return self.get_fields(request, obj) if obj else ()

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        extra = {
            "title": "Issue a service token",
            "show_save_and_add_another": False,  # its answer wouldn't show the token
            "show_save_and_continue": False,
            **(extra_context or {}),
        }
        try:
            return super().add_view(request, form_url, extra)
        except HoldfastError as error:
            messages.error(request, error.detail)
            return HttpResponseRedirect(request.path)

    def save_model(self, request: HttpRequest, obj: ServiceToken, form: Any, change: bool) -> None:
        """Nothing but a new token gets here. The verb keeps to the scope of whoever asks."""
        asked = form.cleaned_data
        issued = issue_service_token(
            shop_id=asked["shop"].pk if asked["shop"] else None,
            scope=scope_of(request),
            label=asked["label"],
            scopes=asked["scopes"],
            days=asked["days"],
            reason=asked["reason"],
            acting=staff_actor(request),
            made_of=material_drawn_from(asked["nonce"]),
        )
        vars(obj).update(vars(issued.row), issued=issued)

    def response_add(
        self, request: HttpRequest, obj: ServiceToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Shows the token on the answer itself: no page can be asked for it again."""
        return self._shown(request, "Issue a service token", vars(obj)["issued"])

    # ---------------------------------------------------------------- rotating
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks for overlap and reason, then shows the token with its new secret on the answer itself."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if not self._may_rotate(request, row):
            raise PermissionDenied
        plan = plan_rotating(row)
        form = RotateForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                return self._shown(request, "Rotate a service token", self._rotated(request, row, form.cleaned_data))
            except HoldfastError as error:
                plan = Refused(error.detail)
        context = self._context(request, "Rotate a service token") | {
            "form": form,
            "page": new_page(row) if not form.is_bound or "page" in form.errors else form.data["page"],
            "row": row,
            "plan": plan if isinstance(plan, str) else "",
            "refused": plan.why if isinstance(plan, Refused) else "",
            "back_url": change_url(row),
        }
        return TemplateResponse(request, "admin/service_token.html", context)

    # What unfold reads from an action's function.
    vars(rotate).update(short_description="Rotate", url_path="rotate", attrs={}, icon=None, variant=None)

    def _rotated(self, request: HttpRequest, row: ServiceToken, asked: dict[str, Any]) -> IssuedServiceToken:
        page = asked["page"]
        if page["seen"][:1] != [row.pk]:
            raise PermissionDenied
        return rotate_service_token(
            token_id=row.pk,
            scope=scope_of(request),
            overlap_hours=asked["overlap_hours"],
            reason=asked["reason"],
            acting=staff_actor(request),
            secret=secret_drawn_from(page["nonce"]),
            replacing=datetime.fromisoformat(page["seen"][1]),
        )

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """unfold's hook: no button that leads to a refusal."""
        buttons = super().get_actions_detail(request, object_id)
        if self._may_rotate(request):
            return buttons
        return [button for button in buttons if button.action_name != "tenants_servicetoken_rotate"]

    def _may_rotate(self, request: HttpRequest, row: ServiceToken | None = None) -> bool:
        return request.user.has_perm(CHANGE) and self.in_scope(request, row)

    # ---------------------------------------------------------------- pages
    def _shown(self, request: HttpRequest, title: str, issued: IssuedServiceToken) -> HttpResponse:
        context = self._context(request, title) | {"token": issued.token, "row": issued.row}
        return TemplateResponse(request, "admin/service_token.html", context)

    def _context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        each = self.admin_site.each_context(request)
        return {**each, "title": title, "opts": self.model._meta, "list_url": list_url(self.model)}

    # ---------------------------------------------------------------- columns
    @admin.display(description="Token")
    def token(self, row: ServiceToken) -> str:
        return row.shown

    @admin.display(description="Shop")
    def whose(self, row: ServiceToken) -> str:
        return str(row.shop) if row.shop else badge("Every shop", "warn")

    @admin.display(description="State")
    def state(self, row: ServiceToken) -> str:
        return standing(row)

    @admin.display(description="Scopes")
    def good_for(self, row: ServiceToken) -> str:
        return ", ".join(row.scopes)

    @admin.display(description="Last used")
    def used(self, row: ServiceToken) -> str:
        """To the minute: whether its holder has come to send the secret that works."""
        return time_left(row.last_used_at) if row.last_used_at else "never"

    @admin.display(description="Expires")
    def left(self, row: ServiceToken) -> str:
        return time_left(row.expires_at) if row.expires_at else "not by itself"

    @admin.display(description="Expires")
    def expires(self, row: ServiceToken) -> str:
        return shop_moment(row.shop, row.expires_at) if row.expires_at else "not by itself"

    @admin.display(description="Issued")
    def created(self, row: ServiceToken) -> str:
        return shop_moment(row.shop, row.created_at)

    @admin.display(description="Secret since")
    def renewed(self, row: ServiceToken) -> str:
        return shop_moment(row.shop, row.secret_at)

    @admin.display(description="Older secret")
    def older(self, row: ServiceToken) -> str:
        if not row.has_older():
            return EMPTY
        used = shop_moment(row.shop, row.older_used_at) if row.older_used_at else "never"
        return f"Works until {shop_moment(row.shop, row.older_until)}; last used: {used}"

    @admin.display(description="Revoked")
    def ended(self, row: ServiceToken) -> str:
        return shop_moment(row.shop, row.revoked_at)
