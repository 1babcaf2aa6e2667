"""Records of sales that were made elsewhere: as they came, what became of them; refused ones corrected or put aside."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from commerce.admin.display import document, mono, pairs, panel, shop_moment
from commerce.admin.lists import KeySearch, as_uuid, saved_view
from commerce.models import ReconciliationRecord
from commerce.reconciliation.receiving import correct_record, dismiss_record
from tenants.backoffice import (
    ChoicesDropdownFilter,
    Mandate,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    ReasonAction,
    ReasonForm,
    Refused,
    RelatedDropdownFilter,
    badge,
    widgets,
)
from tenants.context import bind_shop, load_shop
from tenants.display import EMPTY, Tone

State = ReconciliationRecord.State
TONES: dict[str, Tone] = {
    State.APPLIED: "good",
    State.UNCHANGED: "plain",
    State.REJECTED: "bad",
    State.DISMISSED: "plain",
}
PERMISSION = "commerce.reconcile"


class _Plain(json.JSONDecoder):
    """Without what no column holds: NaN and infinities, NUL, half a surrogate pair."""

    def __init__(self, **options: Any) -> None:
        super().__init__(parse_constant=self._refuse, **options)

    def decode(self, s: str, *args: Any) -> Any:
        value = super().decode(s, *args)
        written = json.dumps(value, ensure_ascii=False)
        if "\\u0000" in written or any("\ud800" <= letter <= "\udfff" for letter in written):
            self._refuse(s)
        return value

    @staticmethod
    def _refuse(text: str) -> None:
        raise json.JSONDecodeError("Can't be kept", text, 0)


class CorrectForm(ReasonForm):
    changes = forms.JSONField(
        label="Members to change",
        help_text='A JSON object, such as {"unit": "major"} or {"total": 1250}; null takes a member out.',
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        decoder=_Plain,
        error_messages={"invalid": "This is not JSON."},
    )

    def clean_changes(self) -> dict[str, Any]:
        changes = self.cleaned_data["changes"]
        if not isinstance(changes, dict):
            raise forms.ValidationError("Expected an object.")
        return changes


def plan_correction(record: ReconciliationRecord) -> str | Refused:
    if record.state != State.REJECTED:
        return Refused(f"It isn't refused: {record.get_state_display().lower()}.")
    return "Is judged again with the changes, and taken over if nothing speaks against it. What arrived is kept."


def correct(record: ReconciliationRecord, mandate: Mandate) -> str:
    changed = {**(record.payload if isinstance(record.payload, dict) else {}), **mandate.fields["changes"]}
    shop = load_shop(record.shop_id)
    with bind_shop(shop):
        outcome = correct_record(
            shop=shop,
            record_id=record.pk,
            corrected={name: value for name, value in changed.items() if value is not None},
            reason=mandate.reason,
            acting=mandate.acting,
        )
    return f"{State(outcome.state).label}."


def plan_dismissal(record: ReconciliationRecord) -> str | Refused:
    if record.state != State.REJECTED:
        return Refused(f"It isn't refused: {record.get_state_display().lower()}.")
    return "Is put aside for good: no order comes of it, also when it is sent again."


def dismiss(record: ReconciliationRecord, mandate: Mandate) -> str:
    dismiss_record(shop_id=record.shop_id, record_id=record.pk, reason=mandate.reason, acting=mandate.acting)
    return "Put aside."


@admin.register(ReconciliationRecord)
class ReconciliationRecordAdmin(KeySearch[ReconciliationRecord], ReadOnlyAdmin[ReconciliationRecord]):
    shop_path = "shop"
    list_display = ("name", "shop_name", "source", "status", "order_link", "why", "received")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("shop", RelatedDropdownFilter),
        "normalised",
        ("received_at", RangeDateTimeFilter),
    )
    search_fields = ("external_id", "order_id")
    search_help_text = "External id, order id"
    ordering = ("-id",)
    sortable_by = ()
    actions_list = ("refused_ones",)
    refused_ones = saved_view("Refused", "state__exact=rejected", name="refused")
    empty_text = "No record has been received. Servers send them to POST /api/reconciliation."
    reason_actions = (
        ReasonAction(
            name="correct",
            label="Correct",
            plan=plan_correction,
            verb=correct,
            permission=PERMISSION,
            form=CorrectForm,
        ),
        ReasonAction(
            name="dismiss",
            label="Put aside",
            plan=plan_dismissal,
            verb=dismiss,
            permission=PERMISSION,
            danger=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReconciliationRecord]:
        return super().get_queryset(request).select_related("shop__settings", "order")

    def key(self, term: str) -> Q:
        known = as_uuid(term)
        return Q(order_id=known) | Q(external_id=term) if known else Q(external_id=term)

    def get_fieldsets(self, request: HttpRequest, obj: ReconciliationRecord | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        record = obj
        sections = [
            (None, {"fields": ("name", "shop_name", "source", "status", "order_link", "received")}),
            panel("Story", lambda: pairs(self.story(record))),
            panel("As it came", lambda: document(record.payload)),
        ]
        if record.reasons:
            sections.insert(1, panel("Why it was refused", lambda: reasons_of(record)))
        if record.corrected is not None:
            sections.append(panel("As corrected", lambda: document(record.corrected)))
        return sections

    def story(self, record: ReconciliationRecord) -> list[tuple[str, object]]:
        return [
            ("Sent by", mono(record.received_by)),
            ("Request", mono(record.request_id)),
            ("Judged", shop_moment(record.shop, record.decided_at)),
            ("Older form", "Yes: it was translated" if record.normalised else "No"),
        ]

    @admin.display(description="External id")
    def name(self, record: ReconciliationRecord) -> str:
        return record.external_id or "(none)"

    @admin.display(description="State")
    def status(self, record: ReconciliationRecord) -> str:
        return badge(record.get_state_display(), TONES[record.state])

    @admin.display(description="Why")
    def why(self, record: ReconciliationRecord) -> str:
        member, texts = next(iter(record.reasons.items()), ("", []))
        more = f" (+{len(record.reasons) - 1})" if len(record.reasons) > 1 else ""
        return f"{member}: {texts[0]}{more}".removeprefix(": ") if texts else EMPTY

    @admin.display(description="Received")
    def received(self, record: ReconciliationRecord) -> str:
        return shop_moment(record.shop, record.received_at)


def reasons_of(record: ReconciliationRecord) -> SafeString:
    told = ((member or "The record", " ".join(why)) for member, why in record.reasons.items())
    return format_html_join("", "<p><strong>{}</strong> {}</p>", told)
