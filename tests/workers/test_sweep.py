"""The sweep: in order, in spite of trouble, and woken by a bell that may be broken."""

import asyncio
import gc
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg

from server.config import read_config
from server.domain.errors import Aborted, Unavailable
from server.domain.ids import AccountId, JobId, TenantId
from server.doorbell import Doorbell, dump, load
from server.local.redis import Redis
from server.store import jobs
from server.store.jobs import Job
from server.store.transaction import transact
from tests.logins import as_service
from tests.workers.conftest import START, TENANT
from workers.settings import answer
from workers.sweep import sweep_for_ever, sweep_once


def job(name: str, *, account: str = "ann", minutes: int = 0, rank: int = 0) -> Job:
    return Job(
        id=JobId(uuid4()),
        kind="note",
        rank=rank,
        account_id=AccountId(account),
        payload={"name": name},
        fire_time=START - timedelta(hours=1) + timedelta(minutes=minutes),
    )


async def ask(pool: asyncpg.Pool, *wanted: Job) -> None:
    await transact(pool, TENANT, lambda tx: jobs.add(tx, TENANT, wanted))


class Notes:
    """A task that notes the names of the jobs it does; it fails those it is told to."""

    def __init__(self, *failing: str) -> None:
        self.names: list[str] = []
        self.failing = set(failing)
        self.added = asyncio.Event()

    async def has(self, name: str) -> None:
        """Wait until the job of that name was done."""
        while name not in self.names:
            self.added.clear()
            await self.added.wait()

    async def __call__(self, _tx, _tenant_id, job: Job) -> None:
        name = job.payload["name"]
        if name in self.failing:
            raise Aborted("CONCURRENT_CHANGE", "not yet")
        self.names.append(name)
        self.added.set()


async def test_one_tenants_jobs_go_by_moment_and_rank(pool):
    notes = Notes()
    await ask(
        pool, job("third", minutes=1), job("second", rank=1), job("first"), job("last", minutes=2)
    )

    swept = await sweep_once(pool, {"note": notes}, 4)

    assert (swept.due, swept.ended) == (4, 4)
    assert notes.names == ["first", "second", "third", "last"]


async def test_a_job_that_rests_holds_up_its_account_and_nobody_else(pool):
    notes = Notes("close")
    await ask(
        pool, job("close"), job("refresh", rank=1), job("other", account="bob", minutes=1, rank=1)
    )

    await sweep_once(pool, {"note": notes}, 4)
    assert notes.names == ["other"]
    notes.failing.clear()
    async with asyncio.timeout(5):
        while "refresh" not in notes.names:
            await sweep_once(pool, {"note": notes}, 4)
            await asyncio.sleep(0.05)
    assert notes.names == ["other", "close", "refresh"]


async def test_a_cut_connection_ends_no_worker(pool, database: str):
    notes = Notes()

    async def count(tx, tenant_id: TenantId, job: Job) -> None:
        """An effect that is undone with its transaction, which a note in memory is not."""
        await tx.execute("UPDATE tenants SET catalogue_revision = catalogue_revision + 1")
        await notes(tx, tenant_id, job)

    config = read_config(database_url=as_service(database), sweep_seconds=0.05)
    admin = await asyncpg.connect(database)
    working = asyncio.create_task(sweep_for_ever(pool, {"note": count}, config))
    for number in range(20):
        await asyncio.sleep(0.02)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with suppress(Unavailable):
            await ask(pool, job(f"{number}", account=f"a{number}", minutes=number))
    last = job("after", minutes=30)
    for _ in range(3):  # a call gives up on its third dead connection, and may be sent again
        with suppress(Unavailable):
            await ask(pool, last)

    async with asyncio.timeout(20):
        await notes.has("after")
    assert not working.done()
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    effects, done = await admin.fetchrow(
        "SELECT catalogue_revision - 1, (SELECT count(*) FROM jobs WHERE state = 'DONE')"
        " FROM tenants"
    )
    assert effects == done > 0
    await admin.close()


async def test_a_ring_wakes_the_worker_and_a_dead_redis_costs_a_second_until_it_is_back(
    pool, database: str, tmp_path: Path
):
    redis = await asyncio.to_thread(Redis.start, tmp_path / "redis", unsafe=True)
    bell = asyncio.Event()
    listening = asyncio.create_task(answer(bell, redis.url))
    notes = Notes()
    config = read_config(database_url=as_service(database), sweep_seconds=1.0)
    working = asyncio.create_task(sweep_for_ever(pool, {"note": notes}, config, bell=bell))
    doorbell = Doorbell(redis.url)
    await doorbell.start()
    await asyncio.sleep(0.5)

    async def seconds_until_done(name: str) -> float:
        started = time.monotonic()
        await ask(pool, job(name))
        doorbell.ring()
        async with asyncio.timeout(10):
            await notes.has(name)
        return time.monotonic() - started

    rung = sorted([await seconds_until_done(f"rung-{n}") for n in range(5)])[2]
    await asyncio.to_thread(redis.stop)
    silent = await seconds_until_done("silent")
    redis = await asyncio.to_thread(Redis.start, tmp_path / "redis", unsafe=True)
    # Both sides come back by themselves, after rests that grow to seconds.
    again = 9.0
    for attempt in range(20):
        again = min(again, await seconds_until_done(f"again-{attempt}"))
        await asyncio.sleep(0.3 if again > 0.3 else 0)
    await asyncio.to_thread(redis.stop)
    for task in (listening, working):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await doorbell.close()
    gc.collect()  # what was left open would be complained of in somebody else's test

    assert rung < 0.3
    assert silent < 2.5
    assert again < 0.3


def test_what_goes_through_redis_is_json():
    message = {"t": 1, "f": "sweep", "a": [], "k": {}}

    assert dump(message).startswith(b"{")
    assert load(dump(message)) == message
