"""Changes of state of rate card entries, many at a time."""

from collections.abc import Iterable, Sequence

from server.domain.batches import BatchOutcome
from server.domain.errors import FailedPrecondition
from server.domain.modeling.catalog import CatalogState, StoredRecord
from server.domain.rating.rate_cards import RateCardEntry
from server.store.access.tenants import bump_catalog
from server.store.connection import Transaction
from server.store.modeling import used_records
from server.store.modeling.records import not_found
from server.store.rating import rate_entries as store
from server.store.rating.rate_entries import RATE_ENTRY
from server.usecases.modeling.edits import Record
from server.usecases.rating.rate_entries import EntryOutcome, refuse_inactive, refuse_overlaps

DRAFT, ACTIVE, INACTIVE = CatalogState.DRAFT, CatalogState.ACTIVE, CatalogState.INACTIVE
ALLOWED = {
    (DRAFT, ACTIVE),
    (DRAFT, INACTIVE),
    (ACTIVE, INACTIVE),
    (INACTIVE, ACTIVE),
    (INACTIVE, DRAFT),
}


async def change_states(
    tx: Transaction, entries: Sequence[Record[RateCardEntry]], state: CatalogState
) -> list[EntryOutcome]:
    """Activate or deactivate entries, all or none; returns each in its new state, in order.

    Raises RATE_CARD_ENTRY_NOT_FOUND, STATE_TRANSITION, RESOURCE_INACTIVE, RATE_OVERLAP.
    """
    # Serializes activations of rates, so that the second of two sees the rates of the first.
    catalog = await bump_catalog(tx)
    found = await _find(tx, entries)
    moving = {name: record for name, record in found.items() if _is_to_move(record, state)}
    ordered = [moving[name] for name in sorted(moving)]
    if ordered and state is ACTIVE:
        contents = [record.content for record in ordered]
        await refuse_inactive(tx, contents)
        await refuse_overlaps(tx, contents)
    if state is DRAFT:
        await _refuse_sold(tx, moving)
    if ordered:
        await store.move(tx, ordered, state, catalog)
        found = await _find(tx, entries)
    return [
        (
            found[entry.name],
            BatchOutcome.CHANGED if entry.name in moving else BatchOutcome.UNCHANGED,
        )
        for entry in entries
    ]


async def _find(
    tx: Transaction, entries: Sequence[Record[RateCardEntry]]
) -> dict[str, StoredRecord[RateCardEntry]]:
    """Return entries by name. Raises RATE_CARD_ENTRY_NOT_FOUND."""
    found = await store.find_all(tx, (entry.key for entry in entries))
    by_name = {record.content.name: record for record in found.values()}
    for entry in entries:
        if entry.name not in by_name:
            raise not_found(RATE_ENTRY, *entry.key)
    return by_name


def _is_to_move(record: StoredRecord[RateCardEntry], state: CatalogState) -> bool:
    """Return True if an entry changes its state. Raises STATE_TRANSITION if it may not."""
    if record.state is state:
        return False
    if (record.state, state) not in ALLOWED:
        name = record.content.name
        facts = {"name": name, "from": str(record.state), "to": str(state)}
        text = f"{name} cannot go from {record.state} to {state}; make it INACTIVE first"
        raise FailedPrecondition("STATE_TRANSITION", text, facts)
    return True


async def _refuse_sold(tx: Transaction, names: Iterable[str]) -> None:
    """Raise STATE_TRANSITION for an entry that was sold, and so cannot become a draft."""
    sold = await used_records.used(tx, names)
    if sold:
        text = f"{sold[0]} was quoted or sold; create another, or supersede it"
        facts = {"name": sold[0], "from": str(INACTIVE), "to": str(DRAFT)}
        raise FailedPrecondition("STATE_TRANSITION", text, facts)
