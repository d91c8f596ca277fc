"""Results of usage depend neither on the worker that handles it nor on its order of arrival."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from clients.values import enum_name
from server.config import read_config
from server.store.pool import open_pool
from tests.logins import as_service
from tests.stories.words import Metered, figure, line, usage
from tests.stories.world import World
from workers.sweep import sweep_for_ever
from workers.tasks.registry import TASKS

TIERS = (("0", "40", "5"), ("40", "90", "4"), ("90", None, "3"))


@asynccontextmanager
async def more_workers(database: str, count: int) -> AsyncIterator[None]:
    """So many workers beside the one that is there."""
    config = read_config(
        database_url=as_service(database),
        redis_url=None,
        port=0,
        allow_unsafe_store=True,
        sweep_seconds=0.02,
    )
    pools = [await open_pool(as_service(database), size=2) for _ in range(count)]
    working = [asyncio.create_task(sweep_for_ever(pool, TASKS, config)) for pool in pools]
    try:
        yield
    finally:
        for task in working:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for pool in pools:
            await pool.close()


async def two_months(world: World, seed: int) -> list[tuple]:
    """Usage of three accounts in an order of its own, and what it was rated as, step by step."""
    rate = Metered(resource="data", grant="25", refresh="MONTH", rate="6", tiers=TIERS)
    await world.product("plan", rate)
    assets, accounts = [], []
    for number in range(3):
        account = await world.account(f"a{number}")
        assets += await world.sell(account, line("plan", "2024-01-01"), line("plan", "2024-01-11"))
        accounts.append(account)
    acts = [
        usage(asset, "data", f"2024-01-{day:02}", 1 + (day * place) % 7, f"r-{place}-{day}")
        for place, asset in enumerate(assets, 1)
        for day in range(12, 31)
    ]
    random.Random(seed).shuffle(acts)
    for start in range(0, len(acts), 50):
        await world.record(acts[start : start + 50])
    await world.advance("2024-03-10")
    order = {asset.name: place for place, asset in enumerate(assets)}
    return [
        (
            account,
            order[one.asset],
            one.start_time.seconds,
            figure(one.overage_quantity),
            figure(one.amount),
            [(enum_name(step, "element"), sorted(step.outputs.items())) for step in one.waterfall],
        )
        for account in accounts
        for one in sorted(
            await world.ratable(account), key=lambda one: (one.start_time.seconds, order[one.asset])
        )
    ]


async def test_one_worker_or_four_rate_the_same_whatever_the_order_of_records(
    sandbox, story_database
):
    alone = await two_months(await sandbox("2024-01-31"), seed=1)
    async with more_workers(story_database, 3):
        together = await two_months(await sandbox("2024-01-31"), seed=2)

    assert len(alone) >= 6
    assert any(amount > 0 for *_, amount, _ in alone)
    assert together == alone
