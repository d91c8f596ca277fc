"""An asset is bound to another target: from a day on it draws there, and what is left moves."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import wallet_service_pb2 as wallets

from clients.values import enum_name
from tests.stories.bindings.rebind_words import CALLS, moves, rebind, shop, wallet_of
from tests.stories.correction_words import corrections
from tests.stories.sale_words import bind
from tests.stories.words import Metered, figure, line
from tests.stories.world import World


async def both(world: World, account: str, new: str = "account") -> list[wallets.Wallet]:
    """The wallet of the asset, and that of the target to which it is bound then."""
    return [await wallet_of(world, account, kind) for kind in ("assets", new)]


async def history(world: World, asset: assets.Asset) -> list[assets.AssetChange]:
    request = assets.ListAssetChangesRequest(parent=asset.name)
    return list((await world.client.assets.ListAssetChanges(request)).asset_changes)


async def get(world: World, asset: assets.Asset) -> assets.Asset:
    return await world.client.assets.GetAsset(assets.GetAssetRequest(name=asset.name))


@pytest.mark.capability("M74.rebind")
async def test_what_is_left_moves_to_the_pool_of_the_account(sandbox):
    """30 of January's 100 are used: 70 roll over and move with February's 100, on one day."""
    world, account, asset = await shop(sandbox)
    await world.use(asset, "calls", "2024-01-10", 30)
    await world.advance("2024-02-02")

    made = await rebind(world, asset, "2024-02-01", binding="ACCOUNT", reason="one pool")
    await world.use(asset, "calls", "2024-02-02", 20)
    before = await both(world, account)
    grants = await world.grants(before[1])
    await world.advance("2024-02-10")
    old, new = await both(world, account)

    # The move is seen at once, and posted when January is final.
    assert [figure(one.balance) for one in before] == [0, 150]
    assert [figure(one.posted_balance) for one in before] == [200, 0]
    assert {one.provisional for one in grants} == {True}
    assert {one.arrive_time.ToDatetime().day for one in grants} == {1}
    assert [figure(one.balance) for one in (old, new)] == [0, 150]
    assert sorted(await moves(world, old)) == [
        ("MOVED_OUT", -100, "2024-02-01"),
        ("MOVED_OUT", -70, "2024-02-01"),
    ]
    assert sorted(await moves(world, new)) == [
        ("MOVED_IN", 70, "2024-02-01"),
        ("MOVED_IN", 100, "2024-02-01"),
    ]
    assert (enum_name(made, "binding"), made.binding_target) == ("ACCOUNT", "")
    assert made.resources[0].wallet == new.name
    assert await get(world, asset) == made
    [_, change] = await history(world, asset)
    assert (enum_name(change, "act"), change.reason) == ("REBIND", "one pool")
    assert change.created_by
    [field] = change.field_changes
    assert (field.field, field.before, field.after) == ("binding_target", asset.name, account)


@pytest.mark.capability("M74.rebind")
async def test_the_refresh_and_the_rollover_go_on_in_the_new_wallet(sandbox):
    """Each month has one issue, as before, and what is left rolls over as often as before."""
    metered = Metered(
        resource="calls", grant="100", refresh="MONTH", rate="2", max_rollovers=2, waiting_days=3
    )
    world, account, asset = await shop(sandbox, metered)
    twin = await world.account("ben")
    [stays] = await world.sell(twin, line("plan", "2024-01-01"))
    for one in (asset, stays):
        await world.use(one, "calls", "2024-01-10", 30)
    await world.advance("2024-02-01T10:00")
    team = await bind(world, account, "team", "CUSTOM")

    made = await rebind(world, asset, None, binding_target=team)
    for month in (2, 3, 4, 5):
        await world.advance(f"2024-0{month}-12")
        for one in (asset, stays):
            await world.use(one, "calls", f"2024-0{month}-11", 60)
    old, new = await both(world, account, "bindingTargets")
    [kept] = await world.wallets(twin)

    def windows(grants: list[wallets.Grant]) -> list[tuple[Any, ...]]:
        found = [
            (one.start_time.seconds, one.expire_time.seconds, one.rollover_count, one.balance.value)
            for one in grants
        ]
        return sorted(one for one in found if one[-1] != "0")

    assert (enum_name(made, "binding"), made.binding_target) == ("CUSTOM", team)
    assert figure(old.balance) == 0
    assert windows(await world.grants(new)) == windows(await world.grants(kept))
    issues = [one for one in await world.entries(new) if enum_name(one, "kind") == "REFRESH"]
    # The issue of February was posted before the move, and moved.
    assert [one.effective_time.ToDatetime().month for one in issues] == [3, 4, 5]


@pytest.mark.capability("M74.rebind")
async def test_late_usage_from_before_the_day_changes_what_moved(sandbox):
    """70 rolled over and moved; 50 late units of January leave 20, and February owes for them."""
    world, account, asset = await shop(sandbox)
    await world.use(asset, "calls", "2024-01-10", 30)
    await world.advance("2024-02-01T10:00")
    await rebind(world, asset, None, binding="ACCOUNT")
    await world.use(asset, "calls", "2024-02-01", 160)
    await world.advance("2024-03-10")
    closed = await both(world, account)
    owed = sum(figure(one.exact_amount) for one in await world.liable(account))

    await world.use(asset, "calls", "2024-01-20", 50)
    waiting = await both(world, account)
    await world.advance("2024-03-11")
    old, new = await both(world, account)
    [fixed] = await corrections(world, account)
    await world.advance("2024-04-10")
    total = sum(figure(one.exact_amount) for one in await world.liable(account))

    # 10 of February's 170 were left, and 100 of March came.
    assert [figure(one.balance) for one in closed] == [0, 110]
    assert [figure(one.balance) for one in waiting] == [0, 100]
    assert [figure(one.balance) for one in (old, new)] == [0, 100]
    assert set(fixed.wallets) == {old.name, new.name}
    assert (owed, total) == (0, 80)


@pytest.mark.capability("M74.rebind")
async def test_usage_that_is_recorded_already_moves_with_the_asset(sandbox):
    """On the 21st it is bound to the pool from the 10th on, which pays for 150 used since then."""
    world, account, asset = await shop(sandbox, start="2024-02-20")
    [other] = await world.sell(account, line("plan", "2024-01-01", binding="ACCOUNT"))
    await world.advance("2024-02-21")
    await world.use(asset, "calls", "2024-02-10", 150)
    before = await both(world, account)

    await rebind(world, asset, "2024-02-10", binding="ACCOUNT")
    await world.use(asset, "calls", "2024-02-10T05:00", 20)
    await world.use(other, "calls", "2024-02-11", 10)
    after = await both(world, account)

    assert [figure(one.balance) for one in before] == [50, 200]
    assert [figure(one.balance) for one in after] == [0, 220]
    assert [figure(one.used_quantity) for one in after] == [0, 180]


@pytest.mark.capability("M74.rebind")
async def test_an_asset_leaves_the_pool_and_pays_for_itself(sandbox):
    """Both assets fill the pool; one leaves with what is left of its own grants."""
    world, account, asset = await shop(sandbox, CALLS, binding="ACCOUNT")
    [other] = await world.sell(account, line("plan", "2024-01-01", binding="ACCOUNT"))
    await world.use(other, "calls", "2024-01-05", 120)
    await world.advance("2024-02-01T12:00")

    await rebind(world, asset, None, binding="SELF")
    own, pool = await both(world, account)
    await world.advance("2024-02-20")
    mine, theirs = await both(world, account)

    # The older entitlement pays first, so 80 of the other's 100 are left.
    assert own.target == asset.name
    assert [figure(one.balance) for one in (own, pool)] == [100, 180]
    assert [figure(one.balance) for one in (mine, theirs)] == [100, 180]


@pytest.mark.capability("M74.rebind")
async def test_a_repeat_and_a_trial_change_nothing(sandbox):
    world, account, asset = await shop(sandbox)
    await world.advance("2024-02-01T12:00")

    tried = await rebind(world, asset, None, binding="ACCOUNT", validate_only=True)
    after_trial = await get(world, asset)
    names = {one.name for one in await world.wallets(account)}
    first = await rebind(world, asset, None, binding="ACCOUNT", request_id="rebind-0001")
    replayed = await rebind(world, asset, None, binding="ACCOUNT", request_id="rebind-0001")
    again = await rebind(world, asset, None, binding="ACCOUNT")

    assert enum_name(tried, "binding") == "ACCOUNT"
    assert (after_trial, len(names)) == (asset, 1)
    assert first == replayed == again
    assert len(await history(world, asset)) == 2
    assert len(await world.wallets(account)) == 2


@pytest.mark.capability("M74.rebind")
async def test_calls_at_once_have_one_effect(sandbox):
    """Four callers bind it at once, while usage is recorded; nothing is moved or counted twice."""
    world, account, asset = await shop(sandbox)
    await world.advance("2024-02-01T12:00")
    used = [world.use(asset, "calls", "2024-02-01", 1) for _ in range(30)]
    made = await asyncio.gather(
        *used[:15],
        *[rebind(world, asset, "2024-02-01", binding="ACCOUNT") for _ in range(4)],
        *used[15:],
    )
    old, new = await both(world, account)
    await world.advance("2024-02-10")
    posted = [await moves(world, one) for one in (old, new)]

    assert len({one.SerializeToString() for one in made if isinstance(one, assets.Asset)}) == 1
    assert [figure(one.used_quantity) for one in (old, new)] == [0, 30]
    assert len(await history(world, asset)) == 2
    assert [sum((amount for _, amount, _ in one), Decimal()) for one in posted] == [-200, 200]
