"""The sweep: in order, in spite of trouble, and woken by a jobs_waiting that may be broken."""

import asyncio
import gc
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from server.config import read_config
from server.domain.errors import Unavailable
from server.domain.ids import TenantId
from server.local.redis import Redis
from server.runtime.job_signal import JobSignal, dump, load
from server.store.connection import Transaction
from server.store.jobs import SQL, Job
from server.store.pool import open_pool
from server.store.transaction import read
from tests.logins import as_service
from tests.workers.conftest import START, TENANT, Notes, add_tenant, ask, job, sweeping
from workers.housekeeping import do, ended_jobs, old_requests
from workers.listener import answer
from workers.run import Task
from workers.sweep import BUSY_SECONDS, sweep_for_ever


async def test_the_jobs_of_an_account_go_by_moment_and_rank(pool):
    notes = Notes()
    await ask(
        pool, job("third", minutes=1), job("second", rank=1), job("first"), job("last", minutes=2)
    )

    async with asyncio.timeout(20), sweeping(pool, {"note": notes}):
        await notes.has("last")

    assert notes.names == ["first", "second", "third", "last"]


async def test_a_job_that_rests_holds_up_its_account_and_nobody_else(pool):
    notes = Notes("close")
    await ask(
        pool, job("close"), job("refresh", rank=1), job("other", account="bob", minutes=1, rank=1)
    )

    async with asyncio.timeout(20), sweeping(pool, {"note": notes}):
        await notes.has("other")
        assert notes.names == ["other"]
        notes.failing.clear()
        await notes.has("refresh")
    assert notes.names == ["other", "close", "refresh"]


class Together:
    """A task that goes on when so many run at once, and counts how many did."""

    def __init__(self, wanted: int) -> None:
        self.wanted, self.running, self.most = wanted, 0, 0
        self.met = asyncio.Event()
        self.workers: set[int] = set()

    def of(self, worker: int) -> Task:
        """The task as one worker has it."""

        async def do(_tx, _job: Job) -> None:
            self.running += 1
            self.most = max(self.most, self.running)
            self.workers.add(worker)
            if self.running >= self.wanted:
                self.met.set()
            try:
                await self.met.wait()
            finally:
                self.running -= 1

        return do


async def test_accounts_of_a_tenant_run_side_by_side_in_one_worker(pool):
    together = Together(4)
    await ask(pool, *(job(f"{n}", account=f"a{n}") for n in range(4)))

    async with asyncio.timeout(20), sweeping(pool, {"note": together.of(1)}, worker_concurrency=4):
        await together.met.wait()

    assert together.most == 4


async def test_two_workers_share_the_jobs_of_a_tenant(pool, database: str):
    together = Together(2)
    other = await open_pool(as_service(database), size=3)
    await ask(pool, *(job(f"{n}", account=f"a{n}") for n in range(40)))

    settings = {"worker_concurrency": 1}
    async with asyncio.timeout(20):
        async with (
            sweeping(pool, {"note": together.of(1)}, **settings),
            sweeping(other, {"note": together.of(2)}, **settings),
        ):
            await together.met.wait()
    await other.close()

    assert (together.most, together.workers) == (2, {1, 2})


async def test_a_quiet_tenant_waits_for_a_job_or_two_of_a_noisy_one(pool):
    """Counted in jobs, because the time of one differs from machine to machine."""
    order: list[TenantId] = []
    began, done = asyncio.Event(), asyncio.Event()
    quiet = await add_tenant(pool, "quiet", None)

    async def note(tx: Transaction, _job: Job) -> None:
        began.set()
        # Longer than a worker takes to find the other tenant, so that the order is not one of luck.
        await asyncio.sleep(2 * BUSY_SECONDS)
        order.append(tx.tenant_id)
        if tx.tenant_id == quiet:
            done.set()

    await ask(pool, *(job(f"{n}", account=f"a{n}") for n in range(300)))
    async with asyncio.timeout(20), sweeping(pool, {"note": note}, worker_concurrency=2):
        await began.wait()
        await ask(pool, job("quiet"), tenant=quiet)
        await done.wait()

    # In two slots: those that run when it comes, and those that begin before it is found.
    assert len(order) <= 9


