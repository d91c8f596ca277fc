"""Runs that move a tenant's clock: begin, find, list, save progress and end."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from server.domain.audit import Audit
from server.domain.ids import JobId, RunId
from server.store.audit import audit_of
from server.store.connection import Transaction
from server.store.documents import JsonCodec
from server.store.keys import NO_KEY, TimeKey
from server.store.sql import load

SQL = load("runs.sql")

COUNTS: JsonCodec[dict[str, int]] = JsonCodec(dict[str, int])
"""The numbers of jobs by kind, of `runs.done_counts`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of one kind; `clock_time` is the current time of the tenant's clock."""

    run_id: RunId
    kind: str
    state: str
    start_time: datetime
    target_time: datetime
    done_counts: dict[str, int]
    error: str
    failed_job_id: JobId | None
    audit: Audit
    end_time: datetime | None
    clock_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckJob:
    """A job that blocks a run."""

    job_id: JobId
    kind: str
    state: str
    error: str


async def add(
    tx: Transaction,
    run_id: RunId,
    *,
    kind: str,
    start: datetime,
    target: datetime,
) -> None:
    """Insert a run."""
    await tx.execute(SQL["add_run"], tx.tenant_id, run_id, kind, start, target)


async def running(tx: Transaction, kind: str) -> RunId | None:
    """Return the active run of a kind; None if there is none."""
    run_id: UUID | None = await tx.fetchval(SQL["running"], tx.tenant_id, kind)
    return None if run_id is None else RunId(run_id)


async def find(tx: Transaction, run_id: RunId) -> Run | None:
    """Return one run; None if it does not exist."""
    row = await tx.fetchrow(SQL["find_run"], tx.tenant_id, run_id)
    return None if row is None else _run(row)


async def list_runs(tx: Transaction, *, after: TimeKey | None, limit: int) -> list[Run]:
    """Return runs, newest first."""
    before = after or NO_KEY
    rows = await tx.fetch(SQL["list_runs"], tx.tenant_id, *before, limit)
    return [_run(row) for row in rows]


async def save_counts(tx: Transaction, run_id: RunId, counts: dict[str, int]) -> None:
    """Save the progress of a run."""
    await tx.execute(SQL["save_counts"], tx.tenant_id, run_id, COUNTS.encode(counts))


async def end(
    tx: Transaction,
    run_id: RunId,
    *,
    state: str,
    error: str = "",
    failed_job_id: JobId | None = None,
) -> None:
    """End a run, and count the jobs that were done since it began."""
    await tx.execute(SQL["end_run"], tx.tenant_id, run_id, state, error, failed_job_id)


async def next_due(tx: Transaction, until: datetime) -> datetime | None:
    """Return the due time of the next pending job, if it is not after `until`."""
    instant: datetime | None = await tx.fetchval(SQL["next_due"], tx.tenant_id, until)
    return instant


async def stuck(tx: Transaction, clock: datetime, since: datetime) -> StuckJob | None:
    """Return the first job due by `clock` that will not be done: quarantined or refused.

    A job refused before `since` counts only if wallets wait for it.
    """
    row = await tx.fetchrow(SQL["stuck_job"], tx.tenant_id, clock, since)
    return None if row is None else StuckJob(**row)


def _run(row: Record) -> Run:
    failed = row["failed_job_id"]
    return Run(
        run_id=RunId(row["run_id"]),
        kind=row["kind"],
        state=row["state"],
        start_time=row["start_time"],
        target_time=row["target_time"],
        done_counts=COUNTS.decode(row["done_counts"]),
        error=row["error"],
        failed_job_id=None if failed is None else JobId(failed),
        audit=audit_of(row),
        end_time=row["end_time"],
        clock_time=row["clock_time"],
    )
