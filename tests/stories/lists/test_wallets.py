"""Lists of wallets and of their grants: each filter alone, two together, by pages."""

from usage_management.v1 import wallet_service_pb2 as wallets

from tests.stories.list_words import Listing
from tests.stories.token_words import Credits, described, set_up
from tests.stories.words import Metered, line, moment, stamp

NO_ASSET = "assets/00000000-0000-4000-8000-000000000001"


async def test_wallets_by_resource_and_asset(sandbox):
    """A plan that costs credits, twice, and a box; the boxes share the account's wallet."""
    world = await sandbox("2024-01-15")
    await set_up(world, described("plan", {"data": "2"}, Credits(price="1", grant="5")))
    world.has_book = True
    await world.product("box", Metered(resource="space", grant="10", rate="1"))
    account = await world.account("ann")
    bob = await world.account("bob")
    sold = (
        line("plan", "2024-01-01"),
        line("plan", "2024-01-01"),
        line("box", "2024-01-01", binding="ACCOUNT"),
        line("box", "2024-01-01", binding="ACCOUNT"),
    )
    plan, other, box, _ = await world.sell(account, *sold)
    [foreign] = await world.sell(bob, line("plan", "2024-01-01"))
    found = {
        (one.usage_resource.partition("/")[2], one.target): one.name
        for one in await world.wallets(account)
    }
    data, credits = (
        {"usage_resource": "usageResources/data"},
        {"usage_resource": "usageResources/credits"},
    )
    listing = Listing(world.client.wallets.ListWallets, wallets.ListWalletsRequest, account)

    everything = await listing.names()
    assert sorted(everything) == sorted(found.values())
    assert len(everything) == 5
    assert sorted(await listing.names(**data)) == sorted(
        found["data", asset.name] for asset in (plan, other)
    )
    assert await listing.names(asset=plan.name) == [
        found["credits", plan.name],
        found["data", plan.name],
    ]
    assert await listing.names(asset=box.name) == [found["space", account]]
    assert await listing.names(asset=plan.name, **credits) == [found["credits", plan.name]]
    assert await listing.names(asset=box.name, **credits) == []
    assert await listing.names(asset=f"{account}/{NO_ASSET}") == []
    assert await listing.names(usage_resource="usageResources/nothing") == []
    await listing.refuses_other_filters_for_its_token({}, data, credits, {"asset": plan.name})
    assert await listing.faults(asset=foreign.name) == [("asset", "NAME_FORMAT")]
    nobody = Listing(listing.method, listing.request, "accounts/nobody")
    assert (await nobody.refusal(**data)).reason == "ACCOUNT_NOT_FOUND"


async def test_wallets_by_when_they_were_created(sandbox):
    world = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="minutes", grant="10", rate="1"))
    account = await world.account("ann")
    for _ in range(3):
        await world.sell(account, line("plan", "2024-01-01"))
    found = await world.wallets(account)
    first, second, third = sorted(found, key=lambda one: one.create_time.ToNanoseconds())
    since, before = (
        {"start_create_time": second.create_time},
        {"end_create_time": third.create_time},
    )
    minutes = {"usage_resource": "usageResources/minutes"}
    listing = Listing(world.client.wallets.ListWallets, wallets.ListWalletsRequest, account)

    assert sorted(await listing.names(**since)) == sorted([second.name, third.name])
    assert sorted(await listing.names(**before)) == sorted([first.name, second.name])
    assert await listing.names(**since, **before) == [second.name]
    assert await listing.names(**since, asset=first.target) == []
    assert await listing.names(end_create_time=first.create_time) == []
    await listing.refuses_other_filters_for_its_token({}, minutes, since, before)
    empty = {"start_create_time": second.create_time, "end_create_time": second.create_time}
    assert await listing.faults(**empty) == [("end_create_time", "INTERVAL_INVALID")]


