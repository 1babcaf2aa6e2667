"""Ways into the journal from whatever shows its accounts."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from django.utils.html import format_html

from commerce.ledger.accounts import title_of
from commerce.models import JournalEntry
from tenants.display import list_url

LINK: Final = '<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>'


def entries_link(shop_id: str, account: str) -> str:
    """The account's title, leading to everything that was booked on it for the shop."""
    query = urlencode({"shop__id__exact": shop_id, "account": account})
    return format_html(LINK, list_url(JournalEntry, query), title_of(account))
