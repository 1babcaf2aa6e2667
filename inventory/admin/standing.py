"""Why something is available, or isn't: what is on hand, who holds how much of it, and what becomes of each hold.

Two queries, whatever the number of holders: who holds the row's units, and what stands behind those holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Model
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from inventory.availability import state_of
from inventory.errors import Holder
from inventory.models import Hold, InventoryRun, StockRow
from inventory.release_guard import HoldStory, release_guard
from inventory.stock import holders_of
from tenants.display import EMPTY, Tone, badge, duration, list_url, time_left
from tenants.panels import User, mono, reader_link, table

STATES: Final[dict[str, tuple[str, Tone]]] = {
    "in_stock": ("In stock", "good"),
    "low": ("Low", "warn"),
    "out": ("Out", "bad"),
}
LISTED: Final = 50
BY_THE_REAPER: Final = "The reaper puts the units back on sale, within a minute."
HEAD: Final = ("Units", "Hold", "Held for", "Time left", "Behind it", "When its time is up")


def explain_row(row: StockRow, reader: User) -> SafeString:
    """The panel on a stock row's page: figures that add up, then every holder."""
    holders = holders_of(owner_id=row.owner_id, stock_row_id=row.pk, limit=LISTED)
    stories = stories_of([holder.hold_id for holder in holders])
    return format_html(
        '<div class="p-3">{}<p class="mt-2">{}</p></div>{}',
        figures(row),
        why(row, holders),
        who(row, holders, stories, reader),
    )


def figures(row: StockRow) -> SafeString:
    return format_html(
        '<p class="text-xl font-semibold">{} on hand − {} held = {} available {}</p>',
        row.on_hand,
        row.held,
        row.available,
        badge(*STATES[state_of(available=row.available, threshold=row.low_stock_threshold)]),
    )


def why(row: StockRow, holders: Sequence[Holder]) -> SafeString | str:
    """One sentence for whoever is asked by a customer."""
    if row.available > 0:
        low = f" Low at and below {row.low_stock_threshold}." if row.low_stock_threshold else ""
        return f"Customers can buy {row.available} now.{low}"
    if not row.on_hand:
        return "There is nothing on hand: the history below says where it went."
    if not holders:
        return "Every unit on hand is held."
    first = holders[0].expires_at
    if first <= timezone.now():
        return "Every unit on hand is held. The first hold's time is up: the reaper looks at it within a minute."
    return format_html("Every unit on hand is held. The first hold's time is up {}.", time_left(first))


def who(row: StockRow, holders: Sequence[Holder], stories: Mapping[UUID, HoldStory], reader: User) -> SafeString | str:
    """The holders as a table whose units add up to `held`, or that says that they don't."""
    if not row.held and not holders:
        return format_html('<p class="p-3">{}</p>', "Nobody holds any of it.")
    rows: list[tuple[object, ...]] = [
        (
            holder.quantity,
            reader_link(reader, Hold(pk=holder.hold_id), short(holder.hold_id)),
            _held_for(holder, row),
            time_left(holder.expires_at),
            _in_a_cell(stories.get(holder.hold_id), reader),
            then(stories.get(holder.hold_id)),
        )
        for holder in holders
    ]
    listed = sum(holder.quantity for holder in holders)
    if len(holders) == LISTED and row.held > listed:
        rows.append((row.held - listed, "in further holds", "", "", "", f"The {LISTED} that end first are listed."))
    elif listed != row.held:
        runs = list_url(InventoryRun, "kind__exact=verify")
        rows.append((row.held - listed, "explained by no hold", "", "", "", format_html("{}", _proof(runs))))
    rows.append(
        (format_html("<strong>{}</strong>", row.held), format_html("<strong>{}</strong>", "held"), "", "", "", "")
    )
    return table(HEAD, rows, right={0}, whole={0, 1, 3, 4})


def _held_for(holder: Holder, row: StockRow) -> str:
    """Of a pool's units it is told which shop holds them."""
    label = str(Hold.HeldFor(holder.held_for).label)
    return label if holder.shop_id == row.owner_id else f"{label}, {holder.shop_id}"


def _proof(runs: str | None) -> SafeString | str:
    said = "A defect: the nightly stock proof reports it, and nothing is repaired by itself."
    return said if runs is None else format_html('{} <a href="{}">Runs</a>', said, runs)


def stories_of(hold_ids: Sequence[UUID]) -> Mapping[UUID, HoldStory]:
    return release_guard().tell(hold_ids=hold_ids) if hold_ids else {}


def behind(story: HoldStory | None, reader: User) -> SafeString | str:
    """Links to what stands behind a hold."""
    if story is None:
        return "Placed directly"
    links = [(reader_link(reader, row, f"{_kind(row)} {_name(row)}"),) for row in story.rows]
    return format_html_join(SafeString("<br>"), "{}", links) or EMPTY


def _in_a_cell(story: HoldStory | None, reader: User) -> SafeString | str:
    """As `behind`, with the end of the session's id: all of it would be as wide as the rest of the table."""
    if story is None or not story.session:
        return behind(story, reader)
    shown = format_html('<span title="{}">Session …{}</span>', story.session, story.session[-12:])
    return format_html("{}<br>{}", behind(story, reader), session(story, shown))


def session(story: HoldStory, shown: SafeString | None = None) -> SafeString | str:
    """The payment session: a link where the provider has a page for it."""
    if not story.session:
        return EMPTY
    if story.session_url is None:
        return shown or mono(story.session)
    return format_html(
        '<a href="{}" target="_blank" rel="noopener noreferrer">{} ↗</a>', story.session_url, shown or story.session
    )


def then(story: HoldStory | None) -> str:
    return BY_THE_REAPER if story is None else story.then


def short(hold_id: UUID) -> str:
    """Ids of one minute begin alike: their ends tell them apart."""
    return f"…{str(hold_id)[-12:]}"


def _kind(row: Model) -> str:
    name = str(row._meta.verbose_name)
    return name[:1].upper() + name[1:]


def _name(row: object) -> str:
    """A number where the row has one, the end of its id where it is a UUID."""
    text = str(row)
    return f"…{text[-12:]}" if len(text) == 36 else text


def in_words(holder: Holder, *, now: datetime) -> str:
    """`3 in hold …9f31, which ends in 12 min`."""
    left = (holder.expires_at - now).total_seconds()
    ends = f"ends in {duration(left)}" if left >= 0 else f"was due {duration(-left)} ago"
    return f"{holder.quantity} in hold {short(holder.hold_id)}, which {ends}"
