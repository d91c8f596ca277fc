"""The clock of a sandbox: it moves from one due time to the next, and waits for the due jobs.

A run moves it by a chain of jobs, each a short transaction. Jobs that are due at one time finish,
in the order of their ranks, before the clock goes on. A job that does not finish stops the run,
whose error names it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from server.domain.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound
from server.domain.ids import JobId, RunId, derive
from server.domain.work import JobKind
from server.env import new_id
from server.store import jobs, runs
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.jobs import Job
from server.store.runs import Run

KIND = "ADVANCE_CLOCK"
# The pause before the next step while other workers still run due jobs.
PAUSE = timedelta(milliseconds=20)
STOPPED = "JOB_FAILED"
WHAT_TO_DO = "correct the cause and retry the job (RetryJob), or give it up (WaiveJob)"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceClock:
    """The time to which a sandbox's clock moves."""

    to: datetime


async def advance(tx: Transaction, command: AdvanceClock) -> Run:
    """Start to move the clock. Raises CLOCK_NOT_SANDBOX, CLOCK_BACKWARD, RUN_IN_PROGRESS."""
    clock = await tenants.lock_clock(tx)
    if clock is None:
        raise FailedPrecondition(
            "CLOCK_NOT_SANDBOX", "this tenant is not a sandbox: its clock is that of the database"
        )
    # Under the clock's lock, so that two concurrent calls cannot both start a run.
    under_way = await runs.running(tx, KIND)
    if under_way is not None:
        name = f"runs/{under_way}"
        raise Aborted("RUN_IN_PROGRESS", f"{name} is moving the clock; wait for it", {"run": name})
    if command.to < clock:
        text = f"the clock shows {clock.isoformat()} and moves forward only"
        raise InvalidArgument.at("to_time", "CLOCK_BACKWARD", text, clock_time=clock.isoformat())
    run_id = RunId(new_id())
    await runs.add(tx, run_id, kind=KIND, start=clock, target=command.to)
    await jobs.add(tx, [_step(run_id, clock, 0)])
    return await get(tx, run_id)


async def get(tx: Transaction, run_id: RunId) -> Run:
    """Return one run. Raises RUN_NOT_FOUND."""
    run = await runs.find(tx, run_id)
    if run is None:
        raise NotFound.of("Run", f"runs/{run_id}")
    return run


async def step(tx: Transaction, job: Job) -> None:
    """Do one step of a run: wait for due jobs, move to the next due time, or end."""
    run = await get(tx, RunId(UUID(job.payload["run_id"])))
    clock = await tenants.lock_clock(tx)
    # A step may run again after its run has ended.
    if clock is None or run.state != "RUNNING":
        return
    # A run must not wait forever for a job that is in quarantine or was refused.
    stuck = await runs.stuck(tx, clock, run.audit.create_time)
    if stuck is not None:
        error = f"{STOPPED}: {stuck.kind} is {stuck.state}: {stuck.error}; {WHAT_TO_DO}"
        await runs.end(tx, run.run_id, state="FAILED", error=error, failed_job_id=stuck.job_id)
        return
    due = await runs.next_due(tx, run.target_time)
    if due is None:
        await tenants.set_clock(tx, run.target_time)
        await runs.end(tx, run.run_id, state="DONE")
        return
    number = int(job.payload["number"]) + 1
    # Only to the next due time, so that each job runs while the clock shows its own time.
    if due > clock:
        await tenants.set_clock(tx, due)
        await jobs.add(tx, [_step(run.run_id, due, number)])
    else:
        await jobs.add(tx, [_step(run.run_id, clock, number)], wait=PAUSE)


async def fail(tx: Transaction, job: Job, error: str) -> None:
    """End the run whose step was waived, so that another run can start."""
    run_id = RunId(UUID(job.payload["run_id"]))
    text = f"{STOPPED}: its step was given up: {error}"
    await runs.end(tx, run_id, state="FAILED", error=text, failed_job_id=job.id)


def _step(run_id: RunId, clock: datetime, number: int) -> Job:
    return Job(
        id=JobId(derive(run_id, "step", number)),
        kind=JobKind.ADVANCE_CLOCK,
        rank=JobKind.ADVANCE_CLOCK.rank,
        payload={"run_id": str(run_id), "number": str(number)},
        fire_time=clock,
    )
