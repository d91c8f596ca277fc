"""The writes of recording: meters, rating periods, usage records and cells.

Every statement that locks or writes several rows does so in the byte order of their keys, so that
concurrent batches cannot deadlock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from server.domain.caches import memoize
from server.domain.calendar import (
    Delay,
    DelayUnit,
    PolicyPeriod,
    RatingPeriod,
    local_midnight,
)
from server.domain.consumption.cells import Measure
from server.domain.consumption.recording import (
    NONE_EARLIER,
    Counted,
    ExternalKey,
    Meter,
    MeterKey,
    PeriodKey,
    Place,
    RecordKey,
    Slot,
    Stored,
    Usage,
    WalletKey,
)
from server.domain.ids import AccountId, AssetId, RecordId, UnitClassId, UnitId, WalletId
from server.domain.modeling.policies import AggregationMethod, LatePolicy, RatingFrequency
from server.domain.modeling.units import Unit
from server.store.connection import Transaction
from server.store.documents import TEXTS
from server.store.sql import load

SQL = load("consumption/recording.sql")

# Joins the texts of a column into one argument: the driver encodes arrays item by item, which
# costs a fifth of the whole statement. No id, number or unit contains this character.
JOINT = "\x1f"


class PeriodState(StrEnum):
    """The state of a rating period; only an open period takes usage."""

    OPEN = "OPEN"
    FROZEN = "FROZEN"
    FINAL = "FINAL"


@dataclass(frozen=True, slots=True)
class LockedPeriods:
    """The states of locked periods; with `has_moved`, usage of some was moved to other wallets."""

    states: dict[PeriodKey, PeriodState]
    has_moved: bool


async def find_meters(tx: Transaction, keys: Iterable[MeterKey]) -> dict[MeterKey, Meter | None]:
    """Return the meters that exist; None where the asset exists but not with that resource."""
    rows = await tx.fetch(SQL["find_meters"], tx.tenant_id, *columns(keys, 3), False)
    found = {_meter_key(row): _meter(row) for row in rows if row["is_asset"]}
    # Few assets were ever bound otherwise, so this costs others nothing.
    rebound = {key: meter for key, meter in found.items() if meter is not None and meter.bound_time}
    if rebound:
        rows = await tx.fetch(SQL["find_meters"], tx.tenant_id, *columns(rebound, 3), True)
        former = {_meter_key(row): _meter(row) for row in rows}
        found |= {key: replace(meter, former=former[key]) for key, meter in rebound.items()}
    return found


async def find_external_assets(
    tx: Transaction, keys: Iterable[ExternalKey]
) -> dict[ExternalKey, AssetId]:
    """Return the assets that exist, by account and external id."""
    rows = await tx.fetch(SQL["find_external_assets"], tx.tenant_id, *columns(keys, 2))
    return {(row["account_id"], row["external_id"]): row["asset_id"] for row in rows}


async def find_units(
    tx: Transaction, unit_ids: Iterable[UnitId]
) -> dict[UnitId, tuple[Unit, bool]]:
    """Return the units that exist, each with True if it is active."""
    rows = await tx.fetch(SQL["find_units"], tx.tenant_id, sorted(unit_ids))
    return {
        UnitId(row["unit_of_measure_id"]): (_unit(row), row["state"] == "ACTIVE") for row in rows
    }


async def lock_periods(tx: Transaction, keys: Iterable[PeriodKey]) -> LockedPeriods:
    """Lock the periods that exist against a state change; return the state of each."""
    # FOR SHARE: many recordings may hold a period open at once; freezing it waits for all of them.
    rows = await tx.fetch(SQL["lock_periods"], tx.tenant_id, *columns(keys, 3))
    states = {_period_key(row): PeriodState(row["state"]) for row in rows}
    return LockedPeriods(states, has_moved=any(row["has_moved"] for row in rows))


async def is_rebound(tx: Transaction, slots: Iterable[Slot]) -> bool:
    """Return whether usage of some slots draws on other wallets than when they were read."""
    keys = {
        (one.account_id, one.asset_id, one.resource_id, one.wallet_id, slot.day.start)
        for slot, one in ((slot, slot.meter) for slot in slots)
    }
    return bool(await tx.fetchval(SQL["rebound"], tx.tenant_id, *columns(keys, 5)))


async def queue_openers(tx: Transaction, wallets: Iterable[WalletKey]) -> None:
    """Wait for every other transaction that is opening periods of these wallets."""
    # Advisory locks take 64-bit keys. Wallets that share this half of their ids wait needlessly.
    keys = {int.from_bytes(wallet_id.bytes[8:], signed=True) for _, wallet_id in wallets}
    await tx.execute(SQL["queue_openers"], sorted(keys))


async def lock_followers(
    tx: Transaction, keys: Iterable[PeriodKey]
) -> dict[PeriodKey, PeriodState]:
    """Lock the first period after each of `keys`, if there is one; return its state."""
    # Settlement goes in time order: a period cannot be opened once a later one is closed.
    rows = await tx.fetch(SQL["lock_followers"], tx.tenant_id, *columns(keys, 3))
    return {_period_key(row): PeriodState(row["state"]) for row in rows}


async def first_open(
    tx: Transaction, wallets: Iterable[WalletKey]
) -> dict[WalletKey, RatingPeriod]:
    """Return the first open period of each wallet that has one."""
    rows = await tx.fetch(SQL["first_open"], tx.tenant_id, *columns(wallets, 2))
    return {
        (row["account_id"], row["wallet_id"]): RatingPeriod(
            row["start_time"], row["end_time"], row["freeze_time"]
        )
        for row in rows
    }


async def find_invoiced(tx: Transaction, slots: Iterable[Slot]) -> set[PeriodKey]:
    """Return those of the slots' periods whose billing period has a line in an invoice."""
    keys = {(*slot.period_key, slot.period.end) for slot in slots}
    rows = await tx.fetch(SQL["find_invoiced"], tx.tenant_id, *columns(keys, 4))
    return {_period_key(row) for row in rows}


