"""The signing secrets of webhook endpoints. They go in, never out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from commerce.admin.display import shop_moment
from commerce.gateway.client import platform_scope
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    ReadOnlyAdmin,
    ReasonAction,
    ReasonForm,
    Refused,
    RelatedDropdownFilter,
    badge,
    shop_time,
    staff_actor,
    time_left,
    widgets,
)
from tenants.desk_scope import scope_of
from tenants.models import ShopCredential, WebhookSecret
from tenants.webhook_secrets import (
    LONGEST_OVERLAP_HOURS,
    NO_SIGNING_SECRET,
    SIGNING_SECRET,
    add_platform_secret,
    remove_secret,
    roll_secret,
)

CHANGE_SECRET = "tenants.change_webhooksecret"  # noqa: S105  a permission's name


if TYPE_CHECKING:
    _SecretModelForm = forms.ModelForm[WebhookSecret]
else:
    _SecretModelForm = forms.ModelForm


def write_only(label: str, hint: str) -> forms.CharField:
    """A field whose content no page ever repeats, also not after an error."""
    attributes = {"autocomplete": "off", "spellcheck": "false"}
    return forms.CharField(
        label=label, max_length=255, help_text=hint, widget=widgets.UnfoldAdminPasswordWidget(attrs=attributes)
    )


class SecretForm(ReasonForm):
    secret = write_only("Signing secret", "whsec_…, from the endpoint's page at Stripe; never shown again.")


class RollForm(SecretForm):
    overlap_hours = forms.IntegerField(
        label="Hours that both work",
        min_value=0,
        max_value=LONGEST_OVERLAP_HOURS,
        initial=24,
        widget=widgets.UnfoldAdminIntegerFieldWidget(),
        help_text="As long as the old secret goes on at Stripe; 0 ends it at once.",
    )


class NewSecretForm(_SecretModelForm):
    """For endpoints of the platform's own: a shop's are added on the shop's page."""

    scope = forms.ChoiceField(
        choices=[c for c in WebhookSecret.Scope.choices if c[0] != WebhookSecret.Scope.SHOP],
        widget=widgets.UnfoldAdminSelectWidget(),
        help_text="Whose events the endpoint gets: the platform's own, or those of every account connected to it.",
    )
    secret = SecretForm.base_fields["secret"]
    reason = ReasonForm.base_fields["reason"]

    class Meta:
        model = WebhookSecret
        fields = ("scope",)

    def clean_secret(self) -> str:
        secret = str(self.cleaned_data["secret"]).strip()
        if not SIGNING_SECRET.match(secret):
            raise forms.ValidationError(NO_SIGNING_SECRET)
        return secret


def mode_of(row: ShopCredential | WebhookSecret | None) -> str:
    """In which mode, and whether that is this deployment's."""
    live, here = (row or platform_scope()).livemode, platform_scope().livemode
    shown = "Live" if live else "Test"
    return badge(shown if live == here else f"{shown}, not this deployment's", "bad" if live != here else "plain")


def standing(row: WebhookSecret) -> str:
    """Whether a secret is in force, and until when."""
    if not row.is_active:
        return badge("Ended")
    if row.active_until is not None:
        return badge(f"Until {shop_time(row.active_until)}", "warn")
    return badge("Active", "good")


def last_used(row: WebhookSecret) -> str:
    return time_left(row.last_used_at) if row.last_used_at else "never"


def plan_roll(row: WebhookSecret) -> str | Refused:
    if not row.is_active:
        return Refused("This secret has ended.")
    return "The new secret works at once, this one for as many hours as you enter."


def roll(row: WebhookSecret, mandate: Mandate) -> str:
    fresh, old = roll_secret(
        secret_id=row.pk,
        scope=mandate.scope,
        secret=str(mandate.fields["secret"]).strip(),
        overlap_hours=mandate.fields["overlap_hours"],
        reason=mandate.reason,
        acting=mandate.acting,
    )
    if not old.sealed:
        return f"{fresh} works; {old} is refused from now on."
    return f"{fresh} and {old} both work until {shop_time(old.active_until)}; after that {fresh} alone."


def plan_remove(row: WebhookSecret) -> str | Refused:
    return "Deliveries signed with it are refused at once." if row.is_active else Refused("This secret has ended.")


def remove(row: WebhookSecret, mandate: Mandate) -> str:
    remove_secret(secret_id=row.pk, scope=mandate.scope, reason=mandate.reason, acting=mandate.acting)
    return "Removed: deliveries signed with it are refused."


@admin.register(WebhookSecret)
class WebhookSecretAdmin(ReadOnlyAdmin[WebhookSecret]):
    shop_path = "shop"
    list_display = ("name", "scope", "shop", "account", "state", "used", "added_by")
    list_filter = (("scope", ChoicesDropdownFilter), ("shop", RelatedDropdownFilter))
    search_fields = ("account__exact",)
    search_help_text = "A whole account id: acct_…"
    list_select_related = ("shop__settings",)
    empty_text = (
        "No signing secret yet. A shop's is added on its page under “Shops' Stripe accounts”; "
        "the platform's may stand in its settings instead (STRIPE_WEBHOOK_SECRETS)."
    )
    reason_actions = (
        ReasonAction(name="roll", label="Roll", plan=plan_roll, verb=roll, permission=CHANGE_SECRET, form=RollForm),
        ReasonAction(
            name="remove", label="Remove", plan=plan_remove, verb=remove, permission=CHANGE_SECRET, danger=True
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Endpoints of the platform's own are the platform's; a shop's are added on its Stripe page."""
        return scope_of(request).is_platform and request.user.has_perm("tenants.add_webhooksecret")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **kwargs) if obj else NewSecretForm

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ("scope", "secret", "reason")
        return (
            "name", "scope", "shop", "account", "mode", "state", "begins", "ends", "used", "added_by",
        )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.get_fields(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: WebhookSecret, form: Any, change: bool) -> None:
        """Nothing but a new secret gets here: existing ones can't be edited."""
        row = add_platform_secret(
            scope=platform_scope(),
            connect=form.cleaned_data["scope"] == WebhookSecret.Scope.CONNECT,
            secret=form.cleaned_data["secret"],
            reason=form.cleaned_data["reason"],
            acting=staff_actor(request),
        )
        obj.__dict__.update(row.__dict__)

    @admin.display(description="Secret")
    def name(self, row: WebhookSecret) -> str:
        return str(row)

    @admin.display(description="Mode")
    def mode(self, row: WebhookSecret) -> str:
        return mode_of(row)

    @admin.display(description="Status")
    def state(self, row: WebhookSecret) -> str:
        return standing(row)

    @admin.display(description="Active from")
    def begins(self, row: WebhookSecret) -> str:
        return shop_moment(row.shop, row.active_from)

    @admin.display(description="Active until")
    def ends(self, row: WebhookSecret) -> str:
        return shop_moment(row.shop, row.active_until)

    @admin.display(description="Last used", ordering="last_used_at")
    def used(self, row: WebhookSecret) -> str:
        return last_used(row)
