"""Runs: asked for, followed, ended."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from server.domain.audit import Audit
from server.domain.ids import JobId, RunId
from server.store.audit import audit_of
from server.store.connection import Transaction
from server.store.keys import NO_KEY, TimeKey
from server.store.sql import load

SQL = load("runs.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One orchestration; `clock_time` is where the tenant's clock stands."""

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
    """A job that nothing can go past."""

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
    """Begin a run."""
    await tx.execute(SQL["add_run"], tx.tenant_id, run_id, kind, start, target)


async def running(tx: Transaction, kind: str) -> RunId | None:
    """The run of a kind that is under way."""
    found: UUID | None = await tx.fetchval(SQL["running"], tx.tenant_id, kind)
    return None if found is None else RunId(found)


async def find(tx: Transaction, run_id: RunId) -> Run | None:
    """One run."""
    row = await tx.fetchrow(SQL["find_run"], tx.tenant_id, run_id)
    return None if row is None else _run(row)


async def list_runs(tx: Transaction, *, after: TimeKey | None, limit: int) -> list[Run]:
    """Runs, newest first."""
    before = after or NO_KEY
    rows = await tx.fetch(SQL["list_runs"], tx.tenant_id, *before, limit)
    return [_run(row) for row in rows]


async def save_counts(tx: Transaction, run_id: RunId, counts: dict[str, int]) -> None:
    """Note how far a run is."""
    await tx.execute(SQL["save_counts"], tx.tenant_id, run_id, counts)


async def end(
    tx: Transaction,
    run_id: RunId,
    *,
    state: str,
    error: str = "",
    failed_job_id: JobId | None = None,
) -> None:
    """End a run, with a count of the jobs that were done since it began."""
    await tx.execute(SQL["end_run"], tx.tenant_id, run_id, state, error, failed_job_id)


async def next_due(tx: Transaction, until: datetime) -> datetime | None:
    """When the next pending job is due, if not after `until`."""
    instant: datetime | None = await tx.fetchval(SQL["next_due"], tx.tenant_id, until)
    return instant


async def stuck(tx: Transaction, clock: datetime, since: datetime) -> StuckJob | None:
    """The first job due by `clock` that will not be done: in quarantine, or refused.

    Refusals before `since` count if wallets wait for them.
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
        done_counts=row["done_counts"],
        error=row["error"],
        failed_job_id=None if failed is None else JobId(failed),
        audit=audit_of(row),
        end_time=row["end_time"],
        clock_time=row["clock_time"],
    )
