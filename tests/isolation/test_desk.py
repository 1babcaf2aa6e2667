"""A member of one shop tries every page of the back office with the other shop's rows, and finds nothing (A5, T9).

Pages, actions, inlines, filters and addresses come from the registry and the resolver: whatever is new is tried too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from django import forms
from django.contrib import admin
from django.core import signing
from django.db.models import ForeignKey, ManyToManyField, Model
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from tenants.backoffice import ModelAdmin
from tenants.display import change_url
from tenants.reasoned import SALT
from tests.commerce.backoffice import TOKEN, filled
from tests.fixtures.sampling import EVERY_CASE, some
from tests.isolation.routes import routes
from tests.isolation.sides import SHOP_MODELS, World, browser, shown, texts
from webhooks.models import StripeEvent

PAGES: list[tuple[type[Model], Any]] = sorted(admin.site._registry.items(), key=lambda entry: entry[0]._meta.label)

# Permissions that no member has, even where the rows are their shop's.
PLATFORMS = {"allot"}

# Addresses of the back office that belong to no page of a model, and how each is tried.
ELSEWHERE = {
    "index": "test_the_frame_shows_nothing_of_others",
    "app_list": "test_the_frame_shows_nothing_of_others",
    "search": "test_the_frame_shows_nothing_of_others",
    "jsi18n": "translations of words, without rows",
    "login": "asks for a name and a password, without rows",
    "logout": "ends a session, without rows",
    "password_change": "one's own password",
    "password_change_done": "a page without rows",
    "autocomplete": "test_nothing_is_completed",
    "view_on_site": "test_the_frame_shows_nothing_of_others",
    None: "leads to the page with a slash, or nowhere",
}


@dataclass
class Visit:
    """What a member of staff sees, request by request; `leaks` are the answers that show what they mustn't."""

    world: World
    client: Client
    markers: set[str]
    leaks: list[str] = field(default_factory=list)
    count: int = 0

    def get(self, url: str, query: dict[str, Any] | None = None, *, named: object = "") -> HttpResponse:
        """`named`: what the reader has named before, and may be told about again."""
        return self._judge("GET", url, query, self.client.get(url, query or {}), named)

    def post(self, url: str, data: dict[str, Any] | None = None) -> HttpResponse:
        return self._judge("POST", url, data, self.client.post(url, data or {}))

    def _judge(self, method: str, url: str, data: Any, answer: HttpResponse, named: object = "") -> HttpResponse:
        self.count += 1
        found = shown(self.markers, answer, sent=f"{url} {data} {named}")
        if found or answer.status_code >= 500:
            self.leaks.append(f"{method} {url} {data or ''} → {answer.status_code} {sorted(found)[:5]}")
        return answer

    def hidden(self, method: str, url: str, data: dict[str, Any] | None = None) -> None:
        """An address of somebody else's row: not there, or not allowed, and never a page."""
        answer = self.get(url, data) if method == "GET" else self.post(url, data)
        if answer.status_code not in {302, 403, 404, 405}:
            self.leaks.append(f"{method} {url} → {answer.status_code}, a page of somebody else's row")


@pytest.fixture
def visit(world: World) -> Visit:
    return Visit(world, browser(world.here.staff), world.markers())


