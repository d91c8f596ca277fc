"""Void all usage that matches a filter: a run in slices, each a job that schedules the next one.

A slice is one transaction. If a worker dies, its slice is done again as a whole, and voids nothing
twice.
"""

from datetime import datetime
from uuid import UUID

from server.domain.consumption.void_runs import VoidRun, VoidRunState, periods_of, usage_of
from server.domain.ids import AccountId, JobId, VoidRunId, derive
from server.domain.work import JobKind
from server.store import jobs
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.consumption import void_runs as store
from server.store.consumption.void_runs import NewVoidRun
from server.store.jobs import Job
from server.store.keys import TimeKey
from server.store.selling import accounts
from server.usecases.intake import recounting
from server.usecases.intake.voiding import Voided, void_records

SLICE = 1_000
"""The records that a slice looks at."""

FAILED = "JOB_FAILED"


async def create(tx: Transaction, new: NewVoidRun) -> VoidRun:
    """Store a run, and schedule its first slice. Raises ACCOUNT_NOT_FOUND."""
    await accounts.get(tx, new.account_id)
    await store.add(tx, new)
    await jobs.add(tx, [_slice(new, await tenants.now(tx), new.only.start, "")])
    return await store.get(tx, new.account_id, new.id)


async def void_slice(tx: Transaction, job: Job) -> None:
    """Void the next records of a run, and schedule the next slice or end the run."""
    run_id = VoidRunId(UUID(job.payload["void_run_id"]))
    # The job may run twice; the second run finds its slice done.
    if not await store.lock(tx, job.account_id, run_id):
        return
    run = await store.find(tx, job.account_id, run_id)
    after = datetime.fromisoformat(job.payload["after_time"]), job.payload["after_record_id"]
    found = await store.next_records(tx, run, after=after, limit=SLICE)
    done = await _void(tx, run, found)
    if done.records:
        counted = usage_of(done.records), periods_of(done.records)
        await store.save_progress(tx, run, *counted, recounting.final_of(done.periods))
    if found.is_last or found.last is None:
        await store.finish(tx, run.account_id, run.id, VoidRunState.DONE)
    else:
        await jobs.add(tx, [_slice(run, job.fire_time, *found.last)])


async def _void(tx: Transaction, run: VoidRun, found: store.Slice) -> Voided:
    if run.is_dry:
        return Voided(tuple(found.records), await recounting.lock_periods(tx, found.records))
    return await void_records(tx, found.records, reason=run.reason, by=run.audit.created_by)


async def fail(tx: Transaction, job: Job, error: str) -> None:
    """End the run whose next slice was waived; what it voided stays voided."""
    run_id = VoidRunId(UUID(job.payload["void_run_id"]))
    text = f"{FAILED}: its next slice was given up: {error}"[:1000]
    await store.finish(tx, job.account_id, run_id, VoidRunState.FAILED, text)


async def list_runs(
    tx: Transaction, account_id: AccountId, *, after: TimeKey | None, limit: int
) -> list[VoidRun]:
    """Return an account's runs, newest first. Raises ACCOUNT_NOT_FOUND."""
    await accounts.get(tx, account_id)
    return await store.list_runs(tx, account_id, after=after, limit=limit)


def _slice(run: NewVoidRun | VoidRun, at: datetime, after_time: datetime, after_id: str) -> Job:
    return Job(
        id=JobId(derive(run.id, "slice", after_time.isoformat(), after_id)),
        kind=JobKind.VOID_USAGE,
        rank=JobKind.VOID_USAGE.rank,
        account_id=run.account_id,
        payload={
            "void_run_id": str(run.id),
            "after_time": after_time.isoformat(),
            "after_record_id": after_id,
        },
        fire_time=at,
    )
