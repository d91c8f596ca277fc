"""The writes of amendments and voids: records, their earlier revisions, and their cells."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from server.domain.consumption.amendments import Amendment, KnownRecord
from server.domain.consumption.recording import Place, RecordKey
from server.domain.ids import AccountId, CellId, CredentialId, RecordId, WalletId
from server.store.connection import Transaction
from server.store.consumption.recording import columns, labels_text, stored_of
from server.store.sql import load

SQL = load("consumption/amendments.sql")

CellKey = tuple[AccountId, CellId]


@dataclass(frozen=True, slots=True)
class LockedRecord:
    """The revision of a locked record, and whether it is voided."""

    revision: int
    is_voided: bool


async def find_known(tx: Transaction, keys: Iterable[RecordKey]) -> dict[RecordKey, KnownRecord]:
    """Return the records that exist, by key."""
    rows = await tx.fetch(SQL["find_known"], tx.tenant_id, *columns(keys, 2))
    found = (known_of(row) for row in rows)
    return {record.key: record for record in found}


async def lock_records(tx: Transaction, keys: Iterable[RecordKey]) -> dict[RecordKey, LockedRecord]:
    """Lock records until the transaction ends."""
    rows = await tx.fetch(SQL["lock_records"], tx.tenant_id, *columns(keys, 2))
    return {
        (AccountId(row["account_id"]), RecordId(row["record_id"])): LockedRecord(
            row["revision"], row["state"] == "VOIDED"
        )
        for row in rows
    }


async def void(
    tx: Transaction, keys: Iterable[RecordKey], reason: str, by: CredentialId | None = None
) -> None:
    """Void locked records; without `by`, in the name of the caller."""
    await tx.execute(SQL["void_records"], tx.tenant_id, *columns(keys, 2), reason, by)


async def amend(
    tx: Transaction, amendments: Sequence[Amendment], by: CredentialId | None = None
) -> None:
    """Keep the content of locked records as a revision, and give them their new content.

    Without `by`, in the name of the caller.
    """
    keys = [one.record.key for one in amendments]
    await tx.execute(SQL["keep_revisions"], tx.tenant_id, *columns(keys, 2))
    items = [one.item for one in amendments]
    await tx.execute(
        SQL["amend_records"],
        tx.tenant_id,
        [item.usage.account_id for item in items],
        [item.usage.record_id for item in items],
        [one.place.cell_id for one in amendments],
        [item.usage.asset_id for item in items],
        [item.usage.resource_id for item in items],
        [item.usage.quantity for item in items],
        [item.unit_id for item in items],
        [item.quantity for item in items],
        [item.usage.time for item in items],
        [labels_text(item.usage) for item in items],
        [item.content_hash for item in items],
        by,
    )


async def add_empty_cells(tx: Transaction, places: Iterable[Place]) -> None:
    """Insert the cells that do not exist, without records."""
    cells = {(place.slot.meter.account_id, place.cell_id): place for place in places}
    rows = [_empty(place) for _, place in sorted(cells.items(), key=lambda cell: cell[0])]
    await tx.execute(SQL["add_empty_cells"], tx.tenant_id, *map(list, zip(*rows, strict=True)))


async def measure_cells(tx: Transaction, keys: Iterable[CellKey]) -> None:
    """Measure locked cells from the records in them that count."""
    await tx.execute(SQL["measure_cells"], tx.tenant_id, *columns(keys, 2))


def known_of(row: Any) -> KnownRecord:
    """Return the record of a row."""
    return KnownRecord(
        AccountId(row["account_id"]),
        RecordId(row["record_id"]),
        stored_of(row),
        row["counted_quantity"],
        CellId(row["usage_summary_id"]),
        WalletId(row["wallet_id"]),
        row["period_start_time"],
        row["void_time"],
    )


def _empty(place: Place) -> tuple[Any, ...]:
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
        place.dimensions,
        place.ratio.numerator,
        place.ratio.denominator,
    )
