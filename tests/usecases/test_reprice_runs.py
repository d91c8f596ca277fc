"""A reprice run does each account once, whatever becomes of the workers that try."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import date
from decimal import Decimal

import asyncpg
import pytest

from server.domain.billing.reprice_runs import RepriceChoice, RepriceRun, RepriceRunState
from server.domain.ids import AccountId, RepriceRunId
from server.env import new_id
from server.store import jobs
from server.store.billing import reprice_runs as store
from server.store.billing.reprice_runs import ItemFilter, NewRepriceRun
from server.store.jobs import Job
from server.store.transaction import read, transact
from server.usecases.lifecycle import reprice_runs
from server.usecases.lifecycle.order_activation import ActivateOrder, activate_order
from server.usecases.selling import orders, quotes
from server.usecases.selling.orders import CreateOrder
from server.usecases.selling.quotes import CreateQuote
from tests.usecases.selling import BOOK, TENANT, change, line, rows, shop
from workers.run import Task, run_job
from workers.tasks.registry import TASKS

ACCOUNTS = tuple(AccountId(f"a{number}") for number in range(5))
RATES = """
SELECT account_id::text, count(*), max((terms #>> '{content,rate,value}')::numeric)
  FROM asset_rates WHERE usage_resource_id = 'sms' GROUP BY account_id ORDER BY account_id
"""


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    """Five accounts with a phone each, sold at 0.75; from February on the catalog asks 1."""
    async with shop(database) as pool:
        for account_id in ACCOUNTS:
            await sell(pool, account_id)
        await change(
            pool,
            "UPDATE rate_card_entries SET end_date = '2024-02-01' WHERE entry_id = 'phone-sms'",
        )
        await change(
            pool,
            "INSERT INTO rate_card_entries (tenant_id, rate_card_id, entry_id, product_id,"
            " usage_resource_id, rate_unit_id, rate_value, is_negotiable, start_date, state)"
            " VALUES ($1, 'base', 'dearer', 'phone', 'sms', 'USD', 1, true, '2024-02-01',"
            " 'ACTIVE')",
            TENANT,
        )
        yield pool


async def sell(pool: asyncpg.Pool, account_id: AccountId) -> None:
    for statement in (
        "INSERT INTO account_codes (tenant_id, folded, account_id) VALUES ($1, $2, $2)",
        "INSERT INTO accounts (tenant_id, account_id, time_zone, currency_code,"
        " billing_anchor_day) VALUES ($1, $2, 'UTC', 'USD', 1)",
    ):
        await change(pool, statement, TENANT, account_id)
    asked = CreateQuote(account_id=account_id, price_book_id=BOOK, lines=(line(),))
    quote = await transact(pool, TENANT, lambda tx: quotes.create(tx, asked))
    wanted = CreateOrder(account_id=account_id, quote_id=quote.id)
    order = await transact(pool, TENANT, lambda tx: orders.create(tx, wanted))
    command = ActivateOrder(account_id=account_id, order_id=order.id)
    await transact(pool, TENANT, lambda tx: activate_order(tx, command))


async def begin(pool: asyncpg.Pool) -> RepriceRun:
    new = NewRepriceRun(
        id=RepriceRunId(new_id()),
        choice=RepriceChoice(day=date(2024, 2, 1)),
        reason="why",
        is_dry=False,
    )
    return await transact(pool, TENANT, lambda tx: reprice_runs.create(tx, new))


async def now(pool: asyncpg.Pool, run: RepriceRun) -> RepriceRun:
    return await read(pool, TENANT, lambda tx: store.get(tx, run.id))


async def run_next(pool: asyncpg.Pool, tasks: Mapping[str, Task] = TASKS) -> bool:
    """Claim the next job and do it; returns whether it ended."""
    claims = await transact(pool, TENANT, lambda tx: jobs.claim(tx, kinds=["reprice"], at_most=1))
    return bool(claims) and await run_job(pool, tasks, TENANT, claims[0])


async def claimed(pool: asyncpg.Pool) -> Job:
    """The next job, which is under way now."""
    [claim] = await transact(pool, TENANT, lambda tx: jobs.claim(tx, kinds=["reprice"], at_most=1))
    job = await transact(pool, TENANT, lambda tx: jobs.lock(tx, claim.job_id, claim.attempt))
    assert job is not None
    return job


async def free(pool: asyncpg.Pool) -> None:
    """Let what a dead worker had claimed be claimed again at once."""
    await change(pool, "UPDATE jobs SET available_time = NULL WHERE state = 'PENDING'")


async def test_an_account_of_a_worker_that_dies_is_done_again_as_a_whole(pool):
    run = await begin(pool)

    async def die(tx, job) -> None:
        await reprice_runs.reprice_next(tx, job)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run_next(pool, {**TASKS, "reprice": die})
    await free(pool)
    unknown = await now(pool, run)
    assert await run_next(pool)
    assert await run_next(pool)
    with pytest.raises(asyncio.CancelledError):
        await run_next(pool, {**TASKS, "reprice": die})
    dead = await now(pool, run)
    half = await rows(pool, RATES)
    async with asyncio.timeout(30):
        while (await now(pool, run)).state is RepriceRunState.RUNNING:
            await free(pool)
            await asyncio.gather(*(run_next(pool) for _ in range(3)))
    done = await now(pool, run)

    assert (unknown.counts.accounts, unknown.is_listed) == (0, False)
    assert (dead.state, dead.counts.accounts, dead.counts.done) == (RepriceRunState.RUNNING, 5, 1)
    assert [count for _, count, _ in half].count(2) == 1
    assert (done.state, done.counts.done, done.counts.repriced) == (RepriceRunState.DONE, 5, 5)
    # Each has the new rate once, beside the one it was sold with, and its history tells it once.
    assert await rows(pool, RATES) == [(name, 2, Decimal(1)) for name in ACCOUNTS]
    acts = "SELECT account_id::text, count(*) FROM asset_changes WHERE reprice_run_id = $1"
    told = await rows(pool, f"{acts} GROUP BY account_id ORDER BY account_id", run.id)
    assert told == [(name, 1) for name in ACCOUNTS]


async def test_an_account_that_is_done_is_not_done_again(pool):
    run = await begin(pool)
    find = await claimed(pool)
    await transact(pool, TENANT, lambda tx: reprice_runs.reprice_next(tx, find))
    found = await now(pool, run)
    await transact(pool, TENANT, lambda tx: reprice_runs.reprice_next(tx, find))
    again = await now(pool, run)
    job = await claimed(pool)
    await transact(pool, TENANT, lambda tx: reprice_runs.reprice_next(tx, job))
    first = await now(pool, run)
    await transact(pool, TENANT, lambda tx: reprice_runs.reprice_next(tx, job))

    assert again == found
    assert (first.counts.done, first.counts.accounts) == (1, 5)
    assert await now(pool, run) == first


async def test_an_account_whose_job_is_given_up_is_refused_and_the_run_goes_on(pool):
    run = await begin(pool)
    assert await run_next(pool)
    job = await claimed(pool)
    await transact(pool, TENANT, lambda tx: reprice_runs.fail(tx, job, "no luck"))
    while await run_next(pool):
        pass

    done = await now(pool, run)
    only = ItemFilter(run_id=run.id, is_refused=True)
    refused = await read(pool, TENANT, lambda tx: store.list_items(tx, only, after=None, limit=9))

    assert (done.state, done.counts.done, done.counts.refused) == (RepriceRunState.DONE, 5, 1)
    [item] = refused
    assert item.account_id == job.account_id
    assert item.refusal == "JOB_FAILED: its job was given up: no luck"


async def test_a_run_whose_accounts_cannot_be_found_has_failed(pool):
    run = await begin(pool)
    job = await claimed(pool)
    await transact(pool, TENANT, lambda tx: reprice_runs.fail(tx, job, "no luck"))
    failed = await now(pool, run)
    await transact(pool, TENANT, lambda tx: reprice_runs.reprice_next(tx, job))

    assert failed.state is RepriceRunState.FAILED
    assert await now(pool, run) == failed


async def test_the_accounts_of_a_run_are_found_in_slices(pool, monkeypatch):
    monkeypatch.setattr(reprice_runs, "SLICE", 2)
    run = await begin(pool)
    while await run_next(pool):
        pass

    done = await now(pool, run)

    assert (done.state, done.counts.accounts, done.counts.done) == (RepriceRunState.DONE, 5, 5)


async def test_a_dry_run_that_takes_too_long_tells_the_rates_without_the_money(pool, monkeypatch):
    monkeypatch.setattr(reprice_runs, "MOST_SECONDS", 0)
    new = NewRepriceRun(
        id=RepriceRunId(new_id()),
        choice=RepriceChoice(account_ids=ACCOUNTS[:1], day=date(2024, 2, 1)),
        reason="",
        is_dry=True,
    )
    run = await transact(pool, TENANT, lambda tx: reprice_runs.create(tx, new))
    while await run_next(pool):
        pass

    done = await now(pool, run)
    only = ItemFilter(run_id=run.id)
    whole, asset = await read(
        pool, TENANT, lambda tx: store.list_items(tx, only, after=None, limit=9)
    )

    assert (done.state, done.counts.without_money, done.counts.repriced) == (
        RepriceRunState.DONE,
        1,
        1,
    )
    assert whole.no_money.startswith("DEADLINE_EXCEEDED: the money was not computed")
    assert asset.is_repriced
    assert [count for _, count, _ in await rows(pool, RATES)] == [1] * 5