async def test_a_sandbox_of_long_ago_starves_no_live_tenant(pool):
    """Its jobs are due since 1990, and that is no reason to do them first."""
    order: list[TenantId] = []
    live = await add_tenant(pool, "live", None)
    sandbox = await add_tenant(pool, "sandbox", datetime(1990, 2, 1, tzinfo=UTC))
    done = asyncio.Event()

    async def note(tx: Transaction, _job: Job) -> None:
        order.append(tx.tenant_id)
        if tx.tenant_id == live:
            done.set()

    old = datetime(1990, 1, 1, tzinfo=UTC)
    due = [replace(job(f"{n}", account=f"a{n}"), fire_time=old) for n in range(300)]
    await ask(pool, *due, tenant=sandbox)
    await ask(pool, job("live"), tenant=live)
    async with asyncio.timeout(20), sweeping(pool, {"note": note}, worker_concurrency=1):
        await done.wait()

    assert order.index(live) <= 8


@pytest.mark.planner
async def test_jobs_that_rest_do_not_stand_in_front_of_due_ones(pool, owner):
    """A claim does not even read them."""
    notes = Notes()
    await ask(pool, *(job(f"{n}", account=f"a{n}") for n in range(2000)))
    await owner.execute("UPDATE jobs SET available_time = now() + interval '1 hour', attempts = 1")
    await ask(pool, job("due", minutes=30))
    claims = (
        (SQL["claim_jobs"].replace("$1", f"'{TENANT}'").replace("$2", "'{note}'::text[]"))
        .replace("$3", "4")
        .replace("$4", "8")
    )

    async def explain(tx) -> str:
        await tx.execute(SQL["plan_by_index"])
        rows = await tx.fetch(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) {claims}")
        return "\n".join(row[0] for row in rows)

    plan = await read(pool, TENANT, explain)
    async with asyncio.timeout(20), sweeping(pool, {"note": notes}):
        await notes.has("due")

    assert "Rows Removed by Filter" not in plan, plan
    assert notes.names == ["due"]


async def test_the_clock_moves_after_all_that_is_due(pool):
    """The step of a clock is about no account, and comes last all the same."""
    notes = Notes("close")
    step = replace(job("step", account="", rank=99), kind="advance_clock", fire_time=START)
    await ask(pool, step, job("close"), job("other", account="bob"))

    tasks = {"note": notes, "advance_clock": notes}
    async with asyncio.timeout(20), sweeping(pool, tasks):
        await notes.has("other")
        await asyncio.sleep(3 * BUSY_SECONDS)
        assert notes.names == ["other"]
        notes.failing.clear()
        await notes.has("step")
    assert notes.names == ["other", "close", "step"]


async def test_a_worker_that_stops_finishes_what_it_does_and_gives_back_the_rest(pool, owner):
    began, stopping, jobs_waiting = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(_tx, _job: Job) -> None:
        began.set()
        await stopping.wait()

    await ask(pool, *(job(f"{n}", account=f"a{n}") for n in range(20)))
    config = read_config(database_url="unused", worker_concurrency=2)
    working = asyncio.create_task(
        sweep_for_ever(pool, {"note": slow}, config, jobs_waiting=jobs_waiting, stopping=stopping)
    )
    async with asyncio.timeout(20):
        await began.wait()
        await asyncio.sleep(2 * BUSY_SECONDS)
        stopping.set()
        jobs_waiting.set()
        await working

    rows = await owner.fetch("SELECT state, attempts, count(*) FROM jobs GROUP BY 1, 2")
    assert {tuple(row) for row in rows} == {("DONE", 1, 2), ("PENDING", 0, 18)}


