"""Record usage: one batch in one transaction, with an outcome for each record.

The order is fixed: lock the rating periods, place the records, store them, add the new ones to
their cells. Only a record that is stored for the first time counts. A batch can therefore be
repeated, split, reordered or sent concurrently without changing the result.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from server.domain.billing.causes import Cause
from server.domain.calendar import Period
from server.domain.consumption.intake import Intake
from server.domain.consumption.placement import (
    KnownPeriods,
    late_usage,
    places_of,
    takes_late,
)
from server.domain.consumption.recording import (
    OWN_UNIT,
    Counted,
    LateUsage,
    Meter,
    MeterKey,
    Outcome,
    PeriodKey,
    Place,
    RecordKey,
    Refused,
    Slot,
    Stored,
    Usage,
    duplicate_of,
    fold,
    kept,
    rejected,
    repeated,
)
from server.domain.consumption.uniques import CountedValue
from server.domain.errors import Aborted, UsageError
from server.domain.ids import UnitId
from server.domain.limits import MOST_QUANTITY
from server.store.access import tenants
from server.store.billing.periods import NewPeriod, open_missing
from server.store.connection import Transaction
from server.store.consumption import recording as store
from server.store.consumption.recording import PeriodState
from server.store.consumption.uniques import lock_cells, measure_again
from server.usecases.billing import pending
from server.usecases.intake.assets import with_assets
from server.usecases.intake.batch_parts import parts_of
from server.usecases.intake.blocking import Placed, refuse_blocked
from server.usecases.intake.loadings import admit_old, loaded_assets
from server.usecases.intake.uniques import count_unique, forget_unique, refuse_uncounted, take_over

# By index in the request: records that may count, and records that are refused unless they repeat a
# stored one.
Assessed = tuple[dict[int, Counted], dict[int, Refused]]


@dataclass(frozen=True, slots=True)
class RecordUsage:
    """Up to 1,000 records, each read or refused.

    `most_quantity` is the largest counted quantity of a record.
    """

    records: tuple[Usage | UsageError, ...]
    most_quantity: Decimal = MOST_QUANTITY


def parts(command: RecordUsage, accounts: int) -> list[dict[int, Usage | UsageError]]:
    """Return the records, by index, in parts of at most `accounts` accounts each.

    If a part fails, the parts before it stay stored; the whole request can be repeated.
    """
    return parts_of(command.records, lambda usage: usage.account_id, accounts)


async def record(tx: Transaction, command: RecordUsage) -> tuple[Outcome, ...]:
    """Store the records that can be stored; outcomes are in the order of the records.

    A record with the id and content of a stored one is a duplicate, whatever has changed since, and
    does not count again. Raises Aborted (CONCURRENT_CHANGE) only.
    """
    outcomes: dict[int, Outcome] = {}
    usages: dict[int, Usage] = {}
    for index, item in enumerate(await with_assets(tx, command.records)):
        if isinstance(item, UsageError):
            outcomes[index] = rejected(item)
        else:
            usages[index] = item
    if usages:
        intake = await intake_of(tx, usages.values(), command.most_quantity)
        await _record_batch(tx, intake, usages, outcomes)
    return tuple(outcomes[index] for index in range(len(command.records)))


async def intake_of(
    tx: Transaction,
    usages: Iterable[Usage],
    most_quantity: Decimal = MOST_QUANTITY,
) -> Intake:
    """Return the data for checking usage: the clock, the window, the meters, the named units."""
    keys: set[MeterKey] = set()
    named: set[UnitId] = set()
    for usage in usages:
        keys.add(usage.meter_key)
        named.add(usage.unit_id)
    clock = await tenants.clock(tx)
    meters = await store.find_meters(tx, keys)
    own = {meter.unit.id for meter in meters.values() if meter is not None}
    named.discard(OWN_UNIT)
    # The wallet's own unit comes with the meter, so a batch in that unit needs no second query.
    is_plain = not named or (len(own) == 1 and named == own)
    units = {} if is_plain else await store.find_units(tx, named)
    return Intake(clock.now, meters, units, most_quantity, clock.usage_window)


async def _record_batch(
    tx: Transaction,
    intake: Intake,
    usages: Mapping[int, Usage],
    outcomes: dict[int, Outcome],
) -> None:
    """Find the period of each record, decide the open cases, and store the rest."""
    await admit_old(tx, intake, usages.values())
    counted, refused = _assess(intake, usages, outcomes)
    slots = {item.slot for item in counted.values()}
    opened = await lock_open_periods(tx, slots, intake.now)
    late = {index: item for index, item in counted.items() if item.slot.period_key not in opened}
    handling: Mapping[PeriodKey, LateUsage] = {}
    if late or refused:
        # The repeat of a stored record corrects nothing, and is a duplicate even if it is too old
        # by now.
        known = await _find(tx, (*late.values(), *refused.values()))
        _settle_repeats(late, refused, known, outcomes)
        waiting = {item.slot for index, item in late.items() if index not in outcomes}
        handling = await late_usage_of(tx, waiting, intake)
    if handling:
        # Before any cell is locked: corrections take the locks in this order.
        await pending.mark(tx, handling, Cause.LATE)
    periods = KnownPeriods(opened=opened, late=handling)
    placed, replaced = _placed(counted, periods, outcomes), list[CountedValue]()
    if any(_depends(item) for _, item, _ in placed):
        placed, replaced = await take_over(tx, await _decide(tx, placed, outcomes))
    if replaced:
        # Before anything is added: what others add meanwhile is seen when cells are measured.
        await lock_cells(tx, replaced)
    await _keep(tx, placed, outcomes)
    if replaced:
        await measure_again(tx, replaced)


async def _decide(
    tx: Transaction, placed: list[Placed], outcomes: dict[int, Outcome]
) -> list[Placed]:
    """Count new values and refuse uncovered usage; of equal ids the first record decides."""
    known = await _find(tx, [item for _, item, _ in placed])
    new: dict[RecordKey, Placed] = {}
    repeats: dict[int, tuple[Counted, int]] = {}
    for index, item, place in placed:
        key = item.usage.key
        if key in known:
            outcomes[index] = repeated(item, known[key])
        elif key in new:
            repeats[index] = (item, new[key][0])
        else:
            new[key] = (index, item, place)
    # Before blocking: the counted quantity decides whether the grants cover a record.
    counting = await count_unique(tx, list(new.values()))
    left = await refuse_blocked(tx, counting, outcomes)
    left = refuse_uncounted(counting, left, outcomes)
    await forget_unique(tx, [entry for entry in counting if entry[0] in outcomes])
    for index, (item, first) in repeats.items():
        is_kept = first not in outcomes
        outcomes[index] = repeated(item, new[item.usage.key][1]) if is_kept else outcomes[first]
    return left


def _depends(item: Counted) -> bool:
    """Return whether stored data decides the counted quantity of a record, or its acceptance."""
    meter = item.slot.meter
    return bool(meter.blocking) or meter.unique_label is not None


def _assess(intake: Intake, usages: Mapping[int, Usage], outcomes: dict[int, Outcome]) -> Assessed:
    counted: dict[int, Counted] = {}
    refused: dict[int, Refused] = {}
    for index, usage in usages.items():
        try:
            found = intake.assess(usage)
        except UsageError as error:
            outcomes[index] = rejected(error)
            continue
        if isinstance(found, Counted):
            counted[index] = found
        else:
            refused[index] = found
    return counted, refused


def _settle_repeats(
    late: Mapping[int, Counted],
    refused: Mapping[int, Refused],
    known: Mapping[RecordKey, Stored],
    outcomes: dict[int, Outcome],
) -> None:
    for index, item in late.items():
        first = known.get(item.usage.key)
        if first is not None:
            outcomes[index] = repeated(item, first)
    for index, other in refused.items():
        first = known.get(other.usage.key)
        repeat = None if first is None else duplicate_of(other.content_hash, first)
        outcomes[index] = repeat or rejected(other.error)


def _placed(
    counted: Mapping[int, Counted], periods: KnownPeriods, outcomes: dict[int, Outcome]
) -> list[Placed]:
    """Return the records to store; late usage that no period takes is refused."""
    waiting = {index: item for index, item in counted.items() if index not in outcomes}
    found = []
    places = places_of(waiting.values(), periods)
    for (index, item), place in zip(waiting.items(), places, strict=True):
        if isinstance(place, Place):
            found.append((index, item, place))
        else:
            outcomes[index] = rejected(place)
    return found


async def _keep(
    tx: Transaction,
    placed: Iterable[Placed],
    outcomes: dict[int, Outcome],
) -> None:
    """Store the first record of each id, and add the new ones to their cells."""
    by_key: dict[RecordKey, list[Placed]] = {}
    for entry in placed:
        by_key.setdefault(entry[1].usage.key, []).append(entry)
    if not by_key:
        return
    # In the order of their keys: two batches with the same ids wait for each other and cannot
    # deadlock.
    firsts = [(item, place) for _, item, place in (by_key[key][0] for key in sorted(by_key))]
    new = await store.add_records(tx, firsts)
    # A concurrent batch stored this id after `_decide` had looked for it. What was decided for it
    # may be wrong, so the transaction starts again.
    if any(_depends(item) and item.usage.key not in new for item, _ in firsts):
        message = "a record of this id was kept at this moment; nothing happened, try again"
        raise Aborted("CONCURRENT_CHANGE", message, retry_after_seconds=0.1)
    met = (
        [item for item, _ in firsts if item.usage.key not in new] if len(new) < len(firsts) else []
    )
    known = await _find(tx, met)
    for key, entries in by_key.items():
        _, first, _ = entries[0]
        for index, item, place in entries:
            is_kept = item is first and key in new
            outcomes[index] = kept(place) if is_kept else repeated(item, known.get(key, first))
    if new:
        # Last, because locks go in the order periods, records, cells.
        cells = fold((place, item) for item, place in firsts if item.usage.key in new)
        await store.add_to_cells(tx, cells)
        gauges = [place for place, _ in cells if place.slot.meter.is_gauge]
        if gauges:
            await store.measure_gauges(tx, gauges)


async def _find(tx: Transaction, items: Iterable[Counted | Refused]) -> dict[RecordKey, Stored]:
    keys = {item.usage.key for item in items}
    return await store.find_records(tx, keys) if keys else {}


async def lock_open_periods(
    tx: Transaction, slots: Iterable[Slot], now: datetime
) -> set[PeriodKey]:
    """Return the open periods of `slots`, which stay open until this transaction commits.

    A missing period is opened, unless a later period of its wallet is closed: periods become final
    in order of time. Raises Aborted (CONCURRENT_CHANGE) if an asset is bound otherwise meanwhile.
    """
    found = list(slots)
    wanted = {slot.period_key: slot for slot in found}
    if not wanted:
        return set()
    locked = await store.lock_periods(tx, wanted)
    states = locked.states
    missing = {key: slot for key, slot in wanted.items() if key not in states}
    if missing:
        # Two phases: opening is serialized for each wallet first, and only then are the following
        # periods checked. Otherwise an older period could be opened while a newer one is being
        # closed.
        await store.queue_openers(tx, {slot.meter.wallet for slot in missing.values()})
        followers = await store.lock_followers(tx, missing)
        passed = {key for key, state in followers.items() if state is not PeriodState.OPEN}
        new = {key: slot for key, slot in missing.items() if key not in passed}
        await _open(tx, [(slot.meter, slot.period) for slot in new.values()], now)
        states |= (await store.lock_periods(tx, new)).states
    # Whoever binds an asset otherwise marks its open periods, and opens none: new ones are checked.
    if (locked.has_moved or missing) and await store.is_rebound(tx, found):
        raise rebound_meanwhile()
    return {key for key, state in states.items() if state is PeriodState.OPEN}


def rebound_meanwhile() -> Aborted:
    """Return the error for usage of an asset that is bound to another target at this moment."""
    message = "an asset was bound to another target at this moment; nothing happened, try again"
    return Aborted("CONCURRENT_CHANGE", message, retry_after_seconds=0.1)


async def late_usage_of(
    tx: Transaction, slots: Iterable[Slot], intake: Intake
) -> dict[PeriodKey, LateUsage]:
    """Return how usage of final periods is billed, where it is taken. Nothing is locked."""
    found = list(slots)
    rejecting = [slot for slot in found if not takes_late(slot)]
    loaded = await loaded_assets(tx, intake) if rejecting else frozenset()
    taken = [slot for slot in found if takes_late(slot) or slot.meter.asset_key in loaded]
    if not taken:
        return {}
    opened = await store.first_open(tx, {slot.meter.wallet for slot in taken})
    invoiced = await store.find_invoiced(tx, taken)
    return {
        slot.period_key: late_usage(
            slot,
            first_open=opened.get(slot.meter.wallet),
            is_invoiced=slot.period_key in invoiced,
            now=intake.now,
        )
        for slot in taken
    }


async def _open(tx: Transaction, wanted: Iterable[tuple[Meter, Period]], now: datetime) -> None:
    """Open periods, each with the job that closes it; the job of an old period is due at once."""
    # One order in every transaction, so that concurrent openers do not deadlock.
    turns = sorted(wanted, key=lambda pair: (*pair[0].wallet, pair[1].start))
    periods = [
        NewPeriod(
            account_id=meter.account_id,
            wallet_id=meter.wallet_id,
            period=period,
            freeze_time=max(now, meter.freeze_time(period)),
        )
        for meter, period in turns
    ]
    await open_missing(tx, periods)
