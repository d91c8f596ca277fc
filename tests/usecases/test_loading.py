"""Loadings beside recordings and corrections: nothing waits for longer than it has to, or less."""

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from server.domain.consumption.loadings import Loading
from server.domain.ids import LoadingId
from server.store import jobs
from server.store.consumption import loadings as store
from server.store.consumption.loadings import NewLoading
from server.store.transaction import read, transact
from server.usecases.intake import loadings
from server.usecases.intake.loadings import StartLoading
from server.usecases.intake.recording import RecordUsage, record
from tests.usecases.recorders import (
    ACME,
    FEBRUARY,
    HOUR,
    JANUARY,
    NOW,
    TENANT,
    asset_of,
    close,
    codes,
    usage,
)
from workers.run import run_job
from workers.tasks import wallets

KINDS = {"correct_usage": wallets.correct_usage}
TOMORROW = NOW + timedelta(days=1)


async def start(pool: asyncpg.Pool, until: datetime = TOMORROW) -> Loading:
    command = StartLoading(account_id=ACME, asset_id=asset_of("acme"), until=until)
    return await transact(pool, TENANT, lambda tx: loadings.start(tx, command))


async def end(pool: asyncpg.Pool, loading: Loading) -> Loading:
    return await transact(pool, TENANT, lambda tx: loadings.end(tx, ACME, loading.id))


async def run_next(pool: asyncpg.Pool) -> bool:
    """Run the next correction that is due; False if there is none."""
    claims = await transact(pool, TENANT, lambda tx: jobs.claim(tx, kinds=KINDS, at_most=1))
    return bool(claims) and await run_job(pool, KINDS, TENANT, claims[0])


async def job(pool: asyncpg.Pool) -> tuple[str, datetime, int]:
    async def find(tx) -> tuple[str, datetime, int]:
        [row] = await tx.fetch(
            "SELECT state, fire_time, attempts FROM jobs WHERE kind = 'correct_usage'"
        )
        return tuple(row)

    return await read(pool, TENANT, find)


@pytest.fixture
async def closed(pool: asyncpg.Pool, owner) -> asyncpg.Pool:
    await close(owner, JANUARY, FEBRUARY)
    return pool


async def test_a_correction_that_falls_due_beside_a_new_loading_postpones_itself(closed):
    assert await codes(closed, usage(time=JANUARY + HOUR)) == ["LATE"]
    # Started in a transaction that could not see the job.
    new = NewLoading(
        id=LoadingId(uuid4()), account_id=ACME, order_id=None, asset_ids=(), until=TOMORROW
    )
    await transact(closed, TENANT, lambda tx: store.add(tx, new))
    assert await job(closed) == ("PENDING", NOW, 0)

    assert await run_next(closed)

    assert await job(closed) == ("PENDING", TOMORROW, 0)
    assert not await run_next(closed)
    assert await codes(closed, usage("r2", time=FEBRUARY + HOUR)) == ["LATE"]
    await transact(closed, TENANT, lambda tx: loadings.end(tx, ACME, new.id))
    assert await job(closed) == ("PENDING", NOW, 0)


async def test_whoever_ends_a_loading_waits_for_what_is_recorded_for_it(closed):
    loading = await start(closed)
    is_recorded, may_commit = asyncio.Event(), asyncio.Event()

    async def slowly(tx) -> None:
        await record(tx, RecordUsage(records=(usage(time=JANUARY + HOUR),)))
        is_recorded.set()
        await may_commit.wait()

    recording = asyncio.create_task(transact(closed, TENANT, slowly))
    await is_recorded.wait()
    ending = asyncio.create_task(end(closed, loading))
    done, _ = await asyncio.wait([ending], timeout=0.3)
    may_commit.set()
    await asyncio.gather(recording, ending)

    assert not done
    assert await job(closed) == ("PENDING", NOW, 0)


async def test_what_has_begun_before_a_loading_is_done(closed):
    """A claim that is older than the loading is void, and the job waits."""
    await codes(closed, usage(time=JANUARY + HOUR))
    [claim] = await transact(closed, TENANT, lambda tx: jobs.claim(tx, kinds=KINDS, at_most=1))

    await start(closed)

    assert not await run_job(closed, KINDS, TENANT, claim)
    assert await job(closed) == ("PENDING", TOMORROW, 0)


async def test_loadings_that_start_and_end_at_once_leave_nothing_waiting(closed):
    async def load(number: int) -> None:
        loading = await start(closed, TOMORROW + timedelta(hours=number))
        assert await codes(closed, usage(f"r{number}", time=JANUARY + HOUR)) == ["LATE"]
        await end(closed, loading)

    for turn in range(5):
        await asyncio.gather(*(load(turn * 6 + number) for number in range(6)))

        assert await job(closed) == ("PENDING", NOW, 0)