def address(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def own_urls(page: ModelAdmin[Any]) -> list[tuple[str, set[str]]]:
    """`(name, parameters)` of every address that a page serves."""
    return [(entry.name, set(entry.pattern.converters)) for entry in page.get_urls() if entry.name]


def forms_of(answer: HttpResponse) -> Iterator[Any]:
    """Every form on a page: the row's, those of its inlines with the empty one, and an action's."""
    context: Any = answer.context or {}
    if "adminform" in context:
        yield context["adminform"].form
        for inline in context["inline_admin_formsets"]:
            yield from (*inline.formset.forms, inline.formset.empty_form)
    elif isinstance(context.get("form"), forms.BaseForm):
        yield context["form"]


def test_there_is_a_row_of_every_kind_to_steal(world: World):
    missing = [model._meta.label for model in SHOP_MODELS if not world.there.rows(model).exists()]
    assert missing == [], "tests/isolation/business.py: make one in both shops"
    pages = [model for model, page in PAGES if not model._default_manager.exists()]
    assert pages == [], "tests/isolation/business.py: make one"


def test_the_search_for_leaks_finds_them(world: World):
    """The other way round: whoever works there sees there, so what is looked for below can be seen at all."""
    visit = Visit(world, browser(world.there.staff), world.markers())
    for model, page in PAGES:
        if page.shop_path is None:
            assert visit.get(address(model, "changelist")).status_code == 403, model
            continue
        visit.leaks.clear()
        row = world.there.rows(model).first()
        assert visit.get(address(model, "changelist")).status_code == 200, model
        assert visit.get(address(model, "change", row.pk)).status_code == 200, model
        assert len(visit.leaks) == 2, model


def test_every_address_of_a_row_is_closed(world: World, visit: Visit):
    """Change, delete, history, the buttons of actions, and whatever else takes a row's id."""
    before = world.untouched()
    for model, page in PAGES:
        theirs = world.there.rows(model).first()  # the other shop's, before any of the platform's
        strangers = world.here.samples(model) if EVERY_CASE or theirs is None else [theirs]
        for name, parameters in own_urls(page):
            if not parameters & {"object_id", "id"}:
                continue
            assert parameters <= {"object_id", "id"}, f"{name}: say here how {parameters} are filled"
            for row in strangers:
                url = reverse(f"admin:{name}", args=[row.pk])
                visit.hidden("GET", url)
                visit.hidden("GET", url, {"_popup": "1", "_to_field": model._meta.pk.name})
                visit.hidden("POST", url, {"post": "yes", "reason_for_change": "Mine now", "reason": "Mine now"})
    assert (visit.leaks, visit.count > 100) == ([], True)
    assert world.untouched() == before


def searched_for(page: ModelAdmin[Any], world: World) -> set[str]:
    """What the other shop's rows say in each field that a page searches, and their longest texts for whatever else."""
    rows = world.there.rows(page.model)
    terms = {text for row in rows[:1] for text in texts(row)}
    found = set(sorted(terms, key=len, reverse=True)[: 2 if page.search_fields else 1])
    for entry in page.search_fields:
        path = re.sub(r"__i?(exact|startswith)$", "", entry)
        found.add(str(rows.exclude(**{f"{path}__isnull": True}).values_list(path, flat=True).first() or ""))
    return found - {""}


def asked_of_a_list(page: ModelAdmin[Any], world: World) -> list[dict[str, Any]]:
    """Searches, filters, orders: those that the page offers and those that it doesn't, each once."""
    queries: list[dict[str, Any]] = [{"q": term} for term in sorted(searched_for(page, world))]
    for lookup in ("shop", "shop__id__exact", "owner__id__exact", "id__exact", "pk", "shop__name", "owner__shop"):
        queries.append({lookup: world.there.shop_id})
    for entry in page.list_filter:
        name = entry[0] if isinstance(entry, tuple) else getattr(entry, "parameter_name", entry)
        queries += [{name: world.there.shop_id}, {f"{name}__id__exact": world.there.shop_id}, {f"{name}__isnull": 1}]
    queries += [{"o": "1"}, {"all": ""}, {"_facets": "True"}, {"p": "2"}]
    return list({str(query): query for query in queries}.values())


def test_every_list_shows_ones_own_however_it_is_asked(world: World, visit: Visit):
    """Plain, searched, filtered, sorted; with the filters that the page offers and those that it doesn't."""
    for turn, (model, page) in enumerate(PAGES):
        url = address(model, "changelist")
        foreign = set(world.here.others(model).values_list("pk", flat=True))
        queries = asked_of_a_list(page, world)
        if page.shop_path is None:  # refused before a query is looked at: one request has all of them
            queries = [{name: value for query in queries for name, value in query.items()}]
        assert visit.get(url).status_code == (403 if page.shop_path is None else 200), model
        for query in [queries[0], *some(queries[1:], 5, turn=turn)]:  # a search in any case
            answer = visit.get(url, query)
            changelist = (answer.context or {}).get("cl") if answer.status_code == 200 else None
            if changelist is not None and foreign & {row.pk for row in changelist.result_list}:
                visit.leaks.append(f"{url} {query}: lists a row of others")
        for name, parameters in own_urls(page):
            if not parameters and not name.endswith("_changelist"):
                visit.get(reverse(f"admin:{name}"))
    assert visit.leaks == []


def test_no_action_touches_a_row_of_others(world: World, visit: Visit):
    """Ticked in the list, asked for by a page of one's own making, and confirmed with somebody else's token."""
    before = world.untouched()
    tried = 0
    for model, page in PAGES:
        ids = [str(pk) for pk in world.here.others(model).values_list("pk", flat=True)]
        actions = [*(f"act_{action.name}" for action in page.reason_actions), *page.actions, "delete_selected"]
        for name in actions:
            chosen = {"action": name, "_selected_action": ids, "select_across": "1", "index": "0"}
            answer = visit.post(address(model, "changelist"), chosen)
            if answer.status_code == 200 and TOKEN.search(answer.content.decode()):
                foreign = {change_url(row) for row in world.here.others(model)}
                assert not foreign & {line.url for line in answer.context["lines"]}, name
        for action in page.reason_actions:
            tried += 1
            for author in (world.here.staff, world.there.staff):
                told = {"action": action.name, "user": str(author.pk), "ids": ids, "nonce": uuid4().hex}
                data = {"token": signing.dumps(told, salt=SALT), "reason": "Because", **_values(action.form, world)}
                answer = visit.post(address(model, "act", action.name), data)
                theirs = author == world.here.staff and page.shop_path and action.permission not in PLATFORMS
                assert answer.status_code == (302 if theirs else 403), action
                if answer.status_code == 302:
                    outcome = visit.get(answer["Location"], named=ids)
                    tones = {line.tone for line in outcome.context["lines"]}
                    assert tones == ({"warn"} if ids else set()), (action.name, outcome.context["lines"])
    assert (visit.leaks, tried > 5) == ([], True)
    assert world.untouched() == before


def _values(form: type[forms.BaseForm] | None, world: World) -> dict[str, Any]:
    """Something valid for the fields of an action's own form."""
    values: dict[str, Any] = {}
    for name, entry in (form.base_fields if form else {}).items():
        if isinstance(entry, forms.ModelChoiceField):
            values[name] = str(world.here.rows(entry.queryset.model).first().pk)
        elif isinstance(entry, forms.IntegerField):
            values[name] = min(max(60, entry.min_value or 0), entry.max_value or 60)
        elif isinstance(entry, forms.ChoiceField):
            values[name] = next(value for value, _ in entry.choices)
        elif isinstance(entry, forms.JSONField):
            values[name] = '{"some": "text"}'
        elif name != "reason":
            values[name] = "Some text"
    return values


def test_no_action_gives_a_row_away(world: World, visit: Visit):
    """What an action asks for beside its reason is chosen from one's own shops too."""
    before, tried = world.untouched(), 0
    for model, page in PAGES:
        for action in page.reason_actions:
            asked = action.form.base_fields.items() if action.form else ()
            for name, entry in [pair for pair in asked if isinstance(pair[1], forms.ModelChoiceField)]:
                tried += 1
                ids = [str(world.here.rows(model).first().pk)]
                told = {"action": action.name, "user": str(world.here.staff.pk), "ids": ids, "nonce": uuid4().hex}
                foreign = world.here.others(entry.queryset.model).first()
                values = _values(action.form, world) | {name: str(foreign.pk), "reason": "Because"}
                token = {"token": signing.dumps(told, salt=SALT)}
                assert visit.post(address(model, "act", action.name), token | values).status_code == 200, action
    assert (visit.leaks, tried > 0) == ([], True)
    assert world.untouched() == before


def test_an_outcome_is_its_authors_alone(world: World, visit: Visit):
    """The address of a report names no row, and still tells nobody else of any."""
    events = StripeEvent.objects.filter(shop_id=world.there.shop_id, status="dead")
    theirs = browser(world.there.staff)
    url = address(StripeEvent, "changelist")
    asked = theirs.post(url, {"action": "act_replay", "_selected_action": [row.pk for row in events]})
    found = TOKEN.search(asked.content.decode())
    assert found
    done = theirs.post(address(StripeEvent, "act", "replay"), {"token": found.group(1), "reason": "Ours to try"})
    assert events[0].event_id in theirs.get(done["Location"]).content.decode()
    visit.markers = world.markers()
    assert visit.get(done["Location"]).context["unknown"]
    assert visit.leaks == []


def test_no_form_offers_or_takes_a_row_of_others(world: World, visit: Visit):
    """Every relation of every form: its choices, and what happens when another shop's id is sent all the same."""
    before = world.untouched()
    looked = 0
    for model, page in PAGES:
        if page.shop_path is None:
            visit.hidden("GET", address(model, "add"))
            continue
        own = world.here.rows(model).first()
        for url in (address(model, "add"), address(model, "change", own.pk)):
            answer = visit.get(url)
            if answer.status_code != 200:
                continue
            data = filled(answer) | {"reason_for_change": "Mine now", "reason": "Mine now"}
            for form in forms_of(answer):
                for name, entry in form.fields.items():
                    if not isinstance(entry, forms.ModelChoiceField) or name == form._meta.model._meta.pk.name:
                        continue  # an inline's hidden id only names its row: see below
                    looked += 1
                    foreign = world.here.others(entry.queryset.model)
                    offered = set(entry.queryset.values_list("pk", flat=True))
                    if offered & set(foreign.values_list("pk", flat=True)):
                        visit.leaks.append(f"{url}: {form.add_prefix(name)} offers rows of others")
                    for row in foreign[:2]:
                        visit.post(url, data | {form.add_prefix(name): str(row.pk)})
    assert (visit.leaks, looked > 1) == ([], True)
    assert world.untouched() == before


def test_no_inline_takes_a_row_of_others(world: World, visit: Visit):
    """An existing row of an inline is named by its id: another shop's id is refused, whatever comes with it."""
    before = world.untouched()
    tried = 0
    for model, page in PAGES:
        if page.shop_path is None:
            continue
        own = world.here.rows(model).first()
        url = address(model, "change", own.pk)
        answer = visit.get(url)
        data = filled(answer) | {"reason_for_change": "Mine now"}
        for inline in answer.context["inline_admin_formsets"]:
            formset = inline.formset
            for row in world.here.others(formset.model)[:2]:
                tried += 1
                swapped = {
                    f"{formset.prefix}-TOTAL_FORMS": "1",
                    f"{formset.prefix}-INITIAL_FORMS": "1",
                    f"{formset.prefix}-0-{formset.model._meta.pk.name}": str(row.pk),
                    f"{formset.prefix}-0-{formset.fk.name}": str(own.pk),
                    f"{formset.prefix}-0-DELETE": "on",
                }
                visit.post(url, data | swapped)
    assert (visit.leaks, tried > 5) == ([], True)
    assert world.untouched() == before


def test_nothing_is_completed(world: World, visit: Visit):
    """Autocompletion of every relation of every model, offered by a page or not."""
    url, tried = reverse("admin:autocomplete"), 0
    for model, _ in PAGES:
        for entry in (*model._meta.fields, *model._meta.many_to_many):
            if not isinstance(entry, ForeignKey | ManyToManyField):
                continue
            tried += 1
            named = {
                "app_label": model._meta.app_label, "model_name": model._meta.model_name, "field_name": entry.name,
            }  # fmt: skip
            for term in ("", world.there.shop_id[:5]):
                answer = visit.get(url, {**named, "term": term})
                if answer.status_code == 200:
                    ids = {result["id"] for result in answer.json()["results"]}
                    foreign = world.here.others(entry.related_model).values_list("pk", flat=True)  # type: ignore[arg-type]
                    assert not ids & {str(pk) for pk in foreign}, named
    assert (visit.leaks, tried > 10) == ([], True)


def test_the_frame_shows_nothing_of_others(world: World, visit: Visit):
    """Dashboard, sidebar, lists of an app, search over all pages, and the redirect to an object's public page."""
    page = visit.get(reverse("admin:index"))
    assert [row["shop"].label for row in page.context["shops"]] == [world.here.trade.shop.name]
    assert "Reaper" not in {card.label for card in page.context["cards"]}
    cards = {card.label: card.value for card in page.context["cards"]}
    assert (cards["Orders today"], cards["Active holds"], cards["Dead letters"]) == ("1", "6", "1")
    for app in {model._meta.app_label for model, _ in PAGES}:
        visit.get(reverse("admin:app_list", args=[app]))
    for term in (world.there.shop_id, "evt_", "birch"):
        visit.get(reverse("admin:search"), {"s": term})
    names = {item["title"] for group in page.context["sidebar_navigation"] for item in group["items"]}
    assert not names & {"Stripe objects", "Users", "Groups", "Inventory runs"}
    assert visit.leaks == []


def test_every_address_of_the_back_office_is_tried_here():
    pages = {name for _, page in PAGES for name, _ in own_urls(page)}
    unknown = [
        route for route, pattern in routes()
        if route.startswith("admin/") and pattern.name not in pages and pattern.name not in ELSEWHERE
    ]  # fmt: skip
    # auth's own page for a user's password is one of its page's addresses.
    assert unknown == []


def test_members_of_both_see_both(world: World):
    """Nothing is hidden for being of two shops; and a membership that ended ends at once."""
    from tenants.models import Membership, Shop

    Membership.objects.create(user=world.here.staff, shop=world.there.trade.shop)
    client = browser(world.here.staff)
    url = address(Shop, "changelist")
    assert {row.pk for row in client.get(url).context["cl"].result_list} == {"alder-shop", "birch-shop"}
    Membership.objects.filter(user=world.here.staff).update(active=False)
    assert client.get(url).status_code == 403
