"""Repricing beside a close, to amounts without usage, and to rates that no sale may have."""

import asyncio
from typing import Any

import pytest
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import types_pb2 as types

from server.usecases.billing import closing
from tests.stories import rate_words
from tests.stories.rate_words import INACTIVE, move, priced, put
from tests.stories.repricing.reprice_words import dearer, reprice, shop
from tests.stories.sale_words import linked
from tests.stories.token_words import Credits, commitment, described, set_up
from tests.stories.words import Metered, figure, line, moment, refusal, stamp
from tests.stories.world import World

FLAT = ("0", None, "OVERRIDE", "1")


async def total(world: World, account: str) -> Any:
    return sum(figure(one.exact_amount) for one in await world.liable(account))


async def test_a_period_that_is_closed_meanwhile_is_corrected(sandbox: Any, monkeypatch) -> None:
    """January is about to be final at 1 when its 50 calls are repriced to 2: 10 are included."""
    world, account = await shop(sandbox)
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-05", 50)
    await dearer(world, start="2024-01-01")
    read, going_on = asyncio.Event(), asyncio.Event()
    finish = closing.periods.finish

    async def hold(*args: Any) -> None:
        read.set()
        await going_on.wait()
        await finish(*args)

    monkeypatch.setattr(closing.periods, "finish", hold)
    to = stamp(moment("2024-02-10"))
    run = await world.client.access.AdvanceClock(access.AdvanceClockRequest(to_time=to))
    await asyncio.wait_for(read.wait(), 10)

    repricing = asyncio.create_task(reprice(world, account, "2024-01-01"))
    await asyncio.wait([repricing], timeout=0.5)
    going_on.set()
    await repricing
    while run.state == access.Run.RUNNING:
        await asyncio.sleep(0.05)
        run = await world.client.access.GetRun(access.GetRunRequest(name=run.name))
    await world.advance("2024-03-10")

    assert await total(world, account) == 80


@pytest.mark.parametrize("when", ["2024-01-10", "2024-02-10", "2024-03-10"])
@pytest.mark.parametrize("start", ["2024-01-15", "2024-02-01"])
async def test_an_amount_without_usage_is_due_from_the_repricing_on(
    sandbox: Any, when: str, start: str
) -> None:
    """10 a month from February on, also when February and March have begun or are final."""
    world, account = await shop(sandbox)
    await world.sell(account, line("plan", "2024-01-01"))
    made = priced("calls", None, FLAT, start="2024-01-10")
    made.tiers.tiers[0].flat_amount.value = "10"
    made.tiers.tiers[0].due_without_usage = True
    await put(world, "tiers/due", made)
    await world.advance(when)

    await reprice(world, account, start)
    await world.advance("2024-05-10")

    assert [figure(one.exact_amount) for one in await world.liable(account)] == [10] * 3


async def test_agreed_tiers_that_would_pay_the_customer_are_refused(sandbox: Any) -> None:
    """1.50 off 2 was agreed; the catalog asks 1 now."""
    world = await sandbox("2024-01-10")
    await world.product("plan", Metered(resource="calls", rate="2"))
    account = await world.account("ann")
    less = types.RateTiers(tiers=[rate_words.tier("0", None, "AMOUNT", "-1.5")])
    agreed = quotes.NegotiatedRate(usage_resource="usageResources/calls", tiers=less)
    [asset] = await world.sell(account, line("plan", "2024-01-01", negotiated=[agreed]))
    await dearer(world, "1", start="2024-01-10")

    refused = await refusal(reprice(world, account, "2024-01-10"))
    await world.use(asset, "calls", "2024-01-10", 10)
    await world.advance("2024-02-10")

    assert refused.reason == "RATE_NEGATIVE"
    assert asset.name in refused.message
    assert await total(world, account) == 5


async def test_a_commitment_is_not_repriced_to_a_discount_without_end(sandbox: Any) -> None:
    """At 100 percent a unit of usage would take nothing, and no period could be closed."""
    world = await sandbox("2024-01-10")
    await set_up(world, described("plan", {"minutes": "5"}, Credits(price="0.50")))
    await set_up(world, commitment("commit", "credits", "1000", discount="20"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, linked("commit", "2024-01-01", asset))
    await move(world, INACTIVE, "rateCards/tiers/entries/commit")
    free = priced("credits", None, ("0", None, "PERCENTAGE", "100"), product="commit")
    await put(world, "tiers/free", free)

    refused = await refusal(reprice(world, account, "2024-01-10"))
    await world.use(asset, "minutes", "2024-01-10", 10)
    await world.advance("2024-02-10")

    assert refused.reason == "TIERS_INVALID"
    assert figure((await world.wallet(account, "credits")).balance) == 960
