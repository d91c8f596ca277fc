"""Edits of rate card entries: the changes and transitions that their state allows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from server.domain.batches import BatchOutcome
from server.domain.errors import FailedPrecondition, Violation
from server.domain.ids import RateCardId, RateEntryId
from server.domain.rating.rate_cards import (
    USUAL_SIZE,
    CardSize,
    EntryState,
    RateCardEntry,
    overlapping,
)
from server.domain.rating.rates import ONE
from server.store.access.tenants import bump_catalog
from server.store.connection import Transaction
from server.store.rating import rate_entries as store
from server.usecases.rating.rate_edits import check_etag
from server.usecases.rating.rate_entries import (
    EntryOutcome,
    check_sizes,
    checked_entry,
    get_entry,
    not_found,
)
from server.usecases.rating.rates import differences

DRAFT, ACTIVE, INACTIVE = EntryState.DRAFT, EntryState.ACTIVE, EntryState.INACTIVE
ALLOWED = {(DRAFT, ACTIVE), (DRAFT, INACTIVE), (ACTIVE, INACTIVE), (INACTIVE, ACTIVE)}


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRevision:
    """An entry that a caller names, and the last revision that the caller saw."""

    card_id: RateCardId
    id: RateEntryId
    revision: int | None = None

    @property
    def name(self) -> str:
        """The resource name."""
        return _name(self.card_id, self.id)


async def update(
    tx: Transaction,
    entry: EntryRevision,
    merge: Callable[[RateCardEntry], RateCardEntry],
    most: CardSize = USUAL_SIZE,
) -> RateCardEntry:
    """Replace the content of an entry by the result of `merge`.

    Raises RATE_CARD_ENTRY_NOT_FOUND, ETAG_MISMATCH, ACTIVE_IMMUTABLE, RATE_OVERLAP,
    LIMIT_RATE_CARD, and the errors of `merge` and of creating an entry.
    """
    found = await get_entry(tx, entry.card_id, entry.id)
    last = check_etag(entry.name, found.kept, entry.revision)
    wanted = merge(found)
    changed = differences(_comparable(wanted), _comparable(found))
    if not changed:
        return found
    _refuse_frozen(entry, found, wanted, changed)
    # Before the check for overlaps, which has to see the rates of a concurrent activation.
    catalog = await bump_catalog(tx) if found.state is ACTIVE else None
    wanted = await checked_entry(tx, wanted)
    if found.state is ACTIVE:
        await _refuse_overlaps(tx, [wanted])
    await store.save(tx, wanted, revision=last, catalog=catalog)
    if wanted.size > found.size:
        await check_sizes(tx, [wanted.card_id], most)
    return await get_entry(tx, entry.card_id, entry.id)


async def delete(tx: Transaction, entry: EntryRevision) -> None:
    """Delete an entry that is not active; sales have their own copy of the rate.

    Raises RATE_CARD_ENTRY_NOT_FOUND, ETAG_MISMATCH, IN_USE.
    """
    found = await get_entry(tx, entry.card_id, entry.id)
    check_etag(entry.name, found.kept, entry.revision)
    if found.state is ACTIVE:
        text = f"{entry.name} is active; ChangeRateCardEntryStates takes it out of force first"
        raise FailedPrecondition("IN_USE", text, {"name": entry.name, "state": found.state})
    await store.drop(tx, found)


async def change_states(
    tx: Transaction, entries: Sequence[EntryRevision], state: EntryState
) -> list[EntryOutcome]:
    """Activate or deactivate entries, all or none; returns each in its new state, in order.

    Raises RATE_CARD_ENTRY_NOT_FOUND, STATE_TRANSITION, RESOURCE_INACTIVE, RATE_OVERLAP.
    """
    # Serializes activations of rates, so that the second of two sees the rates of the first.
    catalog = await bump_catalog(tx)
    found = await store.find_all(tx, {(entry.card_id, entry.id) for entry in entries})
    moving = {}
    for entry in entries:
        there = found.get((entry.card_id, entry.id.lower()))
        if there is None or there.id != entry.id:
            raise not_found(entry.card_id, entry.id)
        if _is_to_move(there, state):
            moving[entry.name] = there
    ordered = sorted(moving.values(), key=lambda one: (one.card_id, one.id))
    if ordered and state is ACTIVE:
        await _refuse_inactive(tx, ordered)
        await _refuse_overlaps(tx, ordered)
    if ordered:
        await store.move(tx, ordered, state, catalog)
    found = await store.find_all(tx, {(entry.card_id, entry.id) for entry in entries})
    return [
        (
            found[entry.card_id, entry.id.lower()],
            BatchOutcome.CHANGED if entry.name in moving else BatchOutcome.UNCHANGED,
        )
        for entry in entries
    ]


def _is_to_move(found: RateCardEntry, state: EntryState) -> bool:
    """Return whether an entry changes its state. Raises STATE_TRANSITION if it may not."""
    if found.state is state:
        return False
    if (found.state, state) not in ALLOWED:
        facts = {"name": found.name, "from": str(found.state), "to": str(state)}
        text = f"{found.name} cannot go from {found.state} to {state}; create another"
        raise FailedPrecondition("STATE_TRANSITION", text, facts)
    return True


async def _refuse_inactive(tx: Transaction, entries: Sequence[RateCardEntry]) -> None:
    """Raise RESOURCE_INACTIVE if an entry's product, resource or selling model is not active."""
    found = await store.not_in_force(tx, entries)
    if not found:
        return
    violations = tuple(
        Violation(_name(card, entry), "RESOURCE_INACTIVE", f"{name} is not active")
        for card, entry, name in found
    )
    first, of = violations[0].field, found[0][2]
    how = "ActivateProduct or ChangeStates puts it in force"
    text = f"{first} is of {of}, which is not active; {how}"
    facts = {"name": of, "entry": first}
    raise FailedPrecondition("RESOURCE_INACTIVE", text, facts, violations)


