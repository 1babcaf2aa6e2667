"""Hosts in the back office: adding a domain, proving it, moving it, and seeing what its addresses do (T10)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.forms import BaseModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    ReasonAction,
    ReasonedEditsAdmin,
    ReasonedModelForm,
    ReasonForm,
    Refused,
    RelatedDropdownFilter,
    badge,
    shop_time,
    time_left,
    widgets,
)
from tenants.display import Tone
from tenants.errors import InvalidRequest
from tenants.hosts import host_facts, host_map
from tenants.locales import addressable
from tenants.models import Host, Shop
from tenants.onboarding import (
    checklist,
    describe_move,
    edited_name,
    move_host,
    network_probes,
    normalise_domain,
    verify_host,
)
from tenants.preview import Hop, follow
from tenants.redirects import HostFacts, Outcome

NOBODYS = frozenset({Host.Role.HOOKS, Host.Role.PLATFORM})
STEP_TONES: dict[str, Tone] = {"good": "good", "bad": "bad", "unknown": "plain"}
STEP_WORDS = {"good": "done", "bad": "missing", "unknown": "not checked"}
ANSWERS: dict[Outcome, str] = {
    Outcome.SERVE: "Served. Whether the page exists is the shop's to say.",
    Outcome.LANDING: "200: the landing page.",
    Outcome.EXPIRED: "410: the page of an expired host.",
    Outcome.CLOSED: "410: closed for new business.",
    Outcome.NOWHERE: "404: nothing is there.",
}


class HostnameField(forms.CharField):
    """Takes a domain as people write it and gives the name that is stored."""

    widget = widgets.UnfoldAdminTextInputWidget

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return text
        try:
            return normalise_domain(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error


class HostForm(ReasonedModelForm):
    hostname = HostnameField(max_length=253, help_text="bücher.example is kept as xn--bcher-kva.example.")

    def clean_locale(self) -> str:
        locale: str = self.cleaned_data["locale"]
        if locale and not addressable(locale):
            raise ValidationError("A locale as addresses have it, such as en or de-AT.")
        return locale

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        shop = cleaned.get("shop") or self.instance.shop
        locale = cleaned.get("locale")
        if (role := cleaned.get("role")) and "shop" not in self.errors and (role in NOBODYS) is (shop is not None):
            of_none = "A host with this role serves every shop, and belongs to none."
            self.add_error("role", of_none if role in NOBODYS else "A host with this role needs a shop.")
        if shop is not None and locale and locale not in shop.settings.locales:
            self.add_error("locale", f"{shop.name} doesn't offer this locale.")
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        """The shop isn't edited here, but the constraints that name it hold all the same."""
        exclusions: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return exclusions - {"shop"}


class MoveForm(ReasonForm):
    to_shop = forms.ModelChoiceField(
        Shop.objects.all(), label="Move to", widget=widgets.UnfoldAdminSelectWidget, help_text="The shop that gets it."
    )


def plan_verification(host: Host) -> str:
    return f"Looks for the proof, the addresses, the web server and the certificate of {host.hostname}."


def verify(host: Host, mandate: Mandate) -> str:
    return verify_host(
        host_id=host.pk, scope=mandate.scope, acting=mandate.acting, reason=mandate.reason, probes=network_probes()
    )


def plan_move(host: Host) -> str | Refused:
    try:
        return describe_move(host)
    except InvalidRequest as error:
        return Refused(error.detail)


def move(host: Host, mandate: Mandate) -> str:
    to_shop = mandate.fields["to_shop"]
    return move_host(
        host_id=host.pk, scope=mandate.scope, to_shop=to_shop, acting=mandate.acting, reason=mandate.reason
    )


class PreviewForm(forms.Form):
    url = forms.CharField(max_length=4096, label="Address", widget=widgets.UnfoldAdminTextInputWidget)
    language = forms.CharField(
        max_length=200,
        required=False,
        label="Browser's languages",
        widget=widgets.UnfoldAdminTextInputWidget,
        help_text="As Accept-Language has them: de-CH, en;q=0.5",
    )


