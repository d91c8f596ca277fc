"""The rates of a setup: created as drafts, or as successors of rates in force.

A file that is applied again with another rate and the day from which it applies supersedes the rate
in force. Its entry keeps its name in the file; the successor's id is the entry's with the day. A
rate that begins between two others ends as the later one begins.
"""

from dataclasses import replace

from server.domain.errors import InvalidArgument
from server.domain.ids import CODE, RateEntryId
from server.domain.modeling.catalog import StoredRecord
from server.domain.rating.rate_cards import CardSize, RateCardEntry, in_force
from server.store.connection import Transaction
from server.store.modeling import records
from server.store.rating import rate_entries as store
from server.store.rating.rate_entries import RATE_ENTRY
from server.usecases.catalog_changes.setup_days import with_end_of
from server.usecases.catalog_changes.setup_parts import SetupPart
from server.usecases.catalog_changes.succession import Succession, supersede
from server.usecases.modeling.edits import Record
from server.usecases.modeling.records import create
from server.usecases.rating.rate_entries import check_entering, check_entry


async def dated_entry(tx: Transaction, part: SetupPart[RateCardEntry]) -> SetupPart[RateCardEntry]:
    """Return the entry, with its first day in the id if its id is that of an earlier rate.

    Raises CODE_FORMAT if the id is too long for that.
    """
    wanted = part.content
    found = await records.find(tx, RATE_ENTRY, wanted.card_id, wanted.id)
    if found is None or wanted.start is None:
        return part
    begins_earlier = found.content.start is None or found.content.start < wanted.start
    if not begins_earlier:
        return part
    dated = RateEntryId(f"{wanted.id}-{wanted.start}")
    if CODE.fullmatch(dated) is None:
        fault = f"is too long to take the day of a new rate, as in {dated}; choose a shorter id"
        raise InvalidArgument.at(f"{part.path}.name", "CODE_FORMAT", fault)
    return replace(part, content=replace(wanted, id=dated))


async def create_rate(
    tx: Transaction, wanted: RateCardEntry, most: CardSize
) -> StoredRecord[RateCardEntry]:
    """Create an entry: the successor of the rate in force on its first day, or else a draft.

    Raises the errors of `check_entry`, `supersede` and `create`.
    """
    checked = await check_entry(tx, wanted, most)
    before = await _in_force_before(tx, checked)
    if before is None or await records.find(tx, RATE_ENTRY, wanted.card_id, wanted.id):
        return await create(tx, RATE_ENTRY, checked)
    assert wanted.start is not None, wanted
    successor = await with_end_of(tx, RATE_ENTRY, checked, before)
    succession = Succession(
        record=Record(kind=RATE_ENTRY, key=(before.card_id, before.id)),
        successor_id=wanted.id,
        start=wanted.start,
        merge=lambda _: successor,
        check_entering=check_entering,
    )
    return (await supersede(tx, succession)).successor


async def _in_force_before(tx: Transaction, wanted: RateCardEntry) -> RateCardEntry | None:
    """Return the active entry that prices the same and is in force as `wanted` begins."""
    start = wanted.start
    if start is None:
        return None
    for entry in await store.in_force(tx, [(wanted.product_id, wanted.resource_id)]):
        begins_earlier = entry.start is None or entry.start < start
        if entry.prices == wanted.prices and begins_earlier and in_force(None, entry.end, start):
            return entry
    return None
