"""Loading: usage of any age is accepted, and what it changes is corrected when the loading ends."""

from collections.abc import Callable
from typing import Any

import pytest
from usage_management.v1 import consumption_service_pb2 as consumption

from clients.pages import pages
from clients.values import enum_name
from tests.stories.consumption.amend_words import AMENDED, VOIDED, amend, void
from tests.stories.consumption.loading_words import (
    LATE,
    REJECTED,
    billed,
    corrections,
    end,
    extend,
    sold,
    start,
)
from tests.stories.words import (
    Metered,
    codes,
    figure,
    line,
    moment,
    refusal,
    stamp,
    usage,
)
from tests.stories.world import World


@pytest.fixture
async def world(sandbox: Callable[..., Any]) -> World:
    made: World = await sandbox("2024-01-31")
    return made


async def test_a_policy_that_rejects_late_usage_accepts_it_while_it_is_loaded(world):
    account, asset = await sold(world)
    [before] = await world.record([usage(asset, "calls", "2024-01-11", 5)])

    loading = await start(world, account, "2024-02-20")
    [during] = await world.record([usage(asset, "calls", "2024-01-11", 5, "r1")])
    await end(world, loading)
    [after] = await world.record([usage(asset, "calls", "2024-01-12", 5)])
    [again] = await world.record([usage(asset, "calls", "2024-01-11", 5, "r1")])

    assert codes([before, during, after]) == [REJECTED, LATE, REJECTED]
    assert again.code == consumption.RecordOutcome.DUPLICATE
    assert enum_name(during.late, "policy") == "NEXT_PERIOD"
    assert during.late.period.start_time == stamp(moment("2024-02-01"))
    await world.advance("2024-03-10")
    assert await billed(world, account) == [4, 10]


async def test_usage_older_than_the_window_is_accepted_while_it_is_loaded(world):
    account, asset = await sold(world, Metered(resource="calls", rate="2"), [24])
    await world.advance("2025-06-10")
    old = usage(asset, "calls", "2024-01-11", 5, "r1")
    [before] = await world.record([old])

    loading = await start(world, account, "2025-06-20", asset=asset.name)
    mixed = [usage(asset, "calls", "2025-06-09", 1), old, usage(asset, "calls", "2024-02-01", 3)]
    during = await world.record(mixed)
    await end(world, loading)
    await world.advance("2025-07-10")

    assert before.code == REJECTED
    assert "StartLoading" in before.status.message
    assert codes(during) == [consumption.RecordOutcome.ACCEPTED, LATE, LATE]
    assert sum(await billed(world, account)) == 2 * (12 + 1 + 5 + 3)


async def test_corrections_wait_until_the_loading_is_ended(world):
    account, asset = await sold(world, Metered(resource="calls", grant="100", rate="2"), [])
    await world.use(asset, "calls", "2024-02-05", 80)
    loading = await start(world, account, "2024-03-05")
    await world.use(asset, "calls", "2024-01-11", 3)
    await world.use(asset, "calls", "2024-01-12", 2)
    # February is closed meanwhile, and the balance counts what waits.
    await world.advance("2024-03-04")
    waiting = await world.wallet(account, "calls")
    assert await corrections(world, account) == set()

    ended = await end(world, loading)
    await world.advance("2024-03-04T00:01")

    assert figure(waiting.balance) == figure((await world.wallet(account, "calls")).balance) == 3
    assert ended.end_time == stamp(moment("2024-03-04"))
    assert len(await corrections(world, account)) == 1


async def test_corrections_wait_until_the_time_of_the_loading(world):
    account, asset = await sold(world)
    loading = await start(world, account, "2024-02-20T12:00")
    await world.use(asset, "calls", "2024-01-11", 3)

    await world.advance("2024-02-20T11:59")
    before = await corrections(world, account)
    await world.advance("2024-02-20T12:00")
    after = await corrections(world, account)

    assert (len(before), len(after)) == (0, 1)
    ended = await end(world, loading)
    assert ended.end_time == loading.until_time
    assert codes(await world.record([usage(asset, "calls", "2024-01-12", 1)])) == [REJECTED]


