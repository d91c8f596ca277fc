"""Amend usage: stored records get new content, and leave and enter cells accordingly.

New content is checked as in recording, and goes to the cell of its own time, also in a final period
whose policy takes late usage, or while its asset is being loaded. A record keeps its id, and its
former content as a revision.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from server.domain.billing.causes import Cause
from server.domain.consumption.amendments import (
    AmendCode,
    Amendment,
    AmendOutcome,
    KnownRecord,
    after,
    amended,
    no_record,
    refused,
    settled,
)
from server.domain.consumption.intake import Intake
from server.domain.consumption.placement import KnownPeriods, place_of
from server.domain.consumption.recording import Counted, Outcome, RecordKey, Usage
from server.domain.consumption.uniques import as_counted
from server.domain.errors import UsageError
from server.domain.ids import CredentialId
from server.domain.limits import MOST_QUANTITY
from server.store.connection import Transaction
from server.store.consumption import amendments as store
from server.store.settlement import wallets
from server.store.transaction import Savepoint
from server.usecases.billing import pending
from server.usecases.intake import recounting
from server.usecases.intake.assets import with_assets
from server.usecases.intake.blocking import Placed, refuse_blocked
from server.usecases.intake.loadings import admit_old
from server.usecases.intake.recording import intake_of, late_usage_of, lock_open_periods
from server.usecases.intake.recounting import LockedValues
from server.usecases.intake.uniques import count_unique, refuse_uncounted

Outcomes = dict[int, AmendOutcome]


@dataclass(frozen=True, slots=True)
class AmendUsage:
    """Up to 1,000 records with their new content, each read or refused.

    A run amends in the name of the credential `by`, and never twice, so it `may_return` a record to
    content that it had before.
    """

    records: tuple[Usage | UsageError, ...]
    most_quantity: Decimal = MOST_QUANTITY
    by: CredentialId | None = None
    may_return: bool = False


async def amend(tx: Transaction, command: AmendUsage) -> tuple[AmendOutcome, ...]:
    """Amend the records that can be amended; outcomes are in the order of the records.

    Raises Aborted (CONCURRENT_CHANGE) only.
    """
    outcomes: Outcomes = {}
    usages: dict[int, Usage] = {}
    for index, item in enumerate(await with_assets(tx, command.records)):
        if isinstance(item, UsageError):
            outcomes[index] = refused(item)
        else:
            usages[index] = item
    if usages:
        intake = await intake_of(tx, usages.values(), command.most_quantity)
        await _amend_batch(tx, command, intake, usages, outcomes)
    return tuple(outcomes[index] for index in range(len(command.records)))


async def _amend_batch(
    tx: Transaction,
    command: AmendUsage,
    intake: Intake,
    usages: Mapping[int, Usage],
    outcomes: Outcomes,
) -> None:
    await admit_old(tx, intake, usages.values())
    known = await store.find_known(tx, {usage.key for usage in usages.values()})
    changes: dict[int, tuple[KnownRecord, Counted]] = {}
    firsts: dict[RecordKey, int] = {}
    repeats: dict[int, tuple[int, bool]] = {}
    for index, usage in usages.items():
        record = known.get(usage.key)
        if record is None:
            outcomes[index] = AmendOutcome(AmendCode.NOT_FOUND, no_record(usage.key))
            continue
        found = _assessed(intake, usage, record, command.may_return)
        if isinstance(found, AmendOutcome):
            outcomes[index] = found
        elif usage.key in firsts:
            first = firsts[usage.key]
            is_equal = changes[first][1].content_hash == found.content_hash
            repeats[index] = (first, is_equal)
        else:
            firsts[usage.key] = index
            changes[index] = (record, found)
    if changes:
        await _change(tx, intake, changes, outcomes, command.by)
    for index, (first, is_equal) in repeats.items():
        outcomes[index] = after(outcomes[first], is_equal, usages[index].record_id)


def _assessed(
    intake: Intake, usage: Usage, record: KnownRecord, may_return: bool
) -> Counted | AmendOutcome:
    """Return the new content as it counts, or the outcome if the record is left as it is."""
    try:
        found = intake.assess(usage)
    except UsageError as error:
        return refused(error)
    outcome = settled(found, record, may_return=may_return)
    if outcome is not None:
        return outcome
    assert isinstance(found, Counted), found
    return found


async def _change(
    tx: Transaction,
    intake: Intake,
    changes: Mapping[int, tuple[KnownRecord, Counted]],
    outcomes: Outcomes,
    by: CredentialId | None,
) -> None:
    """Place the new content, refuse what no period or wallet takes, and save the rest."""
    records = [record for record, _ in changes.values()]
    left_final = recounting.final_of(await recounting.lock_periods(tx, records))
    slots = {item.slot for _, item in changes.values()}
    opened = await lock_open_periods(tx, slots, intake.now)
    final = {one for one in slots if one.period_key not in opened}
    late = await late_usage_of(tx, final, intake)
    placed: dict[int, Amendment] = {}
    for index, (record, item) in changes.items():
        place = place_of(item, KnownPeriods(opened=opened, late=late))
        if isinstance(place, UsageError):
            outcomes[index] = refused(place)
        else:
            placed[index] = Amendment(record, item, place)
    if not placed:
        return
    left = {one.record.period_key for one in placed.values()} & left_final
    entered = {one.item.slot.period_key for one in placed.values()} & late.keys()
    # Before any cell is locked: corrections take the locks in this order.
    await pending.mark(tx, left | entered, Cause.AMEND)
    await _save_covered(tx, placed, outcomes, by)


async def _save_covered(
    tx: Transaction,
    placed: Mapping[int, Amendment],
    outcomes: Outcomes,
    by: CredentialId | None,
) -> None:
    """Refuse what no wallet covers, and save the rest."""
    before = await recounting.counted_before(tx, (one.record for one in placed.values()))
    values = await recounting.lock_values(tx, (*before, *(one.item for one in placed.values())))
    await _lock_blocking(tx, placed.values())
    locked = await recounting.lock_records(tx, (one.record for one in placed.values()))
    if any(record.is_voided for record in locked.values()):
        raise recounting.concurrent_change()
    await _refuse_uncovered(tx, placed, values, outcomes)
    left = {index: one for index, one in placed.items() if index not in outcomes}
    await _save(tx, list(left.values()), values, by)
    outcomes |= {index: amended(one) for index, one in left.items()}


async def _lock_blocking(tx: Transaction, amendments: Iterable[Amendment]) -> None:
    """Lock the wallets that may refuse the new content, in the order of their keys."""
    meters = (one.item.slot.meter for one in amendments)
    for key in sorted({(meter.account_id, one) for meter in meters for one in meter.blocking}):
        await wallets.lock(tx, *key)


async def _refuse_uncovered(
    tx: Transaction,
    placed: Mapping[int, Amendment],
    values: LockedValues,
    outcomes: Outcomes,
) -> None:
    """Refuse the amendments that raise usage beyond the grants of wallets that block."""
    asked = {
        index: one
        for index, one in placed.items()
        if one.item.slot.meter.blocking and not one.adds_nothing
    }
    while asked:
        found = await _uncovered(tx, asked, values)
        if not found:
            return
        outcomes |= {index: refused(error) for index, error in found.items()}
        # What is refused keeps its former content, for which the others have to leave room.
        asked = {index: one for index, one in asked.items() if index not in found}


async def _uncovered(
    tx: Transaction, asked: Mapping[int, Amendment], values: LockedValues
) -> dict[int, UsageError]:
    """Return the refusals of amendments that raise usage beyond grants, in the order of a call.

    What these records counted before is taken out first, on trial.
    """
    before = Savepoint(tx)
    await before.make()
    keys = {one.record.key for one in asked.values()}
    await store.void(tx, keys, "")
    cells = {(one.record.account_id, one.record.cell_id) for one in asked.values()}
    await recounting.recount(tx, values, keys, cells)
    tried: dict[int, Outcome] = {}
    # First what only moves, so that what others of the call add does not take its place.
    turns = sorted(asked.items(), key=lambda entry: not entry[1].is_no_more)
    new: list[Placed] = [(index, one.item, one.place) for index, one in turns]
    counting = await count_unique(tx, new)
    refuse_uncounted(counting, await refuse_blocked(tx, counting, tried), tried)
    await before.roll_back()
    return {index: one.error for index, one in tried.items() if one.error}


async def _save(
    tx: Transaction,
    amendments: list[Amendment],
    values: LockedValues,
    by: CredentialId | None,
) -> None:
    """Store the new content, and count again the values and cells that it leaves and enters."""
    # A unique value counts by what all records are, and only once all of them are stored.
    saved = [one._replace(item=as_counted(one.item, False)) for one in amendments]
    cells = {(one.record.account_id, one.record.cell_id) for one in saved}
    if saved:
        await store.add_empty_cells(tx, [one.place for one in saved])
        await store.amend(tx, saved, by)
        cells |= {(one.record.account_id, one.place.cell_id) for one in saved}
    await recounting.recount(tx, values, {one.record.key for one in saved}, cells)
