"""Refusals to bind an asset to another target: each says what can be done, and that works."""

from typing import Any

import pytest
from usage_management.v1 import asset_service_pb2 as assets

from clients.values import enum_name
from tests.stories.bindings.binding_words import create_target, delete_target
from tests.stories.bindings.rebind_words import CALLS, rebind, shop
from tests.stories.policy_words import overage, override
from tests.stories.quote_words import rate
from tests.stories.sale_words import bind, to
from tests.stories.token_words import Credits, described, pack, set_up
from tests.stories.words import Metered, line, refusal
from tests.stories.world import World


async def days(world: World, asset: assets.Asset, *names: str) -> list[tuple[str, str]]:
    """Why each of these days is refused, and the day that is named instead."""
    found = []
    for name in names:
        error = await refusal(rebind(world, asset, name, binding="ACCOUNT"))
        found.append((error.reason, error.facts.get("start_date", "")))
    return found


async def sold(sandbox: Any, metered: Metered) -> tuple[World, str, assets.Asset]:
    """An asset as it is on the first of March, with January final and February open."""
    world, account, asset = await shop(sandbox, metered)
    await world.advance("2024-03-01T12:00")
    return world, account, asset


@pytest.mark.capability("M74.rebind")
async def test_a_day_that_is_not_possible_is_refused_with_another_one(sandbox):
    tiers = Metered(resource="calls", grant="10", tiers=(("0", "60", "3"), ("60", None, "1")))
    world, _, asset = await sold(sandbox, tiers)

    found = await days(world, asset, "2024-01-01", "2024-02-10", "2024-03-02", "2023-12-31")
    made = await rebind(world, asset, "2024-02-01", binding="ACCOUNT")

    assert found == [
        ("REBIND_DAY", "2024-02-01"),
        ("REBIND_DAY", "2024-02-01"),
        ("REBIND_DAY", "2024-03-01"),
        ("INTERVAL_INVALID", ""),
    ]
    assert enum_name(made, "binding") == "ACCOUNT"


@pytest.mark.capability("M74.rebind")
async def test_an_asset_that_has_not_begun_or_is_over_is_refused(sandbox):
    world, account, asset = await sold(sandbox, CALLS)
    [later, over] = await world.sell(
        account,
        line("plan", "2024-03-10"),
        line("plan", "2024-01-01", end="2024-02-01"),
    )
    await world.advance("2024-03-05")

    early = await refusal(rebind(world, later, None, binding="ACCOUNT"))
    late = [
        await refusal(rebind(world, over, None, binding="ACCOUNT")),
        await refusal(rebind(world, over, "2024-01-15", binding="ACCOUNT")),
    ]
    [instead] = await world.sell(account, line("plan", "2024-03-05", binding="ACCOUNT"))
    await world.advance("2024-03-10T01:00")
    made = await rebind(world, later, early.facts["start_date"], binding="ACCOUNT")

    assert (early.reason, early.facts["start_date"]) == ("REBIND_DAY", "2024-03-10")
    assert [one.reason for one in late] == ["INTERVAL_INVALID", "REBIND_DAY"]
    assert "sell another asset" in late[1].message
    assert instead.resources[0].wallet == made.resources[0].wallet
    assert asset.resources[0].wallet != made.resources[0].wallet


@pytest.mark.capability("M74.rebind")
async def test_usage_at_one_rate_can_be_divided_on_any_day_that_is_open(sandbox):
    world, _, asset = await sold(sandbox, CALLS)

    made = await rebind(world, asset, "2024-02-10", binding="ACCOUNT")

    assert enum_name(made, "binding") == "ACCOUNT"


@pytest.mark.capability("M74.rebind")
async def test_an_asset_is_bound_to_another_target_once(sandbox):
    world, account, asset = await sold(sandbox, CALLS)
    other = await bind(world, account, "team", "CUSTOM")
    await rebind(world, asset, None, binding="ACCOUNT")

    again = await refusal(rebind(world, asset, None, binding_target=other))
    back = await refusal(rebind(world, asset, None, binding="SELF"))
    [instead] = await world.sell(account, to(other, "plan", "2024-03-01", binding="CUSTOM"))

    assert {one.reason for one in (again, back)} == {"REBIND_AGAIN"}
    assert "sell another asset" in again.message
    assert instead.binding_target == other


@pytest.mark.capability("M74.rebind")
async def test_grants_move_once(sandbox):
    """Not out of a wallet into which others moved, and not into a wallet which others have left."""
    world, account, alone = await sold(sandbox, CALLS)
    team, free = [await bind(world, account, name, "CUSTOM") for name in ("team", "free")]
    [moved, pooled] = await world.sell(
        account,
        to(team, "plan", "2024-03-01", binding="CUSTOM"),
        line("plan", "2024-03-01", binding="ACCOUNT"),
    )
    await rebind(world, moved, None, binding="ACCOUNT")

    onward = await refusal(rebind(world, pooled, None, binding_target=free))
    there = await refusal(rebind(world, alone, None, binding_target=team))
    made = await rebind(world, alone, None, binding_target=free)
    [instead] = await world.sell(account, to(free, "plan", "2024-03-01", binding="CUSTOM"))

    assert {one.reason for one in (onward, there)} == {"REBIND_CHAIN"}
    assert "sell another asset" in onward.message
    assert "bind to a target to which nothing was sold" in there.message
    assert made.resources[0].wallet == instead.resources[0].wallet


