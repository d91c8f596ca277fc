"""A void run does each slice once, whatever becomes of the workers that try."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import asyncpg
import pytest

from server.domain.consumption.void_runs import VoidFilter, VoidRun, VoidRunState
from server.domain.errors import Aborted
from server.domain.ids import VoidRunId
from server.env import new_id
from server.store import jobs
from server.store.consumption import amendments as records
from server.store.consumption import void_runs as store
from server.store.consumption.void_runs import NewVoidRun
from server.store.transaction import read, transact
from server.usecases.billing.verification import verify_account
from server.usecases.intake import void_runs, voiding
from tests.usecases.recorders import ACME, MARCH, TENANT, codes, usage
from workers.run import Task, run_job
from workers.tasks.registry import TASKS

MINUTE = timedelta(minutes=1)


async def begun(pool: asyncpg.Pool, count: int) -> VoidRun:
    """A run of one minute in which records are, and of none behind it."""
    made = [usage(f"r{n:05}", 2, MARCH + n * MINUTE / count) for n in range(count)]
    for start in range(0, count, 1_000):
        await codes(pool, *made[start : start + 1_000])
    await codes(pool, usage("behind", 3, MARCH + MINUTE))
    only = VoidFilter(start=MARCH, end=MARCH + MINUTE, labels={})
    new = NewVoidRun(id=VoidRunId(new_id()), account_id=ACME, only=only, reason="why", is_dry=False)
    return await transact(pool, TENANT, lambda tx: void_runs.create(tx, new))


async def now(pool: asyncpg.Pool, run: VoidRun) -> VoidRun:
    return await read(pool, TENANT, lambda tx: store.get(tx, ACME, run.id))


async def run_next(pool: asyncpg.Pool, tasks: Mapping[str, Task] = TASKS) -> bool:
    """Claim the next slice and do it; returns whether it ended."""
    claims = await transact(
        pool, TENANT, lambda tx: jobs.claim(tx, kinds=["void_usage"], at_most=1)
    )
    return bool(claims) and await run_job(pool, tasks, TENANT, claims[0])


async def test_a_slice_of_a_worker_that_dies_is_done_again_as_a_whole(pool, owner):
    run = await begun(pool, 2_500)

    async def die(tx, job) -> None:
        await void_runs.void_slice(tx, job)
        raise asyncio.CancelledError

    assert await run_next(pool)
    with pytest.raises(asyncio.CancelledError):
        await run_next(pool, {**TASKS, "void_usage": die})
    dead = await now(pool, run)
    async with asyncio.timeout(30):
        while (await now(pool, run)).state is VoidRunState.RUNNING:
            # What the dead one held may be let go a moment later.
            await owner.execute("UPDATE jobs SET available_time = now() WHERE state = 'PENDING'")
            await asyncio.gather(*(run_next(pool) for _ in range(3)))
    done = await now(pool, run)

    assert (dead.state, dead.record_count) == (VoidRunState.RUNNING, 1_000)
    assert (done.state, done.record_count) == (VoidRunState.DONE, 2_500)
    assert [(one.count, one.quantity) for one in done.usage] == [(2_500, 5_000)]
    assert [(one.count, one.is_final) for one in done.periods] == [(2_500, False)]
    left = await owner.fetch("SELECT record_id FROM usage_records WHERE state = 'ACTIVE'")
    assert [row["record_id"] for row in left] == ["behind"]
    verified = await read(pool, TENANT, lambda tx: verify_account(tx, ACME), snapshot=True)
    assert verified.findings == ()


async def test_a_run_whose_slice_is_given_up_has_failed(pool):
    run = await begun(pool, 3)

    claims = await transact(
        pool, TENANT, lambda tx: jobs.claim(tx, kinds=["void_usage"], at_most=1)
    )
    [claim] = claims
    job = await transact(pool, TENANT, lambda tx: jobs.lock(tx, claim.job_id, claim.attempt))
    await transact(pool, TENANT, lambda tx: void_runs.fail(tx, job, "no luck"))
    failed = await now(pool, run)
    await transact(pool, TENANT, lambda tx: void_runs.void_slice(tx, job))

    assert failed.state is VoidRunState.FAILED
    assert failed.error == "JOB_FAILED: its next slice was given up: no luck"
    assert await now(pool, run) == failed


async def test_a_record_that_is_amended_meanwhile_is_not_voided_as_it_was(pool, owner):
    await codes(pool, usage("a", 2, MARCH))
    key = (ACME, "a")
    [known] = (await read(pool, TENANT, lambda tx: records.find_known(tx, [key]))).values()
    await owner.execute(
        "UPDATE usage_records SET revision = 2, amend_time = now() WHERE record_id = 'a'"
    )

    with pytest.raises(Aborted) as refused:
        await transact(pool, TENANT, lambda tx: voiding.void_records(tx, [known], reason=""))

    assert refused.value.reason == "CONCURRENT_CHANGE"
