"""The reads of usage records: each record with the state of its period and its line."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from server.domain.calendar import Period, RatingPeriod, local_midnight
from server.domain.consumption.usage_records import (
    RecordChanges,
    RecordCorrection,
    RecordDraw,
    RecordLine,
    RecordRevision,
    RecordState,
    RecordStory,
    RecordTrace,
    UsageRecord,
)
from server.domain.errors import NotFound
from server.domain.ids import (
    AccountId,
    AssetId,
    CellId,
    LiableSummaryId,
    ProductId,
    RecordId,
    ResourceId,
    UnitId,
)
from server.store.audit import credential_id
from server.store.connection import Transaction
from server.store.documents import TEXTS
from server.store.keys import ANY_TIME, TimeWindow
from server.store.sql import load

SQL = load("consumption/usage_records.sql")

# For each state of records that count: the state of the period; True if the ratable line is
# invoice-ready.
STATE_BOUNDS = {
    RecordState.PENDING: ("OPEN", False),
    RecordState.FROZEN: ("FROZEN", False),
    RecordState.RATED: ("FINAL", False),
    RecordState.LIABLE: ("FINAL", True),
}
STATES = {bounds: state for state, bounds in STATE_BOUNDS.items()}
ANY_STATE = (None, None, None)
VOIDED = (None, None, "VOIDED")
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The filters of a list of records: used in `[start, end)`, and other fields; None for any."""

    start: datetime
    end: datetime
    asset_id: AssetId | None = None
    resource_id: ResourceId | None = None
    cell_id: CellId | None = None
    state: RecordState | None = None
    product_id: ProductId | None = None
    created: TimeWindow = ANY_TIME


async def get(tx: Transaction, account_id: AccountId, record_id: RecordId) -> UsageRecord:
    """Return one record with its story. Raises USAGE_RECORD_NOT_FOUND."""
    row = await tx.fetchrow(SQL["get_record"], tx.tenant_id, account_id, record_id)
    if row is None:
        raise NotFound.of("UsageRecord", f"accounts/{account_id}/usageRecords/{record_id}")
    record = _record(row)
    told = replace(record, story=await _story(tx, record))
    if record.changes.revision == 1:
        return told
    rows = await tx.fetch(SQL["list_revisions"], tx.tenant_id, account_id, record_id)
    earlier = tuple(map(_revision, rows))
    return replace(told, changes=replace(record.changes, earlier=earlier))


async def _story(tx: Transaction, record: UsageRecord) -> RecordStory:
    args = (tx.tenant_id, record.account_id, record.trace.cell_id, record.create_time)
    row = await tx.fetchrow(SQL["find_story"], *args)
    assert row is not None, record
    return RecordStory(
        drawn=msgspec.json.decode(row["drawn"] or "[]", type=tuple[RecordDraw, ...]),
        lines=msgspec.json.decode(row["lines"] or "[]", type=tuple[RecordLine, ...]),
        corrections=msgspec.json.decode(
            row["corrections"] or "[]", type=tuple[RecordCorrection, ...]
        ),
    )


async def list_records(
    tx: Transaction,
    account_id: AccountId,
    only: Range,
    *,
    after: tuple[datetime, RecordId] | None,
    limit: int,
) -> list[UsageRecord]:
    """Return records, newest first; `after` is the time and the id of the last record seen."""
    # The query reads keys below (time, id). No id is below "", so a record at `end` is left out.
    time, record_id = after or (only.end, "")
    rows = await tx.fetch(
        SQL["list_records"],
        tx.tenant_id,
        account_id,
        only.start,
        time,
        record_id,
        only.asset_id,
        only.resource_id,
        only.cell_id,
        limit,
        only.product_id,
        only.created.start,
        only.created.end,
        *_state_filter(only.state),
    )
    return [_record(row) for row in rows]