async def test_grants_by_when_they_were_created(sandbox):
    """Each issue is created as the clock comes to it, but the last, which rolls over with March."""
    world = await sandbox("2024-01-01")
    await world.product(
        "plan", Metered(resource="minutes", grant="10", refresh="MONTH", max_rollovers=0, rate="1")
    )
    account = await world.account("ann")
    await world.sell(account, line("plan", "2024-01-01"))
    await world.advance("2024-04-02")
    wallet = await world.wallet(account, "minutes")
    grants = await world.grants(wallet)
    posted = [one for one in grants if one.HasField("create_time")]
    posted.sort(key=lambda one: one.create_time.ToNanoseconds())
    early, late = posted[0], posted[-1]
    since, before = {"start_create_time": late.create_time}, {"end_create_time": late.create_time}
    listing = Listing(world.client.wallets.ListGrants, wallets.ListGrantsRequest, wallet.name)

    expected = sorted([one.name for one in posted])
    assert len(posted) < len(grants)
    assert all(one.provisional for one in grants if not one.HasField("create_time"))
    assert await listing.names(**since) == [late.name]
    assert sorted([*await listing.names(**before), late.name]) == expected
    assert await listing.names(**before, kind="SALE") == [early.name]
    assert await listing.names(end_create_time=early.create_time) == []
    assert sorted(await listing.names(start_create_time=early.create_time)) == expected
    await listing.refuses_other_filters_for_its_token({}, {"kind": "REFRESH"}, before)
    empty = {"start_create_time": late.create_time, "end_create_time": late.create_time}
    assert await listing.faults(**empty) == [("end_create_time", "INTERVAL_INVALID")]


async def test_grants_by_asset_promise_kind_and_time(sandbox):
    """Two products with minutes, bound to the account: one wallet, refreshed for the first."""
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="minutes", grant="10", refresh="MONTH", rate="1"))
    await world.product("more", Metered(resource="minutes", grant="5", rate="1"))
    account = await world.account("ann")
    plan, more = await world.sell(
        account,
        line("plan", "2024-01-01", binding="ACCOUNT"),
        line("more", "2024-01-01", binding="ACCOUNT"),
    )
    await world.advance("2024-02-10")
    wallet = await world.wallet(account, "minutes")
    listing = Listing(world.client.wallets.ListGrants, wallets.ListGrantsRequest, wallet.name)
    grants = {
        (one.asset, one.start_time.ToDatetime().month): one.name
        for one in await world.grants(wallet)
    }
    january, february, once = [
        grants[key] for key in ((plan.name, 1), (plan.name, 2), (more.name, 1))
    ]
    first, second = sorted((january, once)), february
    of_plan = {"product_usage_grant": "products/plan/grants/minutes-grant"}

    async def at(text: str, **only: str) -> list[str]:
        return await listing.names(at_time=stamp(moment(text)), **only)

    assert len(grants) == 3
    assert sorted((await listing.names())[:2]) == first
    assert (await listing.names())[2:] == [second]
    assert await listing.names(asset=plan.name) == [january, february]
    assert await listing.names(asset=more.name) == [once]
    assert await listing.names(**of_plan) == [january, february]
    assert await listing.names(**of_plan, asset=more.name) == []
    assert sorted(await listing.names(kind="SALE")) == first
    assert await listing.names(kind="REFRESH") == [february]
    assert await listing.names(kind="SALE", asset=plan.name) == [january]
    assert sorted(await at("2024-01-31T23:59")) == first
    assert sorted(await at("2024-02-01")) == sorted([once, february])
    assert await at("2024-02-01", asset=plan.name) == [february]
    assert await at("2023-12-31") == []
    assert await listing.names(product_usage_grant="products/plan/grants/nothing") == []
    assert await listing.names(asset=f"{account}/{NO_ASSET}") == []
    await listing.refuses_other_filters_for_its_token(
        {}, {"asset": plan.name}, of_plan, {"kind": "SALE"}
    )
    wrong = {"product_usage_grant": "products/plan"}
    assert await listing.faults(**wrong) == [("product_usage_grant", "NAME_FORMAT")]
    foreign = {"asset": f"accounts/bob/{NO_ASSET}"}
    assert await listing.faults(**foreign) == [("asset", "NAME_FORMAT")]
