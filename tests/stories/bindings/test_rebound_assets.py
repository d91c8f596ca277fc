"""Assets that were bound to another target: their previews, caps, rates, details and voids."""

from dataclasses import replace

import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import wallet_service_pb2 as wallets

from clients.values import enum_name
from tests.stories.bindings.rebind_words import CALLS, rebind, shop, wallet_of
from tests.stories.consumption.amend_words import void
from tests.stories.detail_words import detail_list
from tests.stories.preview_words import lines, preview
from tests.stories.repricing.reprice_words import dearer, reprice
from tests.stories.sale_words import bind
from tests.stories.words import REJECTED, Metered, figure, line, usage


@pytest.mark.capability("M74.rebind")
@pytest.mark.parametrize("now", ["2024-02-02", "2024-03-10"])
async def test_late_usage_from_before_the_day_is_previewed_with_what_it_costs_later(sandbox, now):
    """70 of January and 100 of February pay for 160; 50 more in January leave 40 too few."""
    world, account, asset = await shop(sandbox)
    await world.use(asset, "calls", "2024-01-10", 30)
    await world.advance("2024-02-01T10:00")
    await rebind(world, asset, None, binding="ACCOUNT")
    await world.use(asset, "calls", "2024-02-01", 160)
    await world.advance(now)
    old, new = [await wallet_of(world, account, kind) for kind in ("assets", "account")]

    [found] = await preview(world, account, *lines(asset, "calls", ("2024-01-20", 50)))
    await world.use(asset, "calls", "2024-01-20", 50)
    after = await wallet_of(world, account, "account")
    await world.advance("2024-04-10")
    owed = sum(figure(one.exact_amount) for one in await world.liable(account))

    effects = {one.wallet: one for one in found.wallets}
    assert (figure(new.overage_quantity), owed) == (0, 80)
    assert figure(effects[old.name].used_quantity) == 50
    assert figure(effects[new.name].overage_quantity) == 40
    assert figure(effects[new.name].amount) == 80
    # Only usage of the current rating period is in the figures of a wallet.
    assert figure(after.overage_quantity) == (40 if now < "2024-03" else 0)


@pytest.mark.capability("M74.rebind")
async def test_a_cap_decides_by_what_moved_at_once(sandbox):
    """Nothing is posted yet; 70 and 100 can be used in the new wallet, and not one more."""
    world, account, asset = await shop(sandbox, replace(CALLS, rate=None, overage="BLOCK"))
    await world.use(asset, "calls", "2024-01-10", 30)
    await world.advance("2024-02-01T10:00")
    await rebind(world, asset, None, binding="ACCOUNT")

    codes = [
        (await world.record([usage(asset, "calls", "2024-02-01", quantity)]))[0].code
        for quantity in (160, 11, 10, 1)
    ]
    # Of January's 100, 70 have moved: what is accepted there afterwards is overage here.
    [late] = await world.record([usage(asset, "calls", "2024-01-15", 5)])
    await world.advance("2024-03-10")
    wallet = await wallet_of(world, account, "account")

    assert [code == REJECTED for code in codes] == [False, True, False, True]
    assert late.code != REJECTED
    assert figure(wallet.balance) == 100


@pytest.mark.capability("M74.rebind")
async def test_rates_of_a_day_before_it_was_bound_reach_both_wallets(sandbox):
    """10 a month are included; 20 more in January and 20 more in February cost 2 each, not 1."""
    metered = Metered(resource="calls", grant="10", refresh="MONTH", rate="1")
    world, account, asset = await shop(sandbox, metered)
    await dearer(world, start="2024-01-10")
    await world.use(asset, "calls", "2024-01-20", 30)
    await world.advance("2024-02-01T10:00")
    await rebind(world, asset, None, binding="ACCOUNT")
    await world.use(asset, "calls", "2024-02-01", 30)
    await world.advance("2024-03-10")
    before = sum(figure(one.exact_amount) for one in await world.liable(account))

    await reprice(world, account, "2024-01-10", asset)
    await world.advance("2024-04-10")
    after = sum(figure(one.exact_amount) for one in await world.liable(account))

    assert (before, after) == (40, 80)


@pytest.mark.capability("M74.rebind")
async def test_details_and_lists_show_the_target_that_it_has_now(sandbox):
    world, account, asset = await shop(sandbox)
    team = await bind(world, account, "team", "CUSTOM")
    await world.advance("2024-02-01T10:00")
    await rebind(world, asset, None, binding_target=team)

    [detail] = await detail_list(world, asset.name)
    of_team = await detail_list(world, team)
    [listed] = (
        await world.client.assets.ListAssets(assets.ListAssetsRequest(parent=account))
    ).assets
    drawing = await world.client.wallets.ListWallets(
        wallets.ListWalletsRequest(parent=account, asset=asset.name)
    )
    new = await wallet_of(world, account, "bindingTargets")

    assert (enum_name(detail, "binding"), detail.binding_target) == ("CUSTOM", team)
    assert of_team == [detail]
    assert (enum_name(listed, "binding"), listed.binding_target) == ("CUSTOM", team)
    assert [one.name for one in drawing.wallets] == [new.name]


@pytest.mark.capability("M74.rebind")
async def test_records_from_before_and_after_the_day_are_voided_where_they_count(sandbox):
    """A record that was moved with its day is voided in the wallet that counts it now."""
    world, account, asset = await shop(sandbox)
    for at in ("2024-01-10", "2024-01-19"):
        await world.use(asset, "calls", at, 30)
    await world.advance("2024-02-02")
    await world.record([usage(asset, "calls", "2024-02-01T05:00", 25, "early")])
    await rebind(world, asset, "2024-02-01", binding="ACCOUNT")
    await world.record([usage(asset, "calls", "2024-02-01T06:00", 5, "kept")])
    await world.advance("2024-03-10")
    [other] = await world.sell(account, line("plan", "2024-03-01", binding="ACCOUNT"))

    await void(world, account, "early")
    await world.advance("2024-03-11")
    wallet = await wallet_of(world, account, "account")

    assert other.resources[0].wallet == wallet.name
    # 40 of January, 100 of February less 5, 100 of March, and 100 of the other asset.
    assert figure(wallet.balance) == 335
