"""Jobs: rung twice, at once, killed half-way, refused, never ending: one effect, or a reason."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from server.domain.errors import Aborted, FailedPrecondition
from server.domain.ids import AccountId, JobId
from server.store import jobs
from server.store.jobs import MOST_ATTEMPTS, Job
from server.store.transaction import read, transact
from tests.workers.conftest import START, TENANT, ask, run_next


def job(kind: str = "rename", *, fire_time: datetime = START, rank: int = 0) -> Job:
    payload = {"name": "renamed"}
    return Job(id=JobId(uuid4()), kind=kind, rank=rank, payload=payload, fire_time=fire_time)


async def state(pool: asyncpg.Pool, job: Job) -> tuple[str, int, str]:
    async def find(tx) -> tuple[str, int, str]:
        row = await tx.fetchrow("SELECT state, attempts, error FROM jobs WHERE job_id = $1", job.id)
        return tuple(row)

    return await read(pool, TENANT, find)


async def effects(pool: asyncpg.Pool) -> int:
    async def count(tx) -> int:
        return await tx.fetchval("SELECT catalog_revision - 1 FROM tenants")

    return await read(pool, TENANT, count)


async def rest_is_over(owner, job: Job) -> None:
    await owner.execute("UPDATE jobs SET available_time = now() WHERE job_id = $1", job.id)


async def rename(tx, job) -> None:
    """An effect that can be counted."""
    await tx.execute("UPDATE tenants SET catalog_revision = catalog_revision + 1")


TASKS = {"rename": rename}


async def test_a_job_rung_by_many_at_once_takes_effect_once(pool):
    wanted = job()
    await ask(pool, wanted, wanted)

    done = await asyncio.gather(*(run_next(pool, TASKS) for _ in range(12)))

    assert (done.count(True), await effects(pool)) == (1, 1)
    assert await state(pool, wanted) == ("DONE", 1, "")


async def test_a_worker_that_dies_half_way_leaves_no_effect_and_is_overtaken(pool, owner):
    wanted = job()
    await ask(pool, wanted)

    async def die(tx, job) -> None:
        await rename(tx, job)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run_next(pool, {"rename": die})
    assert await effects(pool) == 0
    await rest_is_over(owner, wanted)

    assert await run_next(pool, TASKS)
    assert (await effects(pool), await state(pool, wanted)) == (1, ("DONE", 2, ""))


async def test_a_worker_that_was_overtaken_takes_no_effect(pool, owner):
    wanted = job()
    await ask(pool, wanted)
    [slow] = await transact(pool, TENANT, lambda tx: jobs.claim(tx, kinds=TASKS, at_most=5))
    await rest_is_over(owner, wanted)

    assert await run_next(pool, TASKS)
    late = await transact(pool, TENANT, lambda tx: jobs.lock(tx, wanted.id, slow.attempt))

    assert (late, await effects(pool)) == (None, 1)


async def test_a_refusal_is_final_and_says_why(pool):
    wanted = job()
    await ask(pool, wanted)

    async def refuse(tx, job) -> None:
        await rename(tx, job)
        raise FailedPrecondition("RATE_NOT_FOUND", "no rate in CHF")

    assert await run_next(pool, {"rename": refuse})

    assert await state(pool, wanted) == ("FAILED", 1, "RATE_NOT_FOUND: no rate in CHF")
    assert await effects(pool) == 0


@pytest.mark.parametrize(
    "fault",
    [
        asyncpg.DiskFullError("no space left on device"),
        asyncpg.QueryCanceledError("statement timeout"),
        TimeoutError(),
    ],
    ids=["full disk", "statement timeout", "no time left"],
)
async def test_what_the_store_cannot_do_now_is_tried_again(pool, owner, fault):
    """A full disk once ended jobs for good, as if the domain had refused them."""
    wanted = job()
    await ask(pool, wanted)
    faults = [fault]

    async def work(tx, job) -> None:
        if faults:
            raise faults.pop()
        await rename(tx, job)

    assert not await run_next(pool, {"rename": work})
    assert (await state(pool, wanted))[:2] == ("PENDING", 1)
    await rest_is_over(owner, wanted)
    assert await run_next(pool, {"rename": work})

    assert (await state(pool, wanted))[0] == "DONE"


async def test_eight_attempts_without_an_end_are_quarantine_and_a_retry_begins_anew(pool, owner):
    wanted = job()
    await ask(pool, wanted)

    async def fail(tx, job) -> None:
        raise ZeroDivisionError("poison")

    for _ in range(MOST_ATTEMPTS + 1):
        assert not await run_next(pool, {"rename": fail})
        await rest_is_over(owner, wanted)

    assert await state(pool, wanted) == (
        "QUARANTINED",
        MOST_ATTEMPTS + 1,
        "ZeroDivisionError: poison",
    )
    assert not await run_next(pool, TASKS)

    assert await transact(pool, TENANT, lambda tx: jobs.retry(tx, wanted.id))
    assert await run_next(pool, TASKS)
    assert await effects(pool) == 1


async def test_a_kind_that_nobody_here_knows_is_left_alone(pool):
    wanted = job("of_tomorrow")
    await ask(pool, wanted)

    assert not await run_next(pool, TASKS)

    assert await state(pool, wanted) == ("PENDING", 0, "")


async def test_what_is_due_goes_by_the_tenants_clock_and_in_order(pool, owner):
    second = job(rank=2)
    first = job(rank=1)
    tomorrow = job(fire_time=START + timedelta(days=1))
    await ask(pool, second, tomorrow, first)

    async def claim(at_most: int) -> list[JobId]:
        claims = await transact(
            pool, TENANT, lambda tx: jobs.claim(tx, kinds=TASKS, at_most=at_most)
        )
        return [claim.job_id for claim in claims]

    assert await claim(1) == [first.id]
    assert await claim(5) == [second.id]
    assert await claim(5) == []
    await owner.execute("UPDATE tenants SET clock_time = $1", tomorrow.fire_time)
    assert await claim(5) == [tomorrow.id]


async def test_a_refused_job_can_be_begun_anew_and_given_up(pool):
    wanted = job()
    await ask(pool, wanted)

    async def refuse(tx, job) -> None:
        raise FailedPrecondition("RATE_NOT_FOUND", "no rate in CHF")

    await run_next(pool, {"rename": refuse})
    assert await transact(pool, TENANT, lambda tx: jobs.retry(tx, wanted.id))
    assert await state(pool, wanted) == ("PENDING", 0, "RATE_NOT_FOUND: no rate in CHF")
    await run_next(pool, {"rename": refuse})
    given_up = await transact(pool, TENANT, lambda tx: jobs.waive(tx, wanted.id))

    assert given_up == wanted
    assert not await transact(pool, TENANT, lambda tx: jobs.retry(tx, wanted.id))


async def test_a_claim_that_is_given_back_costs_nothing(pool):
    wanted = job()
    await ask(pool, wanted)
    claims = await transact(pool, TENANT, lambda tx: jobs.claim(tx, kinds=TASKS, at_most=5))
    await transact(pool, TENANT, lambda tx: jobs.give_back(tx, claims))

    assert await state(pool, wanted) == ("PENDING", 0, "")
    assert await run_next(pool, TASKS)


async def test_a_retry_also_begins_what_stopped_because_of_the_job(pool, owner):
    """The closes of later periods, which wait for the refused one and give up one day."""
    first, second, other = (
        replace(job(fire_time=START - timedelta(days=age)), account_id=AccountId("ann"))
        for age in (3, 2, 1)
    )
    await ask(pool, first)

    async def refuse(tx, job) -> None:
        raise FailedPrecondition("RATE_NOT_FOUND", "no rate in CHF")

    async def wait(tx, job) -> None:
        raise Aborted("PREVIOUS_PERIOD_OPEN", "the period before has to be closed first")

    assert await run_next(pool, {"rename": refuse})
    await ask(pool, second)
    assert not await run_next(pool, {"rename": wait})
    await ask(pool, other)
    await owner.execute("UPDATE jobs SET state = 'QUARANTINED' WHERE state = 'PENDING'")
    await owner.execute("UPDATE jobs SET error = 'a bug' WHERE job_id = $1", other.id)
    assert await transact(pool, TENANT, lambda tx: jobs.retry(tx, first.id))

    assert [(await state(pool, one))[0] for one in (first, second, other)] == [
        "PENDING",
        "PENDING",
        "QUARANTINED",
    ]