async def state_bounds(
    tx: Transaction, account_id: AccountId, state: RecordState
) -> TimeWindow | None:
    """Return the window of the usage times of all records in a state; None if there are none."""
    if state is RecordState.VOIDED:
        return await _voided_bounds(tx, account_id)
    row = await tx.fetchrow(
        SQL["find_state_bounds"], tx.tenant_id, account_id, *STATE_BOUNDS[state]
    )
    assert row is not None, state
    return None if row["end_time"] is None else TimeWindow(row["start_time"], row["end_time"])


async def _voided_bounds(tx: Transaction, account_id: AccountId) -> TimeWindow | None:
    row = await tx.fetchrow(SQL["find_voided_bounds"], tx.tenant_id, account_id)
    assert row is not None, account_id
    last = row["last_time"]
    return None if last is None else TimeWindow(row["first_time"], last + INSTANT)


async def cell_bounds(tx: Transaction, account_id: AccountId, cell_id: CellId) -> Period:
    """Return the day of a cell. Raises USAGE_SUMMARY_NOT_FOUND."""
    row = await tx.fetchrow(SQL["find_cell_bounds"], tx.tenant_id, account_id, cell_id)
    if row is None:
        raise NotFound.of("UsageSummary", f"accounts/{account_id}/usageSummaries/{cell_id}")
    return Period(row["start_time"], row["end_time"])


def _state_filter(state: RecordState | None) -> tuple[str | None, bool | None, str | None]:
    """Return the state of the period, whether the line is invoice-ready, and that of the record."""
    if state is None:
        return ANY_STATE
    return VOIDED if state is RecordState.VOIDED else (*STATE_BOUNDS[state], "ACTIVE")


def _record(row: Any) -> UsageRecord:
    is_voided = row["state"] == "VOIDED"
    state = STATES[row["period_state"], row["liable_summary_id"] is not None]
    return UsageRecord(
        account_id=AccountId(row["account_id"]),
        id=RecordId(row["record_id"]),
        asset_id=AssetId(row["asset_id"]),
        resource_id=ResourceId(row["usage_resource_id"]),
        quantity=row["quantity"],
        unit_id=UnitId(row["unit_of_measure_id"]),
        time=row["usage_time"],
        labels=TEXTS.decode(row["labels"]) if row["labels"] else {},
        create_time=row["create_time"],
        created_by=credential_id(row["created_by"]),
        trace=RecordTrace(
            state=RecordState.VOIDED if is_voided else state,
            counted_quantity=row["counted_quantity"],
            cell_id=CellId(row["usage_summary_id"]),
            period=RatingPeriod(
                row["period_start_time"], row["period_end_time"], row["period_freeze_time"]
            ).since(local_midnight(row["time_zone"], row["start_date"])),
            is_late=row["is_late"],
            is_pending=row["is_pending"],
            drawn_quantity=row["drawn_quantity"],
            overage_quantity=row["overage_quantity"],
            liable_summary_id=_line_id(row["liable_summary_id"]),
        ),
        changes=RecordChanges(
            revision=row["revision"],
            amend_time=row["amend_time"],
            amended_by=credential_id(row["amended_by"]),
            void_time=row["void_time"],
            voided_by=credential_id(row["voided_by"]),
            void_reason=row["void_reason"] or "",
        ),
    )


def _revision(row: Any) -> RecordRevision:
    return RecordRevision(
        revision=row["revision"],
        asset_id=AssetId(row["asset_id"]),
        resource_id=ResourceId(row["usage_resource_id"]),
        quantity=row["quantity"],
        unit_id=UnitId(row["unit_of_measure_id"]),
        time=row["usage_time"],
        labels=TEXTS.decode(row["labels"]) if row["labels"] else {},
        create_time=row["create_time"],
        created_by=credential_id(row["created_by"]),
    )


def _line_id(value: UUID | None) -> LiableSummaryId | None:
    return None if value is None else LiableSummaryId(value)