async def add_records(tx: Transaction, items: Sequence[tuple[Counted, Place]]) -> set[RecordKey]:
    """Insert the records whose ids are free, each with its cell; return their keys."""
    usages = [item.usage for item, _ in items]
    rows = await tx.fetch(
        SQL["add_records"],
        tx.tenant_id,
        JOINT.join([usage.account_id for usage in usages]),
        JOINT.join([usage.record_id for usage in usages]),
        [place.cell_id for _, place in items],
        [usage.asset_id for usage in usages],
        JOINT.join([usage.resource_id for usage in usages]),
        JOINT.join([item.sent_text for item, _ in items]),
        JOINT.join([item.unit_id for item, _ in items]),
        JOINT.join([item.counted_text for item, _ in items]),
        [usage.time for usage in usages],
        [labels_text(usage) for usage in usages],
        [item.content_hash for item, _ in items],
    )
    return {(AccountId(row[0]), RecordId(row[1])) for row in rows}


async def find_records(tx: Transaction, keys: Iterable[RecordKey]) -> dict[RecordKey, Stored]:
    """Return the records that exist, by key."""
    rows = await tx.fetch(SQL["find_records"], tx.tenant_id, *columns(keys, 2))
    return {(row["account_id"], row["record_id"]): stored_of(row) for row in rows}


async def add_to_cells(tx: Transaction, cells: Sequence[tuple[Place, Measure]]) -> None:
    """Merge measures into cells; create the cells that do not exist."""
    columns = zip(*(_cell(place, measure) for place, measure in cells), strict=True)
    # A column has one type, so the first row tells whether it is joined as text.
    values = [JOINT.join(c) if isinstance(c[0], str) else c for c in columns]
    await tx.execute(SQL["add_to_cells"], tx.tenant_id, *values)


async def measure_gauges(tx: Transaction, places: Iterable[Place]) -> None:
    """Measure what gauges held in some cells, which new records were added to."""
    keys = {(place.slot.meter.account_id, place.cell_id) for place in places}
    await tx.execute(SQL["measure_gauges"], tx.tenant_id, *columns(keys, 2))


