"""Recording, the side that writes: meters, the gate of periods, records, cells.

Every statement that locks or writes several rows does so in the order of their keys as bytes.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from server.domain.caches import memoize
from server.domain.calendar import Delay, DelayUnit, PolicyPeriod, RatingPeriod
from server.domain.consumption.aggregation import Measure
from server.domain.consumption.recording import (
    Counted,
    Meter,
    MeterKey,
    PeriodKey,
    Place,
    RecordKey,
    Stored,
    WalletKey,
)
from server.domain.consumption.uniques import UniqueValue
from server.domain.ids import AccountId, RecordId, UnitClassId, UnitId, WalletId
from server.domain.modeling.policies import LatePolicy, RatingFrequency
from server.domain.modeling.units import Unit
from server.store.connection import Transaction
from server.store.sql import load

SQL = load("consumption/recording.sql")

# Between the texts of a column; the queries say why.
JOINT = "\x1f"


class PeriodState(StrEnum):
    """Where a rating period stands; only an open one takes usage."""

    OPEN = "OPEN"
    FROZEN = "FROZEN"
    FINAL = "FINAL"


async def find_meters(tx: Transaction, keys: Iterable[MeterKey]) -> dict[MeterKey, Meter | None]:
    """The meters there are; None where the asset is there without the resource."""
    rows = await tx.fetch(SQL["find_meters"], tx.tenant_id, *_columns(keys, 3))
    return {
        (row["account_id"], row["asset_id"], row["usage_resource_id"]): _meter(row)
        for row in rows
        if row["is_asset"]
    }


async def find_units(
    tx: Transaction, unit_ids: Iterable[UnitId]
) -> dict[UnitId, tuple[Unit, bool]]:
    """The units there are, and whether each is active."""
    rows = await tx.fetch(SQL["find_units"], tx.tenant_id, sorted(unit_ids))
    return {
        UnitId(row["unit_of_measure_id"]): (_unit(row), row["state"] == "ACTIVE") for row in rows
    }


async def lock_periods(tx: Transaction, keys: Iterable[PeriodKey]) -> dict[PeriodKey, PeriodState]:
    """Hold the periods there are as they are until the transaction ends; say how they are."""
    rows = await tx.fetch(SQL["lock_periods"], tx.tenant_id, *_columns(keys, 3))
    return {_period_key(row): PeriodState(row["state"]) for row in rows}


async def queue_openers(tx: Transaction, wallets: Iterable[WalletKey]) -> None:
    """Wait for others who are opening periods of these wallets."""
    keys = {int.from_bytes(wallet_id.bytes[8:], signed=True) for _, wallet_id in wallets}
    await tx.execute(SQL["queue_openers"], sorted(keys))


async def lock_followers(
    tx: Transaction, keys: Iterable[PeriodKey]
) -> dict[PeriodKey, PeriodState]:
    """Hold the first period after each of `keys`, where there is one; say how it is."""
    rows = await tx.fetch(SQL["lock_followers"], tx.tenant_id, *_columns(keys, 3))
    return {_period_key(row): PeriodState(row["state"]) for row in rows}


async def lock_first_open(
    tx: Transaction, wallets: Iterable[WalletKey]
) -> dict[WalletKey, RatingPeriod]:
    """The first open period of each wallet that has one, held."""
    rows = await tx.fetch(SQL["lock_first_open"], tx.tenant_id, *_columns(wallets, 2))
    return {
        (row["account_id"], row["wallet_id"]): RatingPeriod(
            row["start_time"], row["end_time"], row["freeze_time"]
        )
        for row in rows
    }


async def find_closed_ends(
    tx: Transaction, wallets: Iterable[WalletKey]
) -> dict[WalletKey, datetime]:
    """The end of the last closed period of each wallet that has one."""
    rows = await tx.fetch(SQL["find_closed_ends"], tx.tenant_id, *_columns(wallets, 2))
    return {(row["account_id"], row["wallet_id"]): row["end_time"] for row in rows}


async def add_records(tx: Transaction, items: Sequence[tuple[Counted, Place]]) -> set[RecordKey]:
    """Keep records whose ids are free, and say which those are; each remembers its cell."""
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
        [usage.labels for usage in usages],
        [item.content_hash for item, _ in items],
    )
    return {(AccountId(row[0]), RecordId(row[1])) for row in rows}


async def add_unique_values(
    tx: Transaction, items: Sequence[tuple[Counted, UniqueValue]]
) -> set[RecordKey]:
    """Keep the values that are new in their windows, and say which records those are of."""
    rows = await tx.fetch(
        SQL["add_unique_values"],
        tx.tenant_id,
        [item.usage.account_id for item, _ in items],
        *([value[column] for _, value in items] for column in range(4)),
        [item.usage.record_id for item, _ in items],
    )
    return {(AccountId(row["account_id"]), RecordId(row["record_id"])) for row in rows}


async def forget_unique_values(tx: Transaction, items: Sequence[Counted]) -> None:
    """Let the values that these records count be new again."""
    await tx.execute(
        SQL["forget_unique_values"],
        tx.tenant_id,
        [item.usage.account_id for item in items],
        [item.slot.meter.wallet_id for item in items],
        [item.usage.asset_id for item in items],
        [item.usage.record_id for item in items],
    )


async def find_records(tx: Transaction, keys: Iterable[RecordKey]) -> dict[RecordKey, Stored]:
    """Those of the records that are kept."""
    rows = await tx.fetch(SQL["find_records"], tx.tenant_id, *_columns(keys, 2))
    return {(row["account_id"], row["record_id"]): _stored(row) for row in rows}


async def add_to_cells(tx: Transaction, cells: Sequence[tuple[Place, Measure]]) -> None:
    """Merge measures into cells, which are made if they are not there yet."""
    columns = zip(*(_cell(place, measure) for place, measure in cells), strict=True)
    # What is text in the first row is text in all of them.
    values = [JOINT.join(c) if isinstance(c[0], str) else c for c in columns]
    await tx.execute(SQL["add_to_cells"], tx.tenant_id, *values)


def _columns(keys: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """The columns of keys, which come sorted and each once."""
    rows = sorted(set(keys))
    return [[row[column] for row in rows] for column in range(width)]


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
        place.period_start,
        measure.count,
        str(measure.sum),
        str(measure.max),
        str(measure.min),
        str(measure.last),
        measure.last_time,
        measure.last_record_id,
        place.dimensions,
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
        frequency=_frequency(row["rating_period"], row["waiting_days"], row["waiting_hours"]),
        late_policy=_LATE[row["late_policy"]],
        is_hourly=row["aggregation_period"] == "HOUR",
        blocking=_blocking(row),
        dimensions=tuple(row["dimensions"]),
        unique_label=row["aggregation_label"],
        unique_period=PolicyPeriod(row["aggregation_period"]),
        start=row["start_time"],
        end=row["end_time"],
    )


def _blocking(row: Any) -> tuple[WalletId, ...]:
    own = (row["wallet_id"],) if row["is_blocking"] else ()
    return own if row["blocking_tokens"] is None else (*own, row["blocking_tokens"])


def _unit(row: Any) -> Unit:
    return _unit_of(row["unit_of_measure_id"], row["unit_class_id"], row["factor"], row["scale"])


# A thousand meters share a few units, frequencies and anchors, which are worked out once.
@memoize(entries=1_024, entry_bytes=1_024)
def _unit_of(unit_id: UnitId, class_id: UnitClassId, factor: Decimal, scale: int) -> Unit:
    return Unit(id=unit_id, class_id=class_id, factor=factor, scale=scale)


@memoize(entries=1_024, entry_bytes=1_024)
def _frequency(period: str, days: int | None, hours: int | None) -> RatingFrequency:
    delay = Delay(days, DelayUnit.DAYS) if days is not None else Delay(hours or 0, DelayUnit.HOURS)
    return RatingFrequency(period=PolicyPeriod(period), delay=delay)


_LATE = {policy.value: policy for policy in LatePolicy}


def _stored(row: Any) -> Stored:
    return Stored(
        row["asset_id"],
        row["usage_resource_id"],
        row["quantity"],
        UnitId(row["unit_of_measure_id"]),
        row["usage_time"],
        row["labels"],
        row["content_hash"],
    )
