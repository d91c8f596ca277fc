"""The clock of a sandbox: it moves from one due moment to the next, and waits for what is due.

A run moves it by a chain of jobs, each a short transaction. Jobs due at one moment are done in the
order of their ranks before the clock goes on; one that will not end stops the run and is named.
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
# How long a step waits for jobs that others have in hand.
PAUSE = timedelta(milliseconds=20)
STOPPED = "JOB_FAILED"
WHAT_TO_DO = "correct the cause and retry the job (RetryJob), or give it up (WaiveJob)"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceClock:
    """Where a sandbox's clock is to go."""

    to: datetime


async def advance(tx: Transaction, command: AdvanceClock) -> Run:
    """Begin to move the clock. Raises CLOCK_NOT_SANDBOX, CLOCK_BACKWARD, RUN_IN_PROGRESS."""
    clock = await tenants.lock_clock(tx)
    if clock is None:
        raise FailedPrecondition(
            "CLOCK_NOT_SANDBOX", "the clock of this tenant is the database's; nobody moves it"
        )
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
    """One run. Raises RUN_NOT_FOUND."""
    run = await runs.find(tx, run_id)
    if run is None:
        raise NotFound.of("Run", f"runs/{run_id}")
    return run


async def step(tx: Transaction, job: Job) -> None:
    """Take one step of a run: wait for what is due, go on to the next moment, or end."""
    run = await get(tx, RunId(UUID(job.payload["run_id"])))
    clock = await tenants.lock_clock(tx)
    if clock is None or run.state != "RUNNING":
        return
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
    if due > clock:
        await tenants.set_clock(tx, due)
        await jobs.add(tx, [_step(run.run_id, due, number)])
    else:
        await jobs.add(tx, [_step(run.run_id, clock, number)], wait=PAUSE)


async def give_up(tx: Transaction, job: Job, error: str) -> None:
    """End the run whose step was given up, so that another may begin."""
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
