"""An asset is bound to another target beside a close or a correction, or before issues."""

import asyncio
from typing import Any

import pytest
from usage_management.v1 import access_service_pb2 as access

from server.usecases.billing import closing, corrections
from tests.stories.bindings.rebind_words import moves, rebind, shop, wallet_of
from tests.stories.words import Metered, figure, line, moment, refusal, stamp
from tests.stories.world import World

DAILY = Metered(resource="calls", grant="10", refresh="DAY", rate="2", rating="DAY", waiting_days=2)


class Held:
    """A step of the server that waits when it is reached first, until it may go on."""

    def __init__(self, step: Any) -> None:
        self.step = step
        self.reached, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, *args: Any) -> Any:
        self.reached.set()
        await self.may_go_on.wait()
        return await self.step(*args)


async def rebind_beside(world: World, asset: Any, to: str, held: Held) -> None:
    """Advance the clock until the held step waits, bind the asset to the account, and go on."""
    request = access.AdvanceClockRequest(to_time=stamp(moment(to)))
    run = await world.client.access.AdvanceClock(request)
    await asyncio.wait_for(held.reached.wait(), 10)
    binding = asyncio.create_task(rebind(world, asset, "2024-02-01", binding="ACCOUNT"))
    await asyncio.wait([binding], timeout=0.5)
    held.may_go_on.set()
    await binding
    while run.state == access.Run.RUNNING:
        await asyncio.sleep(0.05)
        run = await world.client.access.GetRun(access.GetRunRequest(name=run.name))
    assert run.state == access.Run.DONE, run


async def posted(world: World, account: str) -> list[Any]:
    wallets = [await wallet_of(world, account, kind) for kind in ("assets", "account")]
    return [figure(one.posted_balance) for one in wallets]


@pytest.mark.capability("M74.rebind")
async def test_grants_move_if_their_period_is_closed_meanwhile(sandbox, monkeypatch):
    """January is about to be final with the 70 that are left of it when the asset is moved."""
    world, account, asset = await shop(sandbox)
    await world.use(asset, "calls", "2024-01-10", 30)
    await world.advance("2024-02-03T12:00")
    held = Held(closing.periods.finish)
    monkeypatch.setattr(closing.periods, "finish", held)

    await rebind_beside(world, asset, "2024-02-04T12:00", held)
    await world.advance("2024-02-05")

    assert await posted(world, account) == [0, 170]


@pytest.mark.capability("M74.rebind")
async def test_grants_arrive_if_they_are_corrected_meanwhile(sandbox, monkeypatch):
    """Late usage of January is about to be booked when the asset is moved."""
    world, account, asset = await shop(sandbox)
    await world.use(asset, "calls", "2024-01-10", 30)
    await world.advance("2024-02-10")
    held = Held(corrections.pending.take_late)
    monkeypatch.setattr(corrections.pending, "take_late", held)
    await world.use(asset, "calls", "2024-01-20", 20)

    await rebind_beside(world, asset, "2024-02-11", held)
    await world.advance("2024-02-12")

    assert await posted(world, account) == [0, 150]


@pytest.mark.capability("M74.rebind")
async def test_an_issue_after_the_day_does_not_hold_up_the_close(sandbox):
    """The issue of February moves too, but January is final before the usage of February is."""
    world, account, asset = await shop(sandbox)
    await world.use(asset, "calls", "2024-01-10", 30)
    await world.advance("2024-02-02")
    await world.use(asset, "calls", "2024-02-01T05:00", 5)

    await rebind(world, asset, "2024-01-16", binding="ACCOUNT")
    await world.use(asset, "calls", "2024-01-20", 20)
    await world.advance("2024-02-10")
    old, new = [await wallet_of(world, account, kind) for kind in ("assets", "account")]
    await world.advance("2024-03-10")

    assert [figure(one.balance) for one in (old, new)] == [0, 145]
    assert await moves(world, new) == [
        ("MOVED_IN", 70, "2024-01-16"),
        ("MOVED_IN", 100, "2024-02-01"),
    ]
    assert await posted(world, account) == [0, 245]


@pytest.mark.capability("M74.rebind")
async def test_days_of_a_sale_for_the_past_are_closed_before_those_of_the_target(sandbox):
    """Nine days are closed one after the other, and the ninth of the pool after them."""
    world = await sandbox("2024-01-10T05:00")
    await world.product("plan", DAILY)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-09", 4)

    await rebind(world, asset, "2024-01-09", binding="ACCOUNT")
    await world.advance("2024-01-15")

    # Three days are not final, and each has 10 of its own.
    assert await posted(world, account) == [0, 30]


@pytest.mark.capability("M74.rebind")
async def test_a_day_that_the_new_target_closes_before_is_refused(sandbox):
    """The days of a sale for the past are closed after those that the pool has already."""
    world = await sandbox("2024-01-01T05:00")
    await world.product("plan", DAILY)
    account = await world.account("ann")
    await world.sell(account, line("plan", "2024-01-01", binding="ACCOUNT"))
    await world.advance("2024-01-11T05:00")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    refused = await refusal(rebind(world, asset, "2024-01-09", binding="ACCOUNT"))
    await rebind(world, asset, refused.facts["start_date"], binding="ACCOUNT")
    await world.advance("2024-01-20")

    assert refused.reason == "REBIND_DAY"
    assert "is closed before that of the target before" in refused.message