async def test_jobs_that_ended_long_ago_are_deleted_and_may_be_asked_for_again(pool, owner):
    notes = Notes()
    wanted = [job(f"{n}", account=f"a{n}") for n in range(5)]
    await ask(pool, *wanted)
    async with asyncio.timeout(20), sweeping(pool, {"note": notes}):
        # The task notes a job before the transaction that marks it done is committed.
        for _ in range(500):
            if await owner.fetchval("SELECT count(*) FROM jobs WHERE state = 'DONE'") == 5:
                break
            await asyncio.sleep(0.01)
    await owner.execute("UPDATE jobs SET end_time = end_time - interval '8 days'")
    await owner.execute("UPDATE jobs SET state = 'FAILED' WHERE job_id = $1", wanted[4].id)
    week = timedelta(days=7)

    run_id = uuid4()
    await owner.execute(
        "INSERT INTO runs (tenant_id, run_id, kind, state, start_time, target_time, create_time)"
        " VALUES ($1, $2, 'ADVANCE_CLOCK', 'RUNNING', $3, $3, now() - interval '9 days')",
        TENANT,
        run_id,
        START,
    )
    counted = await do(pool, ended_jobs(week))
    await owner.execute("UPDATE runs SET state = 'DONE'")
    deleted = await do(pool, ended_jobs(week))
    left = await owner.fetchval("SELECT array_agg(job_id) FROM jobs")
    await ask(pool, wanted[0])
    async with asyncio.timeout(20), sweeping(pool, {"note": notes}):
        await notes.has_count(6)

    # A run under way counts what was done since it began; what was refused stays to be seen.
    assert (counted, deleted, left) == (0, 4, [wanted[4].id])


async def test_answers_are_deleted_after_their_time_and_no_others(pool, owner):
    """More than a batch of old ones, of two tenants, and one that is young enough."""
    other = await add_tenant(pool, "other", None)
    for tenant, count in ((TENANT, 1_200), (other, 3)):
        await owner.execute(
            "INSERT INTO request_log (tenant_id, account_id, request_id, method, fingerprint,"
            " fields, response, create_time) SELECT $1, '', 'request-' || n, 'm', '', '{}', '',"
            " now() - interval '401 days' FROM generate_series(1, $2::integer) AS n",
            tenant,
            count,
        )
    await owner.execute(
        "UPDATE request_log SET create_time = now() - interval '399 days'"
        " WHERE tenant_id = $1 AND request_id = 'request-2'",
        other,
    )

    deleted = await do(pool, old_requests(timedelta(days=400)))

    left = await owner.fetch("SELECT tenant_id, request_id FROM request_log")
    assert (deleted, [tuple(row) for row in left]) == (1_202, [(other, "request-2")])


async def test_a_cut_connection_ends_no_worker(pool, database: str):
    notes = Notes()

    async def count(tx, job: Job) -> None:
        """An effect that is undone with its transaction, which a note in memory is not."""
        await tx.execute("UPDATE tenants SET catalog_revision = catalog_revision + 1")
        await notes(tx, job)

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
        "SELECT catalog_revision - 1, (SELECT count(*) FROM jobs WHERE state = 'DONE') FROM tenants"
    )
    assert effects == done > 0
    await admin.close()


async def test_a_ring_wakes_the_worker_and_a_dead_redis_costs_a_second_until_it_is_back(
    pool, database: str, tmp_path: Path
):
    redis = await asyncio.to_thread(Redis.start, tmp_path / "redis", unsafe=True)
    jobs_waiting = asyncio.Event()
    listening = asyncio.create_task(answer(jobs_waiting, redis.url))
    notes = Notes()
    config = read_config(database_url=as_service(database), sweep_seconds=1.0)
    working = asyncio.create_task(
        sweep_for_ever(pool, {"note": notes}, config, jobs_waiting=jobs_waiting)
    )
    job_signal = JobSignal(redis.url)
    await job_signal.start()
    await asyncio.sleep(0.5)

    async def seconds_until_done(name: str) -> float:
        started = time.monotonic()
        await ask(pool, job(name))
        job_signal.notify()
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
    await job_signal.close()
    gc.collect()  # what was left open would be complained of in somebody else's test

    assert rung < 0.3
    assert silent < 2.5
    assert again < 0.3


def test_what_goes_through_redis_is_json():
    message = {"t": 1, "f": "sweep", "a": [], "k": {}}

    assert dump(message).startswith(b"{")
    assert load(dump(message)) == message
