"""What lists of commerce and of what builds on it share: keys to search by, filters that last, saved views."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from tenants.backoffice import ModelAdmin, link_to

M = TypeVar("M", bound=Model)


class KeySearch(ModelAdmin[M]):
    """Search by whole keys. A term's shape says which key it is, so that one index answers, whatever the table's size:
    a search over several columns at once reads all rows as soon as one of them has no index.
    """

    # Counting every choice of every filter reads the whole table several times.
    show_facets = admin.ShowFacets.NEVER
    ordering_of_one_shop: tuple[str, ...] | None = None
    """How rows are sorted while one shop's are shown, which have an index of their own."""

    @admin.display(description="Order")
    def order_link(self, row: Any) -> str:
        """The column of lists whose rows belong to an order."""
        return link_to(row.order)

    def get_ordering(self, request: HttpRequest) -> Any:
        if self.ordering_of_one_shop and "shop__id__exact" in request.GET:
            return self.ordering_of_one_shop
        return super().get_ordering(request)

    @abstractmethod
    def key(self, term: str) -> Q:
        """What `term` names. Never called with an empty term."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[M], search_term: str
    ) -> tuple[QuerySet[M], bool]:
        term = search_term.strip()
        return (queryset.filter(self.key(term)) if term else queryset), False


def as_uuid(term: str) -> UUID | None:
    try:
        return UUID(term)
    except ValueError:
        return None


NOTHING = Q(pk__in=[])


class LastingFilter(admin.SimpleListFilter):
    """A filter of our own that survives the filters' form: unfold repeats in it what `lookup_val` says."""

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: type[Model], model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.lookup_kwarg = self.parameter_name
        self.lookup_val = [self.value()]


def saved_view(label: str, query: str, *, name: str) -> Callable[..., HttpResponse]:
    """A button above a list that leads to the list filtered by `query`. Name it in `actions_list`."""

    def lead(self: Any, request: HttpRequest) -> HttpResponse:
        meta = self.model._meta
        url = reverse(f"{self.admin_site.name}:{meta.app_label}_{meta.model_name}_changelist")
        return HttpResponseRedirect(f"{url}?{query}")

    # What unfold reads from an action's function.
    vars(lead).update(short_description=label, url_path=f"view-{name}", attrs={}, icon=None, variant="default")
    return lead
