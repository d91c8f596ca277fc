"""Void or amend all usage that matches a filter: a run in slices, each a job that adds the next.

A slice is one transaction, which moves the run on to the last record that it looked at. If a worker
dies, its slice is done again as a whole, and nothing is changed twice.
"""

from datetime import datetime
from uuid import UUID

from server.domain.consumption.record_runs import RecordEffect, RecordRun, RecordRunState, RunKind
from server.domain.ids import AccountId, JobId, RecordRunId, derive
from server.domain.work import JobKind
from server.store import jobs
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.consumption import record_run_money
from server.store.consumption import record_runs as store
from server.store.consumption.record_runs import NewRecordRun
from server.store.jobs import Job
from server.store.keys import TimeKey
from server.store.selling import accounts
from server.store.transaction import Savepoint
from server.usecases.billing.trials import NotTried
from server.usecases.intake.record_changes import change_records
from server.usecases.intake.run_trials import tried

SLICE = 1_000
"""The records that a slice looks at."""

FAILED = "JOB_FAILED"


async def create(tx: Transaction, new: NewRecordRun) -> RecordRun:
    """Store a run, and add its first slice. Raises ACCOUNT_NOT_FOUND."""
    await accounts.get(tx, new.account_id)
    await store.add(tx, new)
    await jobs.add(tx, [_slice(new, await tenants.now(tx), (new.only.start, ""))])
    kind = RunKind.VOID if new.change is None else RunKind.AMEND
    return await store.get(tx, new.account_id, new.id, kind)


async def change_slice(tx: Transaction, job: Job) -> None:
    """Change the next records of a run, and add the next slice or end the run.

    A dry run is tried as a whole first, so that it tells the money; if that is too much, it is done
    in slices too, and each of them is taken back.
    """
    run_id = RecordRunId(UUID(job.payload["record_run_id"]))
    after = datetime.fromisoformat(job.payload["after_time"]), job.payload["after_record_id"]
    if not await store.lock(tx, job.account_id, run_id):
        return
    run = await store.find(tx, job.account_id, run_id)
    # The job may run twice; the second run finds its slice done.
    if run is None or run.cursor != after:
        return
    if run.is_dry and run.cursor == (run.only.start, ""):
        trial = await tried(tx, run, SLICE)
        if not isinstance(trial, NotTried):
            await store.save_progress(tx, run, trial.effect, trial.last)
            await record_run_money.save(tx, run, trial.money)
            await store.finish(tx, run.account_id, run.id, RecordRunState.DONE)
            return
        await record_run_money.note_none(tx, run, trial.reason)
    found = await store.next_records(tx, run, after=after, limit=SLICE)
    await store.save_progress(tx, run, await _effect(tx, run, found), found.last)
    if found.is_last:
        await store.finish(tx, run.account_id, run.id, RecordRunState.DONE)
    else:
        await jobs.add(tx, [_slice(run, job.fire_time, found.last)])


async def _effect(tx: Transaction, run: RecordRun, found: store.Slice) -> RecordEffect:
    if not run.is_dry:
        return await change_records(tx, run, found.records)
    before = Savepoint(tx)
    await before.make()
    effect = await change_records(tx, run, found.records)
    await before.roll_back()
    return effect


async def fail(tx: Transaction, job: Job, error: str) -> None:
    """End the run whose next slice was waived; what it changed stays changed."""
    run_id = RecordRunId(UUID(job.payload["record_run_id"]))
    text = f"{FAILED}: its next slice was given up: {error}"[:1000]
    await store.finish(tx, job.account_id, run_id, RecordRunState.FAILED, text)


async def list_runs(
    tx: Transaction, account_id: AccountId, kind: RunKind, *, after: TimeKey | None, limit: int
) -> list[RecordRun]:
    """Return an account's runs of one kind, newest first. Raises ACCOUNT_NOT_FOUND."""
    await accounts.get(tx, account_id)
    return await store.list_runs(tx, account_id, kind, after=after, limit=limit)


def _slice(run: NewRecordRun | RecordRun, at: datetime, after: tuple[datetime, str]) -> Job:
    return Job(
        id=JobId(derive(run.id, "slice", after[0].isoformat(), after[1])),
        kind=JobKind.CHANGE_RECORDS,
        rank=JobKind.CHANGE_RECORDS.rank,
        account_id=run.account_id,
        payload={
            "record_run_id": str(run.id),
            "after_time": after[0].isoformat(),
            "after_record_id": after[1],
        },
        fire_time=at,
    )
