"""A rating batch is rated once and whole, whatever becomes of the workers that try."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal

import asyncpg
import pytest

from server.domain.billing.rating_batches import RatingBatch, RequestState
from server.domain.ids import AccountId
from server.store import jobs
from server.store.billing import rating_batches as store
from server.store.transaction import read, transact
from server.usecases.intake import rating_batches
from server.usecases.intake.rating_batches import CreateRatingBatch
from tests.usecases.recorders import TENANT, usage
from workers.run import Task, run_job
from workers.tasks.registry import TASKS

ACME = AccountId("acme")


async def asked(pool: asyncpg.Pool) -> RatingBatch:
    lines = tuple(usage(f"~{n}", quantity) for n, quantity in enumerate((3, 5)))
    command = CreateRatingBatch(account_id=ACME, lines=lines, skips_waterfall=False)
    return await transact(pool, TENANT, lambda tx: rating_batches.create(tx, command))


async def now(pool: asyncpg.Pool, request: RatingBatch) -> RatingBatch:
    return await read(pool, TENANT, lambda tx: store.get(tx, ACME, request.id))


async def run_next(pool: asyncpg.Pool, tasks: Mapping[str, Task] = TASKS) -> bool:
    """Claim the next rating batch and run it; returns whether it ended."""
    claims = await transact(
        pool, TENANT, lambda tx: jobs.claim(tx, kinds=["rate_batch"], at_most=1)
    )
    return bool(claims) and await run_job(pool, tasks, TENANT, claims[0])


async def test_a_worker_that_dies_leaves_it_pending_and_the_next_rates_it_whole(pool, owner):
    request = await asked(pool)

    async def die(tx, job) -> None:
        await rating_batches.rate(tx, job)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run_next(pool, {**TASKS, "rate_batch": die})
    dead = await now(pool, request)
    done: list[bool] = []
    async with asyncio.timeout(30):
        while True not in done:  # what the dead one held may be let go a moment later
            await owner.execute("UPDATE jobs SET available_time = now() WHERE state = 'PENDING'")
            tries = (run_next(pool) for _ in range(6))
            done += await asyncio.gather(*tries)
    rated = await now(pool, request)

    assert (dead.state, dead.results) == (RequestState.PENDING, ())
    assert done.count(True) == 1
    assert rated.state is not RequestState.PENDING
    assert [one.used for one in rated.results] == [Decimal(3), Decimal(5)]


async def test_what_is_rated_is_not_rated_again(pool, owner):
    request = await asked(pool)
    await run_next(pool)
    first = await now(pool, request)
    # As if the mark that the job is done had been lost.
    await owner.execute("UPDATE jobs SET state = 'PENDING', available_time = now()")
    await owner.execute("UPDATE tenants SET clock_time = clock_time + interval '1 hour'")

    assert await run_next(pool)
    assert repr(await now(pool, request)) == repr(first)  # errors have no other equality
