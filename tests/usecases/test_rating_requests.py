"""A rating request is rated once and whole, whatever becomes of the workers that try."""

import asyncio
from decimal import Decimal

import asyncpg
import pytest

from server.domain.ids import AccountId, JobId, derive
from server.domain.pricing.rating_requests import RatingRequest, RequestState
from server.store.pricing import rating_requests as store
from server.store.transaction import read, transact
from server.usecases.pricing import rating_requests
from server.usecases.pricing.rating_requests import CreateRatingRequest
from tests.usecases.recorders import TENANT, usage
from workers.run import run_job
from workers.tasks.registry import TASKS

ACME = AccountId("acme")


async def asked(pool: asyncpg.Pool) -> RatingRequest:
    lines = tuple(usage(f"~{n}", quantity) for n, quantity in enumerate((3, 5)))
    command = CreateRatingRequest(account_id=ACME, lines=lines, skips_waterfall=False)
    return await transact(pool, TENANT, lambda tx: rating_requests.create(tx, TENANT, command))


async def now(pool: asyncpg.Pool, request: RatingRequest) -> RatingRequest:
    return await read(pool, TENANT, lambda tx: store.get(tx, TENANT, ACME, request.id))


def job_of(request: RatingRequest) -> JobId:
    return JobId(derive(request.id, "rate"))


async def test_a_worker_that_dies_leaves_it_pending_and_the_next_rates_it_whole(pool, owner):
    request = await asked(pool)

    async def die(tx, tenant_id, job) -> None:
        await rating_requests.rate(tx, tenant_id, job)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run_job(pool, {**TASKS, "rate_request": die}, TENANT, job_of(request))
    dead = await now(pool, request)
    done: list[bool] = []
    async with asyncio.timeout(30):
        while True not in done:  # what the dead one held may be let go a moment later
            await owner.execute("UPDATE jobs SET available_time = now() WHERE state = 'PENDING'")
            tries = (run_job(pool, TASKS, TENANT, job_of(request)) for _ in range(6))
            done += await asyncio.gather(*tries)
    rated = await now(pool, request)

    assert (dead.state, dead.results) == (RequestState.PENDING, ())
    assert done.count(True) == 1
    assert rated.state is not RequestState.PENDING
    assert [one.used for one in rated.results] == [Decimal(3), Decimal(5)]


async def test_what_is_rated_is_not_rated_again(pool, owner):
    request = await asked(pool)
    await run_job(pool, TASKS, TENANT, job_of(request))
    first = await now(pool, request)
    # As if the mark that the job is done had been lost.
    await owner.execute("UPDATE jobs SET state = 'PENDING', available_time = now()")
    await owner.execute("UPDATE tenants SET clock_time = clock_time + interval '1 hour'")

    assert await run_job(pool, TASKS, TENANT, job_of(request))
    assert repr(await now(pool, request)) == repr(first)  # errors have no other equality
