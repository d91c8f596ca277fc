"""Record runs: insert, find the records of a slice, save the progress, read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from server.domain.calendar import RatingPeriod, local_midnight
from server.domain.consumption.amendments import KnownRecord
from server.domain.consumption.changes import RecordChange
from server.domain.consumption.record_runs import (
    RecordEffect,
    RecordFilter,
    RecordRun,
    RecordRunState,
    RunKind,
    RunPeriod,
    RunRefusal,
    RunUsage,
    periods_of,
    usage_of,
)
from server.domain.consumption.recording import PeriodKey
from server.domain.errors import NotFound
from server.domain.ids import AccountId, AssetId, RecordId, RecordRunId, ResourceId, WalletId
from server.store.audit import audit_of
from server.store.connection import Transaction
from server.store.consumption import record_run_money
from server.store.consumption.amendments import known_of
from server.store.documents import TEXTS, DocumentCodec
from server.store.keys import NO_KEY, TimeKey
from server.store.sql import load

SQL = load("consumption/record_runs.sql")

CHANGE: DocumentCodec[RecordChange] = DocumentCodec(RecordChange)

MOST_SHOWN = 1_000
MOST_REFUSALS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecordRun:
    """A run to insert; without a `change` it voids."""

    id: RecordRunId
    account_id: AccountId
    only: RecordFilter
    change: RecordChange | None = None
    reason: str
    is_dry: bool


@dataclass(frozen=True, slots=True)
class Slice:
    """The next records that match, the last one looked at, and whether it was the last of all."""

    records: Sequence[KnownRecord]
    last: tuple[datetime, str]
    is_last: bool


async def add(tx: Transaction, new: NewRecordRun) -> None:
    """Insert a run."""
    only = new.only
    await tx.execute(
        SQL["add_run"],
        tx.tenant_id,
        new.account_id,
        new.id,
        RunKind.VOID if new.change is None else RunKind.AMEND,
        None if new.change is None else CHANGE.encode(new.change),
        new.is_dry,
        only.start,
        only.end,
        only.asset_id,
        only.resource_id,
        _labels(only),
        new.reason,
    )


async def lock(tx: Transaction, account_id: AccountId, run_id: RecordRunId) -> bool:
    """Lock a run in progress until the transaction ends; return False if it is not in progress."""
    row = await tx.fetchrow(SQL["lock_run"], tx.tenant_id, account_id, run_id)
    return row is not None


async def find(tx: Transaction, account_id: AccountId, run_id: RecordRunId) -> RecordRun | None:
    """Return one run of any kind, as in a list; None if there is none."""
    row = await tx.fetchrow(SQL["get_run"], tx.tenant_id, account_id, run_id)
    return None if row is None else _run(account_id, row)


async def get(
    tx: Transaction, account_id: AccountId, run_id: RecordRunId, kind: RunKind
) -> RecordRun:
    """Return one run with the first items of everything that it tells.

    Raises VOID_RUN_NOT_FOUND, AMEND_RUN_NOT_FOUND.
    """
    row = await tx.fetchrow(SQL["get_run"], tx.tenant_id, account_id, run_id)
    if row is None or row["kind"] != kind:
        raise _not_found(account_id, run_id, kind)
    run = _run(account_id, row)
    key = tx.tenant_id, account_id, run_id
    usage = map(_usage, await tx.fetch(SQL["list_usage"], *key, MOST_SHOWN))
    periods = map(_period, await tx.fetch(SQL["list_periods"], *key, MOST_SHOWN))
    refused = await tx.fetch(SQL["list_refusals"], *key, MOST_REFUSALS)
    has_money = row["has_money"]
    return replace(
        run,
        usage=tuple(usage),
        periods=tuple(periods),
        refused=tuple(
            RunRefusal(record_id=RecordId(one["record_id"]), error=one["error"]) for one in refused
        ),
        money=await record_run_money.find(tx, run, MOST_SHOWN) if has_money else None,
    )


async def list_runs(
    tx: Transaction, account_id: AccountId, kind: RunKind, *, after: TimeKey | None, limit: int
) -> list[RecordRun]:
    """Return an account's runs of one kind, newest first, without what only `get` tells."""
    args = (tx.tenant_id, account_id, kind, *(after or NO_KEY), limit)
    return [_run(account_id, row) for row in await tx.fetch(SQL["list_runs"], *args)]


async def next_records(
    tx: Transaction, run: RecordRun, *, after: tuple[datetime, str], limit: int
) -> Slice:
    """Return the records to change among the next `limit` ones in the window of a run."""
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
    if not rows:
        return Slice((), after, True)
    last = rows[-1]
    records = [known_of(row) for row in rows if row["is_match"]]
    return Slice(records, (last["usage_time"], last["record_id"]), last["scanned_count"] < limit)


