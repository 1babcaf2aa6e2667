"""A back office of its own, with actions on hosts that succeed, refuse and break."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.urls import path

from config import problems
from tenants.admin import ShopAdmin
from tenants.audit import record_audit
from tenants.backoffice import Mandate, ModelAdmin, ReasonAction, ReasonForm, Refused
from tenants.errors import Forbidden
from tenants.models import Host, Shop

handler404 = problems.not_found
handler403 = problems.forbidden
handler500 = problems.server_error


class DaysForm(ReasonForm):
    days = forms.IntegerField(min_value=1)


def plan_closing(host: Host) -> str | Refused:
    if host.mode == Host.Mode.EXPIRED:
        return Refused("It is closed already.")
    return f"{host.hostname} takes no more orders."


def close(host: Host, mandate: Mandate) -> str:
    if host.hostname.startswith("refusing"):
        raise Forbidden("This one refuses <b>today</b>.")
    if host.hostname.startswith("broken"):
        raise RuntimeError("secret")
    Host.objects.filter(pk=host.pk).update(mode=Host.Mode.EXPIRED)
    record_audit(
        shop_id=host.shop_id,
        acting=mandate.acting,
        action="host.closed",
        object_type="host",
        object_id=host.pk,
        reason=mandate.reason,
        data=dict(mandate.fields),
    )
    return "Closed."


class HostDesk(ModelAdmin[Host]):
    shop_path = "shop"
    list_display = ("hostname", "mode")
    reason_actions = (
        ReasonAction(name="close", label="Close the host", plan=plan_closing, verb=close, danger=True),
        ReasonAction(
            name="later", label="Close later", plan=plan_closing, verb=close, form=DaysForm, help="Closes in some days."
        ),
        ReasonAction(name="rare", label="Do the rare", plan=plan_closing, verb=close, permission="tenants.add_shop"),
    )


site = admin.site.__class__(name="admin")
site.register(Host, HostDesk)
site.register(Shop, ShopAdmin)

urlpatterns = [path("admin/", site.urls)]