class HostAdmin(ReasonedEditsAdmin[Host]):
    shop_path = "shop"
    form = HostForm
    audit_name = "host"
    list_display = ("hostname", "role", "shop", "state", "proof", "expires", "updated")
    list_filter = (("role", ChoicesDropdownFilter), ("mode", ChoicesDropdownFilter), ("shop", RelatedDropdownFilter))
    search_fields = ("hostname",)
    list_select_related = ("shop",)
    empty_text = "No host yet. Without one no request reaches a shop."
    reason_actions = (
        ReasonAction(
            name="verify",
            label="Check the domain",
            plan=plan_verification,
            verb=verify,
            help="Looks at DNS and at the domain's web server, which takes some seconds, and keeps what it found.",
        ),
        ReasonAction(name="move", label="Move to another shop", plan=plan_move, verb=move, form=MoveForm, danger=True),
    )
    actions_list = ("preview_link",)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview)
        return [path("preview/", view, name="tenants_host_preview"), *super().get_urls()]

    def get_fieldsets(self, request: HttpRequest, obj: Host | None = None) -> Any:
        self_fields = ("hostname", "role", "shop", "mode", "expires_at", "locale")
        return [
            *self._with_reason(request, obj, [(None, {"fields": self_fields})]),
            *([("Domain checklist", {"fields": ("proven", "steps")})] if obj else []),
        ]

    def _with_reason(self, request: HttpRequest, obj: Host | None, fieldsets: list[Any]) -> list[Any]:
        if self._may_edit(request, obj):
            return [*fieldsets, ("Why", {"fields": ("reason_for_change",)})]
        return fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Host | None = None) -> tuple[str, ...]:
        """A host changes its shop by an action, which says what that does."""
        return ("shop", "proven", "steps") if obj else ()

    def save_model(self, request: HttpRequest, obj: Host, form: BaseModelForm[Host], change: bool) -> None:
        before = str(form.initial.get("hostname") or obj.hostname)
        if change and before != obj.hostname:
            edited_name(obj)
        super().save_model(request, obj, form, change)
        host_map.announce_on_commit(
            names={obj.hostname, before}, shop_ids={shop_id for shop_id in (obj.shop_id,) if shop_id}
        )

    @admin.display(description="Mode", ordering="mode")
    def state(self, host: Host) -> str:
        tones: dict[str, Tone] = {Host.Mode.ACTIVE: "good", Host.Mode.LANDING_ONLY: "warn"}
        return badge(host.get_mode_display(), tones.get(host.mode, "plain"))

    @admin.display(description="Expires", ordering="expires_at")
    def expires(self, host: Host) -> str:
        return time_left(host.expires_at)

    @admin.display(description="Proof", ordering="verified_at")
    def proof(self, host: Host) -> str:
        if host.verified_at:
            return badge(host.get_verified_by_display(), "good")
        return badge("not proven", "plain" if settings.SERVE_UNVERIFIED_HOSTS else "warn")

    @admin.display(description="Proof")
    def proven(self, host: Host) -> str:
        """With what follows from it here."""
        if host.verified_at:
            return format_html("{} since {}", self.proof(host), shop_time(host.verified_at))
        served = (
            "Served all the same: this environment asks for no proof."
            if settings.SERVE_UNVERIFIED_HOSTS
            else ("Nothing is served on it before one of the two proofs below is there.")
        )
        return format_html("{} {}", self.proof(host), served)

    @admin.display(description="Updated", ordering="updated_at")
    def updated(self, host: Host) -> str:
        return shop_time(host.updated_at)

    @admin.display(description="Checklist")
    def steps(self, host: Host) -> SafeString:
        rows = format_html_join(
            "",
            '<tr><td class="pr-4 py-1 align-top whitespace-nowrap">{}</td><td class="pr-4 py-1 align-top">{}</td>'
            '<td class="py-1 align-top break-words">{}<br><strong>{}</strong></td></tr>',
            (
                (step.label, badge(STEP_WORDS[step.state], STEP_TONES[step.state]), step.what, step.found)
                for step in checklist(host)
            ),
        )
        looked = shop_time(host.checked_at) if host.checked_at else "never"
        return format_html("<table>{}</table><p>Last looked at: {}</p>", rows, looked)

    def preview_link(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:tenants_host_preview"))

    # What unfold reads from an action's function.
    vars(preview_link).update(
        short_description="Preview an address", url_path="preview-link", attrs={}, icon=None, variant=None
    )

    def preview(self, request: HttpRequest) -> HttpResponse:
        """What a browser gets for an address, hop by hop. Reads only; an address in the query can be shared."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = PreviewForm(request.GET if "url" in request.GET else None)
        hops: list[Hop] = []
        if form.is_bound and form.is_valid():
            try:
                asked = form.cleaned_data
                hops = follow(asked["url"], find=served_host, accept_language=asked["language"])
            except ValueError as error:
                form.add_error("url", str(error))
        context = {
            **self.admin_site.each_context(request),
            "title": "Preview an address",
            "opts": self.model._meta,
            "form": form,
            "hops": [shown_hop(hop) for hop in hops],
        }
        return TemplateResponse(request, "admin/host_preview.html", context)


def served_host(hostname: str) -> HostFacts | None:
    """The host as the front door would find it."""
    entry = host_map.find(hostname)
    return host_facts(entry, timezone.now()) if entry is not None and entry.served else None


def shown_hop(hop: Hop) -> dict[str, str]:
    if hop.decision is None or hop.host is None:
        return {"url": hop.url, "answer": "404: this host name is not served here, or not proven yet.", "why": ""}
    decision = hop.decision
    if decision.outcome is Outcome.REDIRECT:
        return {"url": hop.url, "answer": f"{decision.status} to {decision.location}", "why": decision.why}
    return {"url": hop.url, "answer": ANSWERS[decision.outcome], "why": decision.why}