async def test_what_is_amended_and_voided_meanwhile_waits_too(world):
    account, asset = await sold(world)
    moved = usage(asset, "calls", "2024-01-15", 20, "r1")
    await world.record([usage(asset, "calls", "2024-02-05", 20, "r1")])
    await world.record([usage(asset, "calls", "2024-02-05", 1, "r2")])
    [rejected] = await amend(world, moved)
    loading = await start(world, account, "2024-02-20")

    [amended] = await amend(world, moved)
    [late] = await world.record([usage(asset, "calls", "2024-01-16", 3, "r3")])
    [voided] = await void(world, account, "r3")
    await world.advance("2024-02-12")
    before = await corrections(world, account)
    await end(world, loading)
    await world.advance("2024-03-10")

    assert (rejected.code, amended.code) == (consumption.AmendOutcome.REJECTED, AMENDED)
    assert (late.code, voided.code) == (LATE, VOIDED)
    assert (len(before), len(await corrections(world, account))) == (0, 1)
    assert await billed(world, account) == [4, 40]


async def test_old_usage_is_amended_while_it_is_loaded(world):
    account, asset = await sold(world, Metered(resource="calls", rate="2"), [24])
    await world.record([usage(asset, "calls", "2024-01-11", 5, "r1")])
    await world.advance("2025-06-10")
    changed = usage(asset, "calls", "2024-01-11", 6, "r1")

    [before] = await amend(world, changed)
    await start(world, account, "2025-06-20")
    [during] = await amend(world, changed)
    await world.advance("2025-07-10")

    assert (before.code, during.code) == (consumption.AmendOutcome.REJECTED, AMENDED)
    assert sum(await billed(world, account)) == 2 * (12 + 6)


async def test_a_prolonged_loading_moves_what_waits(world):
    account, asset = await sold(world)
    loading = await start(world, account, "2024-02-15")
    await world.use(asset, "calls", "2024-01-11", 3)

    longer = await extend(world, loading, "2024-02-25")
    same = await extend(world, loading, "2024-02-25")
    await world.advance("2024-02-24")
    before = await corrections(world, account)
    await world.advance("2024-02-25")

    assert longer == same
    assert longer.until_time == stamp(moment("2024-02-25"))
    assert (len(before), len(await corrections(world, account))) == (0, 1)
    assert (await refusal(extend(world, loading, "2024-02-28"))).reason == "ITEM_STATE"


async def test_corrections_wait_for_the_last_of_several_loadings(world):
    account, asset = await sold(world)
    whole = await start(world, account, "2024-02-15")
    own = await start(world, account, "2024-02-20", asset=asset.name)
    await world.use(asset, "calls", "2024-01-11", 3)

    await end(world, whole)
    await world.advance("2024-02-12")
    before = await corrections(world, account)
    await end(world, own)
    await world.advance("2024-02-12T00:01")

    assert (len(before), len(await corrections(world, account))) == (0, 1)
    listed = consumption.ListLoadingsRequest(parent=account, page_size=1)
    found = [one async for one in pages(world.client.consumption.ListLoadings, listed)]
    assert [one.name for one in found] == [own.name, whole.name]
    assert [list(one.assets) for one in found] == [[asset.name], []]


async def test_a_loading_that_starts_after_the_usage_makes_its_correction_wait(world):
    """The usage is recorded with a loading; a second one starts before the first one ends."""
    account, asset = await sold(world)
    first = await start(world, account, "2024-02-15")
    await world.use(asset, "calls", "2024-01-11", 3)
    second = await start(world, account, "2024-02-25")
    await end(world, first)

    await world.advance("2024-02-24")
    assert await corrections(world, account) == set()
    await end(world, second)
    await world.advance("2024-02-24T00:01")

    assert len(await corrections(world, account)) == 1


@pytest.mark.parametrize("used", [2, 6])
async def test_grants_count_what_waits_like_their_wallet(world, used):
    """A remainder that late usage takes was posted, and has nothing before it is corrected."""
    plan = Metered(resource="calls", grant="10", refresh="MONTH", rate="2", max_rollovers=1)
    await world.product("plan", plan)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-10", 4)
    await world.advance("2024-02-10")
    loading = await start(world, account, "2024-02-20")
    await world.use(asset, "calls", "2024-01-11", used)

    waiting = await world.wallet(account, "calls")
    [_, *february] = await world.grants(waiting)
    await end(world, loading)
    await world.advance("2024-02-10T00:01")

    assert sorted(figure(one.balance) for one in february) == [6 - used, 10]
    assert [one.provisional for one in february if figure(one.balance) == 6 - used] == [True]
    assert figure(waiting.balance) == 10 + 6 - used
    corrected = await world.grants(await world.wallet(account, "calls"))
    assert sorted(figure(one.balance) for one in corrected[1:]) == [6 - used, 10]