@pytest.mark.capability("M74.rebind")
async def test_what_adds_to_an_asset_does_not_stay_behind(sandbox):
    world = await sandbox("2024-01-20")
    await set_up(world, described("plan", {}, Credits(price="2", grant="10"), category="USAGE"))
    await set_up(world, pack("more", "credits", grant="5"))
    account = await world.account("ann")
    [asset, alone] = await world.sell(
        account, line("plan", "2024-01-01"), line("plan", "2024-01-01")
    )
    await world.sell(account, to(asset.name, "more", "2024-01-05"))
    [agreed] = await world.sell(
        account, line("plan", "2024-01-01", binding="ACCOUNT", negotiated=[rate("1", "credits")])
    )

    packed = await refusal(rebind(world, asset, None, binding="ACCOUNT"))
    shared = await refusal(rebind(world, agreed, None, binding="SELF"))
    made = await rebind(world, alone, None, binding="ACCOUNT")

    assert [one.reason for one in (packed, shared)] == ["REBIND_ADDITIONS"] * 2
    assert ("packs" in packed.message, "negotiated" in shared.message) == (True, True)
    assert enum_name(made, "binding") == "ACCOUNT"


@pytest.mark.capability("M74.rebind")
async def test_a_target_with_other_policies_or_periods_is_refused(sandbox):
    world, account, asset = await shop(sandbox)
    block = await overage(world, "block", "BLOCK")
    named = await create_target(world, account, "named", policies=[override(overage_policy=block)])
    await world.product("daily", Metered(resource="calls", grant="1", rating="DAY", rate="2"))
    await world.product("data", Metered(resource="data", grant="1", rate="2"))
    [other, there] = await world.sell(
        account,
        line("daily", "2024-01-01"),
        to(named.name, "data", "2024-01-01"),
    )
    free = await bind(world, account, "free", "CUSTOM")
    await world.advance("2024-02-01T12:00")

    policies = [
        await refusal(rebind(world, asset, None, binding_target=named.name)),
        await refusal(rebind(world, asset, None, binding_target=other.name)),
        # An asset stands for the target that it is bound to.
        await refusal(rebind(world, asset, None, binding_target=there.name)),
    ]
    made = await rebind(world, asset, None, binding_target=free)

    assert [one.reason for one in policies] == ["POLICY_CONFLICT"] * 3
    assert made.binding_target == free


@pytest.mark.capability("M74.rebind")
async def test_a_target_whose_rating_periods_begin_on_other_days_is_refused(sandbox):
    world = await sandbox("2024-02-20")
    await world.product("plan", Metered(resource="calls", grant="10", rate="2", rating="QUARTER"))
    # Quarters are counted from the start of the first sale to each target.
    account = await world.account("ann", billing_months=3)
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, line("plan", "2024-02-01", binding="ACCOUNT"))
    team = await bind(world, account, "team", "CUSTOM")

    refused = await refusal(rebind(world, asset, None, binding="ACCOUNT"))
    made = await rebind(world, asset, None, binding_target=team)

    assert (refused.reason, refused.facts["day"]) == ("REBIND_CALENDAR", "2024-02-20")
    assert made.binding_target == team


@pytest.mark.capability("M74.rebind")
async def test_what_cannot_be_divided_is_not_supported(sandbox):
    world = await sandbox("2024-01-20")
    await set_up(world, described("voice", {"minutes": "5"}, Credits(price="1", grant="10")))
    await world.product(
        "held", Metered(resource="storage", method="TIME_WEIGHTED", window="DAY", rate="1")
    )
    account = await world.account("ann")
    sold = await world.sell(account, line("voice", "2024-01-01"), line("held", "2024-01-01"))

    found = [await refusal(rebind(world, asset, "2024-01-01", binding="ACCOUNT")) for asset in sold]
    instead = await world.sell(account, line("voice", "2024-01-01", binding="ACCOUNT"))

    assert {(one.code.name, one.reason) for one in found} == {("UNIMPLEMENTED", "NOT_SUPPORTED")}
    assert all("sell one for it" in one.message for one in found)
    assert instead


@pytest.mark.capability("M74.rebind")
async def test_what_is_no_target_or_no_anchor_is_refused(sandbox):
    world = await sandbox("2024-01-20")
    await set_up(world, described("plan", {}, Credits(price="2", grant="10"), category="USAGE"))
    await set_up(world, pack("more", "credits", grant="5"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    [added] = await world.sell(account, to(asset.name, "more", "2024-01-05"))
    team = await bind(world, account, "team", "CUSTOM")
    elsewhere = await world.account("ben")
    theirs = await bind(world, elsewhere, "team", "CUSTOM")

    refused = [
        await refusal(rebind(world, added, None, binding="ACCOUNT")),
        await refusal(rebind(world, asset, None)),
        await refusal(rebind(world, asset, None, binding="CONTRACT", binding_target=team)),
        await refusal(rebind(world, asset, None, binding_target=f"{account}/bindingTargets/no")),
        await refusal(rebind(world, asset, None, binding_target=theirs)),
    ]

    assert [one.reason for one in refused] == [
        *["BINDING_TARGET"] * 3,
        *["BINDING_TARGET_NOT_FOUND"] * 2,
    ]


@pytest.mark.capability("M74.target")
async def test_a_target_to_which_an_asset_was_bound_later_is_in_use(sandbox):
    world, account, asset = await sold(sandbox, CALLS)
    made = await create_target(world, account)
    await rebind(world, asset, None, binding_target=made.name)

    refused = await refusal(delete_target(world, made))

    assert (refused.reason, "RebindAsset" in refused.message) == ("IN_USE", True)
    assert asset.name in refused.message
