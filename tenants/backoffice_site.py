"""The back office's site. A module of its own: Django makes it before pages may be imported."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from unfold.sites import UnfoldAdminSite

if TYPE_CHECKING:
    _AdminSite = admin.AdminSite  # unfold has no types
else:
    _AdminSite = UnfoldAdminSite


class Site(_AdminSite):
    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """Made when it is read. Every page is handed one, and few show it: the sidebar has a list of its own, and this
        one asks every table's permissions and addresses, which takes longer than most pages.
        """
        return SimpleLazyObject(partial(super().get_app_list, request, app_label))
