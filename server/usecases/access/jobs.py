"""Stopped jobs: retry or waive them."""

from collections.abc import Awaitable, Callable

from server.domain.errors import FailedPrecondition, NotFound
from server.domain.ids import JobId
from server.domain.work import JobKind
from server.store import jobs as store
from server.store.connection import Transaction
from server.store.jobs import Job, JobRow
from server.usecases import clock
from server.usecases.intake import rating_batches, record_runs
from server.usecases.lifecycle import reprice_runs
from server.usecases.validation import catalog_run

# Called when a job of this kind is waived: its run or batch would otherwise stay pending forever.
WAITING: dict[str, Callable[[Transaction, Job, str], Awaitable[None]]] = {
    JobKind.VALIDATE_CATALOG: catalog_run.fail,
    JobKind.RATE_BATCH: rating_batches.fail,
    JobKind.CHANGE_RECORDS: record_runs.fail,
    JobKind.REPRICE: reprice_runs.fail,
    JobKind.ADVANCE_CLOCK: clock.fail,
}


async def retry(tx: Transaction, job_id: JobId) -> JobRow:
    """Restart a refused or quarantined job, and the closes that stopped because of it.

    Raises JOB_NOT_FOUND, ITEM_STATE.
    """
    was_stuck = await store.retry(tx, job_id)
    return await _after(tx, job_id, was_stuck)


async def waive(tx: Transaction, job_id: JobId) -> JobRow:
    """Give up a job and the jobs that wait for it. Raises JOB_NOT_FOUND, ITEM_STATE."""
    given_up = await store.waive(tx, job_id)
    job = await _after(tx, job_id, given_up is not None)
    if given_up is not None and given_up.kind in WAITING:
        await WAITING[given_up.kind](tx, given_up, job.error)
    return job


async def _after(tx: Transaction, job_id: JobId, was_stuck: bool) -> JobRow:
    job = await store.find(tx, job_id)
    if job is None:
        raise NotFound.of("Job", f"jobs/{job_id}")
    if not was_stuck:
        text = (
            f"the job is {job.state}; refused and quarantined jobs can be retried or waived, and"
            " closes and corrections that were waived can be retried"
        )
        raise FailedPrecondition("ITEM_STATE", text, {"state": job.state})
    return job
