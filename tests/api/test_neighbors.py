"""Neighbors: what one tenant computes does not stop the calls of another."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from usage_management.v1 import rate_service_pb2 as rates

from clients import UsageClient
from tests.service import Service, add_tenant
from tests.stories.procedure_words import BASE, SETTING, formula, line, simulate
from tests.stories.words import Metered, day, moment
from tests.stories.words import line as sold
from tests.stories.world import World

# As large as a simulation may be; at 28698be 12 of 1,000 × 60 held all others for 6 to 30 s.
LINES, FORMULAS, AT_ONCE = 312, 62, 12


async def slowest(call: Callable[[], Awaitable[object]], seconds: float) -> tuple[float, float]:
    """The median and the longest time of a call that is made again and again, in seconds."""
    took: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        await call()
        took.append(time.perf_counter() - started)
        await asyncio.sleep(0.005)
    return statistics.median(took), max(took)


async def test_simulations_of_one_tenant_do_not_stop_the_calls_of_another(service: Service):
    noisy_key, quiet_key = [(await add_tenant(service, moment("2024-01-15")))[1] for _ in range(2)]
    procedure = [SETTING, BASE, *[formula(f"net_unit_rate + {n}") for n in range(FORMULAS)]]
    async with (
        UsageClient(service.address, noisy_key, timeout=30) as noisy,
        UsageClient(service.address, quiet_key, timeout=30) as quiet,
    ):
        world = World(quiet)
        await world.product("plan", Metered(resource="calls", grant="100", rate="2"))
        account = await world.account("ann")
        [asset] = await world.sell(account, sold("plan", "2024-01-01"))
        question = rates.RateQuestion(
            price_book="priceBooks/book",
            product="products/plan",
            usage_resource="usageResources/calls",
            currency_code="USD",
            date=day("2024-01-15"),
        )

        async def ask() -> None:
            await quiet.rates.DiscoverRates(rates.DiscoverRatesRequest(questions=[question]))
            await world.use(asset, "calls", "2024-01-10", 1)

        await ask()
        before, _ = await slowest(ask, 0.5)
        lines = [line(n) for n in range(LINES)]
        flood = [
            asyncio.create_task(simulate(World(noisy), procedure, *lines)) for _ in range(AT_ONCE)
        ]
        await asyncio.sleep(0.1)
        during, worst = await slowest(ask, 1.5)
        for one in flood:
            one.cancel()
        await asyncio.gather(*flood, return_exceptions=True)

    # The bounds leave room for a machine of two cores on which other tests run.
    assert during < max(10 * before, 0.05)
    assert worst < 1
