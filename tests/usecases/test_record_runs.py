"""A run does each slice once, whatever becomes of the workers that try."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

import asyncpg
import pytest

from server.domain.consumption.changes import RecordChange
from server.domain.consumption.record_runs import (
    RecordFilter,
    RecordRun,
    RecordRunState,
)
from server.domain.errors import Aborted
from server.domain.ids import RecordRunId
from server.domain.modeling.units import Ratio
from server.env import new_id
from server.store import jobs
from server.store.consumption import amendments as records
from server.store.consumption import record_runs as store
from server.store.consumption.record_runs import NewRecordRun
from server.store.jobs import Job
from server.store.transaction import read, transact
from server.usecases.billing.verification import verify_account
from server.usecases.intake import record_runs, run_trials, voiding
from server.usecases.intake.amending import AmendUsage, amend
from server.usecases.intake.record_changes import change_records
from tests.usecases.recorders import ACME, FEBRUARY, MARCH, TENANT, close, codes, usage
from workers.run import Task, run_job
from workers.tasks.registry import TASKS

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


TWICE = RecordChange(factor=Ratio(Decimal(2), Decimal(1)))

CONTENT = "SELECT record_id, state, quantity, revision FROM usage_records ORDER BY record_id"


async def begun(
    pool: asyncpg.Pool, count: int, change: RecordChange | None = None, *, is_dry: bool = False
) -> RecordRun:
    """A run of one minute in which records are, and of none behind it."""
    made = [usage(f"r{n:05}", 2, MARCH + n * MINUTE / count) for n in range(count)]
    for start in range(0, count, 1_000):
        await codes(pool, *made[start : start + 1_000])
    await codes(pool, usage("behind", 3, MARCH + MINUTE))
    return await begin(pool, change, is_dry=is_dry)


async def begin(
    pool: asyncpg.Pool, change: RecordChange | None = None, *, is_dry: bool = False
) -> RecordRun:
    new = NewRecordRun(
        id=RecordRunId(new_id()),
        account_id=ACME,
        only=RecordFilter(start=MARCH, end=MARCH + MINUTE, labels={}),
        change=change,
        reason="why",
        is_dry=is_dry,
    )
    return await transact(pool, TENANT, lambda tx: record_runs.create(tx, new))


async def now(pool: asyncpg.Pool, run: RecordRun) -> RecordRun:
    return await read(pool, TENANT, lambda tx: store.get(tx, ACME, run.id, run.kind))


async def run_next(pool: asyncpg.Pool, tasks: Mapping[str, Task] = TASKS) -> bool:
    """Claim the next slice and do it; returns whether it ended."""
    claims = await transact(
        pool, TENANT, lambda tx: jobs.claim(tx, kinds=["change_records"], at_most=1)
    )
    return bool(claims) and await run_job(pool, tasks, TENANT, claims[0])


async def claimed(pool: asyncpg.Pool) -> Job:
    """The next slice, which is under way now."""
    [claim] = await transact(
        pool, TENANT, lambda tx: jobs.claim(tx, kinds=["change_records"], at_most=1)
    )
    job = await transact(pool, TENANT, lambda tx: jobs.lock(tx, claim.job_id, claim.attempt))
    assert job is not None
    return job


@pytest.mark.parametrize("change", [None, TWICE], ids=["void", "amend"])
async def test_a_slice_of_a_worker_that_dies_is_done_again_as_a_whole(pool, owner, change):
    run = await begun(pool, 2_500, change)

    async def die(tx, job) -> None:
        await record_runs.change_slice(tx, job)
        raise asyncio.CancelledError

    assert await run_next(pool)
    with pytest.raises(asyncio.CancelledError):
        await run_next(pool, {**TASKS, "change_records": die})
    dead = await now(pool, run)
    async with asyncio.timeout(30):
        while (await now(pool, run)).state is RecordRunState.RUNNING:
            # What the dead one held may be let go a moment later.
            await owner.execute("UPDATE jobs SET available_time = now() WHERE state = 'PENDING'")
            await asyncio.gather(*(run_next(pool) for _ in range(3)))
    done = await now(pool, run)

    assert (dead.state, dead.record_count) == (RecordRunState.RUNNING, 1_000)
    assert (done.state, done.record_count) == (RecordRunState.DONE, 2_500)
    [of_all] = done.usage
    after = 0 if change is None else 10_000
    assert (of_all.count, of_all.quantity, of_all.new_quantity) == (2_500, 5_000, after)
    assert [(one.count, one.is_final) for one in done.periods] == [(2_500, False)]
    behind, *changed = [tuple(row) for row in await owner.fetch(CONTENT)]
    assert behind == ("behind", "ACTIVE", 3, 1)
    # Each was voided, or amended once.
    once = ("VOIDED", 2, 1) if change is None else ("ACTIVE", 4, 2)
    assert {row[1:] for row in changed} == {once}
    verified = await read(pool, TENANT, lambda tx: verify_account(tx, ACME), snapshot=True)
    assert verified.findings == ()


async def test_a_run_whose_slice_is_given_up_has_failed(pool):
    run = await begun(pool, 3)

    job = await claimed(pool)
    await transact(pool, TENANT, lambda tx: record_runs.fail(tx, job, "no luck"))
    failed = await now(pool, run)
    await transact(pool, TENANT, lambda tx: record_runs.change_slice(tx, job))

    assert failed.state is RecordRunState.FAILED
    assert failed.error == "JOB_FAILED: its next slice was given up: no luck"
    assert await now(pool, run) == failed


async def test_a_slice_that_is_done_is_not_done_again(pool, owner):
    run = await begun(pool, 1_500, TWICE)

    job = await claimed(pool)
    await transact(pool, TENANT, lambda tx: record_runs.change_slice(tx, job))
    first = await now(pool, run)
    await transact(pool, TENANT, lambda tx: record_runs.change_slice(tx, job))

    assert (first.state, first.record_count) == (RecordRunState.RUNNING, 1_000)
    assert await now(pool, run) == first
    revisions = [row["revision"] for row in await owner.fetch(CONTENT)]
    assert (revisions.count(2), revisions.count(1)) == (1_000, 501)


async def test_what_is_recorded_or_amended_after_a_run_was_created_is_left_alone(pool, owner):
    await codes(pool, usage("a", 2, MARCH), usage("b", 2, MARCH), usage("c", 2, MARCH))
    run = await begin(pool, TWICE)
    await codes(pool, usage("d", 2, MARCH))
    command = AmendUsage(records=(usage("b", 7, MARCH),))
    await transact(pool, TENANT, lambda tx: amend(tx, command))

    assert await run_next(pool)

    assert (await now(pool, run)).record_count == 2
    quantities = {row["record_id"]: row["quantity"] for row in await owner.fetch(CONTENT)}
    assert quantities == {"a": 4, "b": 7, "c": 4, "d": 2}


async def test_what_is_amended_while_a_slice_runs_is_not_overwritten(pool, owner):
    await codes(pool, usage("a", 2, MARCH))
    run = await begin(pool, TWICE)
    found = await read(
        pool, TENANT, lambda tx: store.next_records(tx, run, after=run.cursor, limit=10)
    )
    command = AmendUsage(records=(usage("a", 7, MARCH),))
    await transact(pool, TENANT, lambda tx: amend(tx, command))

    with pytest.raises(Aborted) as refused:
        await transact(pool, TENANT, lambda tx: change_records(tx, run, found.records))

    assert refused.value.reason == "CONCURRENT_CHANGE"
    [row] = await owner.fetch(CONTENT)
    assert (row["quantity"], row["revision"]) == (7, 2)


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


async def test_a_trial_takes_everything_back_and_counts_only_its_own(pool, owner):
    """February is final; 5 more of it wait for a correction, which the trial does not count."""
    await codes(pool, usage("a", 2, MARCH - DAY))
    await close(owner, FEBRUARY)
    await codes(pool, usage("late", 5, MARCH - DAY))
    # As if it were stuck: a run waits for the jobs before it.
    await owner.execute("DELETE FROM jobs WHERE kind = 'correct_usage'")
    before = await everything(owner)
    only = RecordFilter(start=MARCH - DAY, end=MARCH, labels={})

    def run_of(change: RecordChange | None) -> NewRecordRun:
        ids = {"id": RecordRunId(new_id()), "account_id": ACME}
        return NewRecordRun(**ids, only=only, change=change, reason="", is_dry=True)

    runs = []
    for change in (None, TWICE):
        new = run_of(change)
        runs.append(await transact(pool, TENANT, lambda tx, n=new: record_runs.create(tx, n)))
        assert await run_next(pool)
    void, twice = [await now(pool, run) for run in runs]

    assert await everything(owner) == before
    for run, used in ((void, -7), (twice, 7)):
        assert run.money is not None, run.no_money
        [line] = run.money.lines
        assert (line.used, line.is_final, line.origin.start) == (used, True, FEBRUARY)
        assert (run.record_count, [one.is_final for one in run.periods]) == (2, [True])


async def test_a_trial_that_is_too_much_tells_everything_but_the_money(pool, owner, monkeypatch):
    await begun(pool, 3)

    async def told(name: str, value: float) -> RecordRun:
        with monkeypatch.context() as patched:
            patched.setattr(run_trials, name, value)
            run = await begin(pool, TWICE, is_dry=True)
            while await run_next(pool):
                pass
        return await now(pool, run)

    await owner.execute("DELETE FROM jobs WHERE kind = 'change_records'")
    many, slow, all_told = [
        await told(*one) for one in (("MOST_RECORDS", 2), ("MOST_SECONDS", 0), ("MOST_RECORDS", 3))
    ]

    assert many.no_money.startswith("TOO_MANY_ITEMS: the money is computed for at most 2 records")
    assert slow.no_money.startswith("DEADLINE_EXCEEDED: the money was not computed")
    assert (many.money, slow.money, all_told.no_money) == (None, None, "")
    assert all_told.money is not None
    assert many.usage == slow.usage == all_told.usage
    assert many.periods == slow.periods == all_told.periods
    assert [(one.count, one.quantity, one.new_quantity) for one in many.usage] == [(3, 6, 12)]
    assert {row["revision"] for row in await owner.fetch(CONTENT)} == {1}


async def everything(owner) -> list[list[tuple[object, ...]]]:
    """All that a run or a correction could change."""
    tables = (
        "usage_records", "usage_record_revisions", "usage_summaries", "rating_periods", "wallets",
        "wallet_entries", "ratable_summaries", "corrections", "pending_corrections", "grants",
    )  # fmt: skip
    found = [await owner.fetch(f"SELECT t::text FROM {name} AS t ORDER BY 1") for name in tables]
    found.append(await owner.fetch("SELECT job_id::text FROM jobs WHERE kind = 'correct_usage'"))
    return [[tuple(row) for row in rows] for rows in found]
