"""Void runs: insert, find the records of a slice, save the progress, read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from server.domain.calendar import RatingPeriod, local_midnight
from server.domain.consumption.amendments import KnownRecord
from server.domain.consumption.recording import PeriodKey
from server.domain.consumption.void_runs import (
    VoidedPeriod,
    VoidedUsage,
    VoidFilter,
    VoidRun,
    VoidRunState,
)
from server.domain.errors import NotFound
from server.domain.ids import AccountId, AssetId, RecordId, ResourceId, VoidRunId, WalletId
from server.store.audit import audit_of
from server.store.connection import Transaction
from server.store.consumption.amendments import known_of
from server.store.documents import TEXTS
from server.store.keys import NO_KEY, TimeKey
from server.store.sql import load

SQL = load("consumption/void_runs.sql")

MOST_SHOWN = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVoidRun:
    """A void run to insert."""

    id: VoidRunId
    account_id: AccountId
    only: VoidFilter
    reason: str
    is_dry: bool


@dataclass(frozen=True, slots=True)
class Slice:
    """The next records that match, the last one looked at, and whether it was the last of all."""

    records: Sequence[KnownRecord]
    last: tuple[datetime, RecordId] | None
    is_last: bool


async def add(tx: Transaction, new: NewVoidRun) -> None:
    """Insert a run."""
    only = new.only
    await tx.execute(
        SQL["add_run"],
        tx.tenant_id,
        new.account_id,
        new.id,
        new.is_dry,
        only.start,
        only.end,
        only.asset_id,
        only.resource_id,
        _labels(only),
        new.reason,
    )


async def lock(tx: Transaction, account_id: AccountId, run_id: VoidRunId) -> bool:
    """Lock a run in progress until the transaction ends; return False if it is not in progress."""
    row = await tx.fetchrow(SQL["lock_run"], tx.tenant_id, account_id, run_id)
    return row is not None


async def find(tx: Transaction, account_id: AccountId, run_id: VoidRunId) -> VoidRun:
    """Return one run without its usage and periods. Raises VOID_RUN_NOT_FOUND."""
    row = await tx.fetchrow(SQL["get_run"], tx.tenant_id, account_id, run_id)
    if row is None:
        raise NotFound.of("VoidRun", f"accounts/{account_id}/voidRuns/{run_id}")
    return _run(account_id, row)


async def get(tx: Transaction, account_id: AccountId, run_id: VoidRunId) -> VoidRun:
    """Return one run with its first usage and periods. Raises VOID_RUN_NOT_FOUND."""
    run = await find(tx, account_id, run_id)
    key = tx.tenant_id, account_id, run_id, MOST_SHOWN
    usage = map(_usage, await tx.fetch(SQL["list_usage"], *key))
    periods = map(_period, await tx.fetch(SQL["list_periods"], *key))
    return replace(run, usage=tuple(usage), periods=tuple(periods))


async def list_runs(
    tx: Transaction, account_id: AccountId, *, after: TimeKey | None, limit: int
) -> list[VoidRun]:
    """Return an account's runs, newest first, without their usage and periods."""
    rows = await tx.fetch(SQL["list_runs"], tx.tenant_id, account_id, *(after or NO_KEY), limit)
    return [_run(account_id, row) for row in rows]


async def next_records(
    tx: Transaction, run: VoidRun, *, after: tuple[datetime, str], limit: int
) -> Slice:
    """Return the records to void among the next `limit` ones in the window of a run."""
    only = run.only
    rows = await tx.fetch(
        SQL["next_records"],
        tx.tenant_id,
        run.account_id,
        *after,
        only.end,
        only.asset_id,
        only.resource_id,
        _labels(only),
        run.audit.create_time,
        limit,
    )
    records = [known_of(row) for row in rows if row["is_match"]]
    if not rows:
        return Slice(records, None, True)
    last = rows[-1]
    is_last = last["scanned_count"] < limit
    return Slice(records, (last["usage_time"], RecordId(last["record_id"])), is_last)


async def save_progress(
    tx: Transaction,
    run: VoidRun,
    usage: Sequence[VoidedUsage],
    periods: Iterable[tuple[PeriodKey, int]],
    final: set[PeriodKey],
) -> None:
    """Add the records of a slice to the figures of a run; `final` are the periods that are."""
    key = tx.tenant_id, run.account_id, run.id
    await tx.execute(
        SQL["add_usage"],
        *key,
        [one.asset_id for one in usage],
        [one.resource_id for one in usage],
        [one.count for one in usage],
        [one.quantity for one in usage],
    )
    counted = list(periods)
    await tx.execute(
        SQL["add_periods"],
        *key,
        [period[1] for period, _ in counted],
        [period[2] for period, _ in counted],
        [period in final for period, _ in counted],
        [count for _, count in counted],
    )
    await tx.execute(SQL["save_progress"], *key, sum(one.count for one in usage))


async def finish(
    tx: Transaction,
    account_id: AccountId,
    run_id: VoidRunId,
    state: VoidRunState,
    error: str = "",
) -> None:
    """End a run in progress."""
    await tx.execute(SQL["finish_run"], tx.tenant_id, account_id, run_id, state, error)


def _labels(only: VoidFilter) -> str | None:
    return TEXTS.encode(dict(only.labels)) if only.labels else None


def _run(account_id: AccountId, row: Any) -> VoidRun:
    asset, resource = row["asset_id"], row["usage_resource_id"]
    return VoidRun(
        id=VoidRunId(row["void_run_id"]),
        account_id=account_id,
        only=VoidFilter(
            start=row["start_time"],
            end=row["end_time"],
            asset_id=None if asset is None else AssetId(asset),
            resource_id=None if resource is None else ResourceId(resource),
            labels=TEXTS.decode(row["labels"]) if row["labels"] else {},
        ),
        reason=row["reason"],
        is_dry=row["is_dry"],
        state=VoidRunState(row["state"]),
        record_count=row["record_count"],
        error=row["error"],
        audit=audit_of(row),
        finish_time=row["finish_time"],
    )


def _usage(row: Any) -> VoidedUsage:
    return VoidedUsage(
        asset_id=AssetId(row["asset_id"]),
        resource_id=ResourceId(row["usage_resource_id"]),
        count=row["record_count"],
        quantity=row["quantity"],
    )


def _period(row: Any) -> VoidedPeriod:
    whole = RatingPeriod(row["start_time"], row["end_time"], row["freeze_time"])
    return VoidedPeriod(
        wallet_id=WalletId(row["wallet_id"]),
        period=whole.since(local_midnight(row["time_zone"], row["start_date"])),
        is_final=row["is_final"],
        count=row["record_count"],
    )
