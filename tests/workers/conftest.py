"""A database with one sandbox tenant, whose clock stands at the start of 2024, and its jobs."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from server.config import read_config
from server.domain.errors import Aborted
from server.domain.ids import AccountId, JobId, TenantId
from server.store import jobs
from server.store.jobs import Job
from server.store.pool import open_pool
from server.store.transaction import finish_commits, transact
from tests.logins import as_service
from workers.run import Task, run_job
from workers.sweep import sweep_for_ever

TENANT = TenantId(uuid4())
START = datetime(2024, 1, 1, tzinfo=UTC)


# Where a job's moment does not matter, it is due for an hour.
HOUR_AGO = START - timedelta(hours=1)


def job(name: str, *, account: str = "ann", minutes: int = 0, rank: int = 0) -> Job:
    """A job that is due since before the clock's time."""
    return Job(
        id=JobId(uuid4()),
        kind="note",
        rank=rank,
        account_id=AccountId(account),
        payload={"name": name},
        fire_time=HOUR_AGO + timedelta(minutes=minutes),
    )


async def ask(pool: asyncpg.Pool, *wanted: Job, tenant: TenantId = TENANT) -> None:
    await transact(pool, tenant, lambda tx: jobs.add(tx, wanted))


async def run_next(pool: asyncpg.Pool, tasks: Mapping[str, Task]) -> bool:
    """Claim the next job of the tenant and run it; returns whether one ended."""
    claims = await transact(pool, TENANT, lambda tx: jobs.claim(tx, kinds=tasks, at_most=1))
    return bool(claims) and await run_job(pool, tasks, TENANT, claims[0])


async def add_tenant(pool: asyncpg.Pool, name: str, clock: datetime | None) -> TenantId:
    """A tenant; a sandbox if it has a clock."""
    tenant = TenantId(uuid4())
    await transact(
        pool,
        tenant,
        lambda tx: tx.execute(
            "INSERT INTO tenants (tenant_id, id, clock_start_time, clock_time)"
            " VALUES ($1, $2, $3, $3)",
            tenant,
            name,
            clock,
        ),
    )
    return tenant


@asynccontextmanager
async def sweeping(
    pool: asyncpg.Pool, tasks: Mapping[str, Task], **settings: object
) -> AsyncIterator[None]:
    """A worker beside the test."""
    config = read_config(database_url="unused", **{"sweep_seconds": 0.05, **settings})
    working = asyncio.create_task(sweep_for_ever(pool, tasks, config))
    try:
        yield
        assert not working.done()
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


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

    async def has_count(self, count: int) -> None:
        """Wait until so many jobs were done."""
        while len(self.names) < count:
            self.added.clear()
            await self.added.wait()

    async def __call__(self, _tx, job: Job) -> None:
        name = job.payload["name"]
        if name in self.failing:
            raise Aborted("CONCURRENT_CHANGE", "not yet")
        self.names.append(name)
        self.added.set()


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(as_service(database), size=6)

    async def add_sandbox(tx) -> None:
        await tx.execute(
            "INSERT INTO tenants (tenant_id, id, clock_start_time, clock_time)"
            " VALUES ($1, 'acme', $2, $2)",
            TENANT,
            START,
        )

    await transact(pool, TENANT, add_sandbox)
    yield pool
    await finish_commits()
    await pool.close()
