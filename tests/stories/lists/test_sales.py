"""Lists of accounts, quotes, orders and assets: each filter alone, two together, by pages."""

from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import quote_service_pb2 as quotes

from tests.stories.list_words import Listing
from tests.stories.words import Metered, day, line, moment, stamp

MINUTES = Metered(resource="minutes", grant="10", rate="1")
STORAGE = Metered(resource="storage", rate="2")


async def test_accounts_by_when_they_were_created(sandbox):
    world = await sandbox("2024-01-15")
    names = [await world.account(name) for name in ("zoe", "bob", "ann")]
    rpc = world.client.accounts
    zoe, bob, ann = [
        (await rpc.GetAccount(accounts.GetAccountRequest(name=name))).create_time for name in names
    ]
    listing = Listing(rpc.ListAccounts, accounts.ListAccountsRequest)

    assert await listing.names() == ["accounts/ann", "accounts/bob", "accounts/zoe"]
    assert await listing.names(start_create_time=bob) == ["accounts/ann", "accounts/bob"]
    assert await listing.names(end_create_time=ann) == ["accounts/bob", "accounts/zoe"]
    assert await listing.names(start_create_time=bob, end_create_time=ann) == ["accounts/bob"]
    assert await listing.names(end_create_time=zoe) == []
    await listing.refuses_other_filters_for_its_token(
        {}, {"start_create_time": bob}, {"end_create_time": ann}
    )
    empty = {"start_create_time": bob, "end_create_time": bob}
    assert await listing.faults(**empty) == [("end_create_time", "INTERVAL_INVALID")]
    old = {"start_create_time": stamp(moment("1970-01-01"))}
    assert await listing.faults(**old) == [("start_create_time", "TIMESTAMP_RANGE")]


async def test_assets_by_product_resource_day_and_create_time(sandbox):
    world = await sandbox("2024-01-15")
    await world.product("plan", MINUTES)
    await world.product("box", STORAGE, Metered(resource="minutes", rate="1"))
    account, other = await world.account("ann"), await world.account("bob")
    [january] = await world.sell(account, line("plan", "2024-01-01", end="2024-02-01"))
    [march] = await world.sell(account, line("plan", "2024-03-01"))
    [box] = await world.sell(account, line("box", "2024-01-10"))
    await world.sell(other, line("plan", "2024-01-01"))
    plan = {"product": "products/plan"}
    storage = {"usage_resource": "usageResources/storage"}
    minutes = {"usage_resource": "usageResources/minutes"}
    listing = Listing(world.client.assets.ListAssets, assets.ListAssetsRequest, account)

    async def on(text: str, **more: str) -> list[str]:
        return await listing.names(on_date=day(text), **more)

    assert await listing.names() == [january.name, march.name, box.name]
    assert await listing.names(**plan) == [january.name, march.name]
    assert await listing.names(**storage) == [box.name]
    assert await listing.names(**minutes) == [january.name, march.name, box.name]
    assert await listing.names(**plan, **storage) == []
    assert await on("2023-12-31") == []
    assert await on("2024-01-31") == [january.name, box.name]
    assert await on("2024-02-01") == [box.name]
    assert await on("2024-03-01", **plan) == [march.name]
    since = {"start_create_time": march.create_time}
    assert await listing.names(**since) == [march.name, box.name]
    assert await listing.names(end_create_time=march.create_time) == [january.name]
    assert await listing.names(**since, **plan) == [march.name]
    assert await listing.names(product="products/nothing") == []
    await listing.refuses_other_filters_for_its_token({}, plan, minutes, since)
    assert await listing.faults(product="plan") == [("product", "NAME_FORMAT")]
    absurd = {"on_date": {"year": 2024, "month": 2, "day": 30}}
    assert await listing.faults(**absurd) == [("on_date", "DATE_INVALID")]


async def test_quotes_and_orders_by_state_product_and_create_time(sandbox):
    world = await sandbox("2024-01-15")
    await world.product("plan", MINUTES)
    await world.product("box", STORAGE)
    account = await world.account("ann")
    lines = (line("plan", "2024-01-01"), line("box", "2024-01-01"))
    plan, box, both = [await world.quote(account, *some) for some in (lines[:1], lines[1:], lines)]
    rpc = world.client.orders
    of_box, of_both = [
        await rpc.CreateOrder(orders.CreateOrderRequest(quote=one.name)) for one in (box, both)
    ]
    await rpc.ActivateOrder(orders.ActivateOrderRequest(name=of_both.name))
    draft, since = {"state": "DRAFT"}, {"start_create_time": box.create_time}
    listing = Listing(world.client.quotes.ListQuotes, quotes.ListQuotesRequest, account)

    assert await listing.names() == [both.name, box.name, plan.name]
    assert await listing.names(**draft) == [plan.name]
    assert await listing.names(state="ORDERED") == [both.name, box.name]
    assert await listing.names(product="products/plan") == [both.name, plan.name]
    assert await listing.names(product="products/plan", state="ORDERED") == [both.name]
    assert await listing.names(**since) == [both.name, box.name]
    assert await listing.names(**since, end_create_time=both.create_time) == [box.name]
    assert await listing.names(product="products/nothing") == []
    await listing.refuses_other_filters_for_its_token(
        {}, {"state": "ORDERED"}, {"product": "products/plan"}, since
    )
    assert await listing.faults(product="products/") == [("product", "CODE_FORMAT")]
    assert (await listing.refusal(state=77)).reason == "ENUM_UNKNOWN"

    listing = Listing(rpc.ListOrders, orders.ListOrdersRequest, account)
    box_and_both = {"product": "products/box"}
    assert await listing.names() == [of_both.name, of_box.name]
    assert await listing.names(**draft) == [of_box.name]
    assert await listing.names(state="ACTIVE") == [of_both.name]
    assert await listing.names(product="products/plan") == [of_both.name]
    assert await listing.names(**box_and_both) == [of_both.name, of_box.name]
    assert await listing.names(**box_and_both, **draft) == [of_box.name]
    assert await listing.names(start_create_time=of_both.create_time) == [of_both.name]
    assert await listing.names(end_create_time=of_both.create_time) == [of_box.name]
    await listing.refuses_other_filters_for_its_token(
        {}, box_and_both, {"start_create_time": of_box.create_time}
    )