async def _refuse_overlaps(tx: Transaction, entries: Sequence[RateCardEntry]) -> None:
    """Raise RATE_OVERLAP for an entry that shares days with another active one, naming both."""
    metered = {(entry.product_id, entry.resource_id) for entry in entries}
    found = overlapping(entries, await store.in_force(tx, sorted(metered)))
    if not found:
        return
    pairs = [(one.name, two.name) for one, two in found]
    violations = tuple(
        Violation(name, "RATE_OVERLAP", f"covers days that {other} covers") for name, other in pairs
    )
    name, other = pairs[0]
    text = f"{name} and {other} would both be in force on some days; end one before the other"
    raise FailedPrecondition("RATE_OVERLAP", text, {"name": name, "other": other}, violations)


def _comparable(entry: RateCardEntry) -> RateCardEntry:
    """Return an entry without `per` if it has a rate: there, `per` is only a copy of the rate's."""
    return entry if entry.rate is None else replace(entry, per=ONE)


def _refuse_frozen(
    entry: EntryRevision, found: RateCardEntry, wanted: RateCardEntry, changed: list[str]
) -> None:
    """Raise ACTIVE_IMMUTABLE for a change of a non-draft entry other than a later end."""
    applies_longer = (wanted.end or date.max) > (found.end or date.max)
    if found.state is DRAFT or (changed == ["end_date"] and applies_longer):
        return
    text = f"{entry.name} is {found.state}: only its end can move, to a later day; create another"
    facts = {"name": entry.name, "state": str(found.state), "fields": ", ".join(changed)}
    violations = (Violation(entry.name, "ACTIVE_IMMUTABLE", text),)
    raise FailedPrecondition("ACTIVE_IMMUTABLE", text, facts, violations)


def _name(card_id: RateCardId, entry_id: RateEntryId) -> str:
    return f"rateCards/{card_id}/entries/{entry_id}"
