"""Count again after records changed: unique values and cells.

Whoever changes stored records locks their periods first, marks those that are final, and then locks
the values and the records. The cells are locked last and measured from all records that are left.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from server.domain.consumption.amendments import KnownRecord, counted_again
from server.domain.consumption.recording import Counted, PeriodKey, RecordKey
from server.domain.consumption.uniques import CountedValue, UniqueValue, unique_value
from server.domain.errors import Aborted
from server.store.connection import Transaction
from server.store.consumption import amendments as store
from server.store.consumption import recording, uniques
from server.store.consumption.amendments import CellKey, LockedRecord
from server.store.consumption.recording import PeriodState


@dataclass(frozen=True, slots=True)
class LockedValues:
    """Locked unique values, each with a record that has it, and the records that count them."""

    items: Mapping[UniqueValue, Counted]
    holders: Mapping[UniqueValue, CountedValue]


async def lock_periods(
    tx: Transaction, records: Iterable[KnownRecord]
) -> dict[PeriodKey, PeriodState]:
    """Lock the rating periods of records; return the state of each.

    Raises Aborted (CONCURRENT_CHANGE) if usage of them moves to another wallet meanwhile.
    """
    known = list(records)
    locked = await recording.lock_periods(tx, {record.period_key for record in known})
    if locked.has_moved:
        again = await store.find_known(tx, [record.key for record in known])
        if any(again[record.key].period_key != record.period_key for record in known):
            raise concurrent_change()
    return locked.states


def final_of(states: Mapping[PeriodKey, PeriodState]) -> set[PeriodKey]:
    """Return the periods that are final."""
    return {key for key, state in states.items() if state is not PeriodState.OPEN}


async def counted_before(tx: Transaction, records: Iterable[KnownRecord]) -> list[Counted]:
    """Return stored records as they were counted."""
    known = list(records)
    meters = await recording.find_meters(tx, {record.meter_key for record in known})
    found = ((record, meters[record.meter_key]) for record in known)
    return [counted_again(record, meter) for record, meter in found if meter is not None]


async def lock_values(tx: Transaction, items: Iterable[Counted]) -> LockedValues:
    """Lock the unique values of records; the new ones are stored, and nobody counts them yet."""
    found = ((unique_value(item), item) for item in items)
    by_value = {value: item for value, item in found if value is not None}
    if not by_value:
        return LockedValues({}, {})
    holders = await uniques.lock(tx, [(item, value) for value, item in by_value.items()])
    new = [(item, value) for value, item in by_value.items() if value not in holders]
    if new:
        await uniques.add(tx, new)
        added = await uniques.lock(tx, new)
        # Another transaction may have stored the value between both statements.
        holders |= {
            value: added[value]
            for item, value in new
            if added[value].record_id != item.usage.record_id
        }
    return LockedValues(by_value, holders)


async def lock_records(
    tx: Transaction, records: Iterable[KnownRecord]
) -> dict[RecordKey, LockedRecord]:
    """Lock records. Raises Aborted (CONCURRENT_CHANGE) if one was amended since it was read."""
    known = {record.key: record for record in records}
    locked = await store.lock_records(tx, known)
    if any(locked[key].revision != record.stored.revision for key, record in known.items()):
        raise concurrent_change()
    return locked


def concurrent_change() -> Aborted:
    """Return the error for a record that another transaction changed since it was read."""
    message = "a record was amended or voided at this moment; nothing happened, try again"
    return Aborted("CONCURRENT_CHANGE", message, retry_after_seconds=0.1)


async def recount(
    tx: Transaction, values: LockedValues, changed: Iterable[RecordKey], cells: Iterable[CellKey]
) -> None:
    """Count the values again, and measure cells, after some records changed.

    The earliest record of a value counts it. Source: R31.
    """
    touched = await _recount(tx, values, set(changed)) if values.items else set()
    measured = touched | set(cells)
    if measured:
        # Before they are measured: usage that others add meanwhile is added to the new measures.
        await uniques.lock_cells_of(tx, measured)
        await store.measure_cells(tx, measured)


async def _recount(tx: Transaction, values: LockedValues, changed: set[RecordKey]) -> set[CellKey]:
    """Let the earliest record of each value count it; return the cells that count otherwise now."""
    asked = [(item, value) for value, item in values.items.items()]
    firsts = await uniques.find_first(tx, asked)
    given, gone = [], []
    ones: set[CountedValue] = set()
    former: set[CountedValue] = set()
    for one in asked:
        first, holder = firsts.get(one[1]), values.holders.get(one[1])
        if first is None:
            gone.append(one)
        elif holder is None or first.record_id != holder.record_id:
            given.append((one, first))
            ones.add(first)
            former |= {holder} if holder else set()
        elif _key(first) in changed:
            ones.add(first)
    if gone:
        await uniques.drop(tx, gone)
    if given:
        await uniques.give(tx, given)
    counting = {_key(first) for first in ones}
    # A changed record counts what its new content says, and a voided one keeps what it counted.
    former = {holder for holder in former if _key(holder) not in changed | counting}
    await uniques.count(tx, one=counting, none=map(_key, former))
    return {(one.account_id, one.cell_id) for one in ones | former}


def _key(counted: CountedValue) -> RecordKey:
    return counted.account_id, counted.record_id
