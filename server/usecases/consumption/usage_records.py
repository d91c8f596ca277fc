"""Read usage records: one, or an account's by the time of usage, each with its processing."""

from dataclasses import dataclass
from datetime import UTC, datetime

from server.domain.consumption.usage_records import RecordState, UsageRecord
from server.domain.ids import (
    AccountId,
    AssetId,
    CellId,
    ProductId,
    RecordId,
    ResourceId,
)
from server.store.connection import Transaction
from server.store.consumption import usage_records as store
from server.store.consumption.usage_records import Range
from server.store.keys import ANY_TIME, TimeWindow

# All usage times are between these bounds.
FIRST, LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListUsageRecords:
    """The filters of an account's records; None means any."""

    account_id: AccountId
    asset_id: AssetId | None
    resource_id: ResourceId | None
    start_time: datetime | None
    end_time: datetime | None
    cell_id: CellId | None
    state: RecordState | None = None
    product_id: ProductId | None = None
    created: TimeWindow = ANY_TIME


async def get(tx: Transaction, account_id: AccountId, record_id: RecordId) -> UsageRecord:
    """Return one record with its story. Raises USAGE_RECORD_NOT_FOUND."""
    return await store.get(tx, account_id, record_id)


async def list_records(
    tx: Transaction,
    command: ListUsageRecords,
    *,
    after: tuple[datetime, RecordId] | None,
    limit: int,
) -> list[UsageRecord]:
    """Return records, newest first, after a time and id. Raises USAGE_SUMMARY_NOT_FOUND."""
    account_id = command.account_id
    start, end = command.start_time or FIRST, command.end_time or LAST
    # Records are indexed by time, so the other filters are first narrowed to a range of time.
    if command.cell_id is not None:
        bounds = await store.cell_bounds(tx, account_id, command.cell_id)
        start, end = max(start, bounds.start), min(end, bounds.end)
    if command.state is not None:
        window = await store.state_bounds(tx, account_id, command.state)
        if window is None:
            return []
        start, end = max(start, window.start or start), min(end, window.end or end)
    wanted = Range(
        start=start,
        end=end,
        asset_id=command.asset_id,
        resource_id=command.resource_id,
        cell_id=command.cell_id,
        state=command.state,
        product_id=command.product_id,
        created=command.created,
    )
    return await store.list_records(tx, account_id, wanted, after=after, limit=limit)