async def find_periods(
    tx: Transaction, account_id: AccountId, keys: Iterable[PeriodKey]
) -> dict[PeriodKey, tuple[RatingPeriod, bool]]:
    """Return rating periods from the start of service on, each with True if it is final."""
    wanted = sorted(set(keys))
    columns = [key[1] for key in wanted], [key[2] for key in wanted]
    rows = await tx.fetch(SQL["find_periods"], tx.tenant_id, account_id, *columns)
    return {
        (account_id, WalletId(row["wallet_id"]), row["start_time"]): (
            _rating_period(row).since(local_midnight(row["time_zone"], row["start_date"])),
            row["is_final"],
        )
        for row in rows
    }


async def save_progress(
    tx: Transaction, run: RecordRun, effect: RecordEffect, last: tuple[datetime, str]
) -> None:
    """Add a slice, which ended with the record `last`, to the figures of a locked run."""
    key = tx.tenant_id, run.account_id, run.id
    if effect.changed:
        usage = [
            (one.asset_id, one.resource_id, one.count, one.quantity, one.new_quantity)
            for one in usage_of(effect)
        ]
        await tx.execute(SQL["add_usage"], *key, *map(list, zip(*usage, strict=True)))
        periods = [
            (one.wallet_id, *one.period, one.is_final, one.count) for one in periods_of(effect)
        ]
        await tx.execute(SQL["add_periods"], *key, *map(list, zip(*periods, strict=True)))
    refused = effect.refused[: max(0, MOST_REFUSALS - run.refused_count)]
    if refused:
        texts = [f"{error.reason}: {error.message}"[:1000] for _, error in refused]
        ids = [record_id for record_id, _ in refused]
        await tx.execute(SQL["add_refusals"], *key, run.refused_count, ids, texts)
    counts = len(effect.changed), effect.unchanged, len(effect.refused)
    await tx.execute(SQL["save_progress"], *key, *counts, *last)


async def finish(
    tx: Transaction,
    account_id: AccountId,
    run_id: RecordRunId,
    state: RecordRunState,
    error: str = "",
) -> None:
    """End a run in progress."""
    await tx.execute(SQL["finish_run"], tx.tenant_id, account_id, run_id, state, error)


def _not_found(account_id: AccountId, run_id: RecordRunId, kind: RunKind) -> NotFound:
    if kind is RunKind.VOID:
        return NotFound.of("VoidRun", f"accounts/{account_id}/voidRuns/{run_id}")
    return NotFound.of("AmendRun", f"accounts/{account_id}/amendRuns/{run_id}")


def _labels(only: RecordFilter) -> str | None:
    return TEXTS.encode(dict(only.labels)) if only.labels else None


def _run(account_id: AccountId, row: Any) -> RecordRun:
    return RecordRun(
        id=RecordRunId(row["record_run_id"]),
        account_id=account_id,
        only=_filter(row),
        change=None if row["change"] is None else CHANGE.decode(row["change"]),
        reason=row["reason"],
        is_dry=row["is_dry"],
        state=RecordRunState(row["state"]),
        cursor=(row["after_time"], row["after_record_id"]),
        record_count=row["record_count"],
        unchanged_count=row["unchanged_count"],
        refused_count=row["refused_count"],
        no_money=row["no_money"],
        error=row["error"],
        audit=audit_of(row),
        finish_time=row["finish_time"],
    )


def _filter(row: Any) -> RecordFilter:
    asset, resource = row["asset_id"], row["usage_resource_id"]
    labels: Mapping[str, str] = TEXTS.decode(row["labels"]) if row["labels"] else {}
    return RecordFilter(
        start=row["start_time"],
        end=row["end_time"],
        asset_id=None if asset is None else AssetId(asset),
        resource_id=None if resource is None else ResourceId(resource),
        labels=labels,
    )


def _usage(row: Any) -> RunUsage:
    return RunUsage(
        asset_id=AssetId(row["asset_id"]),
        resource_id=ResourceId(row["usage_resource_id"]),
        count=row["record_count"],
        quantity=row["quantity"],
        new_quantity=row["new_quantity"],
    )


def _period(row: Any) -> RunPeriod:
    return RunPeriod(
        wallet_id=WalletId(row["wallet_id"]),
        period=_rating_period(row),
        is_final=row["is_final"],
        count=row["record_count"],
    )


def _rating_period(row: Any) -> RatingPeriod:
    return RatingPeriod(row["start_time"], row["end_time"], row["freeze_time"])
