"""The sweep: claims due jobs, tenant by tenant, and runs them in a few parallel slots.

Jobs are claimed while others run, so that no slot waits for the slowest job of a round. Tenants
take turns, both for claims and for starts: a tenant with one due job waits for about one job of
each other tenant, however many they have. Redis is not required.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress

import asyncpg
import structlog

from server.config import Config
from server.domain.errors import UsageError
from server.domain.ids import TenantId
from server.store import jobs
from server.store.jobs import Claim
from server.store.shares import SharedPool
from server.store.transaction import read_control, transact
from workers.backlog import Backlog
from workers.housekeeping import chores_of, run_housekeeping
from workers.run import Task, run_job

log = structlog.get_logger("sweep")

# The pause between two searches for tenants while jobs are due.
BUSY_SECONDS = 0.05
# The search for tenants takes at most about this share of the time, however many there are.
LOOKING_SHARE = 0.1
TROUBLE = (UsageError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Sweep:
    """Claims jobs and runs up to `concurrency` of them at once."""

    def __init__(
        self,
        pool: SharedPool,
        tasks: Mapping[str, Task],
        *,
        concurrency: int,
        idle_seconds: float,
    ) -> None:
        self._pool = pool
        self._tasks = tasks
        # One connection is reserved for the claims.
        self._slots = max(1, min(concurrency, pool.get_max_size() - 1))
        # The most waiting claims of a tenant. More are fetched when half of them are begun, so that
        # one statement claims several jobs. Another worker may take a claim that waits too long.
        self._most_of_tenant = max(4, 2 * self._slots)
        self._idle_seconds = idle_seconds
        self._backlog = Backlog()
        self._to_ask: dict[TenantId, None] = {}
        self._look_at = 0.0
        self._wake = asyncio.Event()

    async def run(self, jobs_waiting: asyncio.Event, stopping: asyncio.Event) -> None:
        """Run jobs until `stopping`; then finish the begun jobs and give back the others."""
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen(jobs_waiting))
            for _ in range(self._slots):
                group.create_task(self._work())
            await self._fill(stopping)
            listening.cancel()
            left = self._backlog.close()
        for tenant_id, claims in left:
            await self._give_back(tenant_id, claims)

    async def _listen(self, jobs_waiting: asyncio.Event) -> None:
        """Search for tenants at once whenever `jobs_waiting` is set."""
        while True:
            await jobs_waiting.wait()
            jobs_waiting.clear()
            self._look_at = 0.0
            self._wake.set()

    async def _fill(self, stopping: asyncio.Event) -> None:
        """Fill the backlog until `stopping`."""
        while not stopping.is_set():
            # Cleared before the search, so that a signal during it causes another search.
            self._wake.clear()
            try:
                if time.monotonic() >= self._look_at:
                    await self._look()
                if await self._claim_next():
                    continue
            except TROUBLE as error:
                log.warning("sweep_failed", error=type(error).__name__)
                self._look_at = time.monotonic() + self._idle_seconds
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._look_at - time.monotonic())):
                    await self._wake.wait()

    async def _look(self) -> None:
        """Find the tenants with due jobs; new ones are appended after the waiting ones."""
        started = time.monotonic()
        due = await read_control(self._pool, lambda tx: jobs.due_tenants(tx, self._tasks))
        for tenant_id in due:
            self._to_ask.setdefault(tenant_id)
        now = time.monotonic()
        pause = max(BUSY_SECONDS, (now - started) / LOOKING_SHARE) if due else self._idle_seconds
        self._look_at = now + pause

    async def _claim_next(self) -> bool:
        """Claim jobs of the next tenant whose backlog has room; return False if there is none."""
        # The whole backlog is limited to the claims of two tenants.
        room = 2 * self._most_of_tenant - len(self._backlog)
        half = self._most_of_tenant // 2
        tenant_id = next((one for one in self._to_ask if self._backlog.count(one) <= half), None)
        if tenant_id is None or room <= 0:
            return False
        del self._to_ask[tenant_id]
        number = min(room, self._most_of_tenant - self._backlog.count(tenant_id))
        try:
            claims = await transact(
                self._pool,
                tenant_id,
                lambda tx: jobs.claim(tx, kinds=self._tasks, at_most=number),
            )
        except TROUBLE as error:
            # The other tenants go on; the next search finds this one again.
            log.warning("not_claimed", tenant=str(tenant_id), error=type(error).__name__)
            return True
        self._backlog.put(tenant_id, claims)
        # The tenant may have more due jobs. It is asked again, after the others.
        if len(claims) == number:
            self._to_ask.setdefault(tenant_id)
        return True

    async def _work(self) -> None:
        """Run jobs of the backlog, one after the other, until it is closed."""
        while (taken := await self._backlog.take()) is not None:
            tenant_id, claim = taken
            self._wake.set()
            await self._run(tenant_id, claim)
            # Jobs that waited for this one can be claimed now.
            self._to_ask.setdefault(tenant_id)
            self._wake.set()

    async def _run(self, tenant_id: TenantId, claim: Claim) -> None:
        """Run one job; an error costs it an attempt and does not stop the slot."""
        try:
            await run_job(self._pool, self._tasks, tenant_id, claim)
        except TROUBLE as error:
            log.warning("job_not_run", job=str(claim.job_id), error=type(error).__name__)
        except Exception:
            log.exception("job_not_run", job=str(claim.job_id))

    async def _give_back(self, tenant_id: TenantId, claims: list[Claim]) -> None:
        try:
            await transact(self._pool, tenant_id, lambda tx: jobs.give_back(tx, claims))
        except TROUBLE as error:
            # Each costs an attempt and a pause, as after a crash.
            log.warning("claims_not_given_back", error=type(error).__name__)


async def sweep_for_ever(
    pool: SharedPool,
    tasks: Mapping[str, Task],
    config: Config,
    *,
    jobs_waiting: asyncio.Event | None = None,
    stopping: asyncio.Event | None = None,
) -> None:
    """Run due jobs and housekeeping until `stopping`; `jobs_waiting` starts a search at once."""
    sweep = Sweep(
        pool,
        tasks,
        concurrency=config.worker_concurrency,
        idle_seconds=config.sweep_seconds,
    )
    housekeeping = asyncio.create_task(run_housekeeping(pool, chores_of(config)))
    try:
        await sweep.run(jobs_waiting or asyncio.Event(), stopping or asyncio.Event())
    finally:
        housekeeping.cancel()
        with suppress(asyncio.CancelledError):
            await housekeeping