def columns(keys: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Return the columns of the distinct keys, sorted."""
    # The queries lock rows in this order, the same for all batches.
    rows = sorted(set(keys))
    return [[row[column] for row in rows] for column in range(width)]


def _meter_key(row: Any) -> MeterKey:
    return row["account_id"], row["asset_id"], row["usage_resource_id"]


def _period_key(row: Any) -> PeriodKey:
    return row["account_id"], row["wallet_id"], row["start_time"]


def _cell(place: Place, measure: Measure) -> tuple[Any, ...]:
    slot, meter = place.slot, place.slot.meter
    return (
        meter.account_id,
        place.cell_id,
        meter.wallet_id,
        meter.asset_id,
        meter.resource_id,
        slot.day.start,
        slot.day.end,
        slot.period.start,
        measure.count,
        str(measure.sum),
        str(measure.max),
        str(measure.min),
        str(measure.last),
        measure.last_time,
        measure.last_record_id,
        place.dimensions,
        place.ratio.numerator,
        place.ratio.denominator,
    )


def _meter(row: Any) -> Meter | None:
    if row["wallet_id"] is None:
        return None
    return Meter(
        account_id=row["account_id"],
        asset_id=row["asset_id"],
        resource_id=row["usage_resource_id"],
        wallet_id=row["wallet_id"],
        unit=_unit(row),
        zone=row["time_zone"],
        anchor=row["anchor_date"],
        service_start=local_midnight(row["time_zone"], row["start_date"]),
        frequency=_frequency(row["rating_period"], row["waiting_days"], row["waiting_hours"]),
        late_policy=_LATE[row["late_policy"]],
        is_hourly=row["aggregation_period"] == "HOUR",
        is_gauge=row["aggregation_method"] == AggregationMethod.TIME_WEIGHTED,
        blocking=_blocking(row),
        dimensions=tuple(row["dimensions"]),
        unique_label=row["aggregation_label"],
        unique_period=PolicyPeriod(row["aggregation_period"]),
        start=row["start_time"],
        end=row["end_time"],
        bound_time=row["bound_time"],
    )


def _blocking(row: Any) -> tuple[WalletId, ...]:
    own = (row["wallet_id"],) if row["is_blocking"] else ()
    return own if row["blocking_tokens"] is None else (*own, row["blocking_tokens"])


def _unit(row: Any) -> Unit:
    return _unit_of(
        row["unit_of_measure_id"],
        row["unit_class_id"],
        row["factor"],
        row["divisor"],
        row["scale"],
    )


# A batch of a thousand meters shares a few units and frequencies, so each is built once.
@memoize(entries=1_024, entry_bytes=1_024)
def _unit_of(
    unit_id: UnitId, class_id: UnitClassId, factor: Decimal, divisor: Decimal, scale: int
) -> Unit:
    return Unit(id=unit_id, class_id=class_id, factor=factor, divisor=divisor, scale=scale)


@memoize(entries=1_024, entry_bytes=1_024)
def _frequency(period: str, days: int | None, hours: int | None) -> RatingFrequency:
    delay = Delay(days, DelayUnit.DAYS) if days is not None else Delay(hours or 0, DelayUnit.HOURS)
    return RatingFrequency(period=PolicyPeriod(period), delay=delay)


_LATE = {policy.value: policy for policy in LatePolicy}


def labels_text(usage: Usage) -> str | None:
    """Return the labels of a usage as JSON; None if there are none."""
    return None if usage.labels is None else TEXTS.encode(dict(usage.labels))


def stored_of(row: Any) -> Stored:
    """Return the record of a row."""
    return Stored(
        row["asset_id"],
        row["usage_resource_id"],
        row["quantity"],
        UnitId(row["unit_of_measure_id"]),
        row["usage_time"],
        TEXTS.decode(row["labels"]) if row["labels"] else None,
        row["content_hash"],
        row["revision"],
        row["state"] == "VOIDED",
        dict(zip(row["earlier_hashes"], row["earlier_revisions"], strict=True))
        if row["earlier_hashes"]
        else NONE_EARLIER,
    )
