"""Short words for stories about usage that is loaded."""

from collections.abc import Sequence

from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import order_service_pb2 as orders

from tests.stories.words import (
    Metered,
    line,
    moment,
    money,
    stamp,
)
from tests.stories.world import World

LATE, REJECTED = consumption.RecordOutcome.LATE, consumption.RecordOutcome.REJECTED
PLAN = Metered(resource="calls", grant="10", refresh="MONTH", rate="2", late="REJECT")


async def start(world: World, account: str, until: str, **more: str) -> consumption.Loading:
    return await world.client.consumption.StartLoading(
        consumption.StartLoadingRequest(parent=account, until_time=stamp(moment(until)), **more)
    )


async def extend(world: World, loading: consumption.Loading, until: str) -> consumption.Loading:
    return await world.client.consumption.ExtendLoading(
        consumption.ExtendLoadingRequest(name=loading.name, until_time=stamp(moment(until)))
    )


async def end(world: World, loading: consumption.Loading) -> consumption.Loading:
    return await world.client.consumption.EndLoading(
        consumption.EndLoadingRequest(name=loading.name)
    )


async def billed(world: World, account: str) -> list[int]:
    """Return what is billed for each month, corrections too."""
    return [int(money(one.amount)) for one in await world.liable(account) if money(one.amount)]


async def corrections(world: World, account: str) -> set[str]:
    """The executions that booked lines of earlier periods."""
    return {
        one.execution_id
        for one in await world.ratable(account)
        if one.origin_start_time.seconds < one.start_time.seconds
    }


async def a_sale(
    world: World, account: str, *products: str, start_date: str = "2024-01-01"
) -> orders.Order:
    """Sell products with one order."""
    quote = await world.quote(account, *[line(product, start_date) for product in products])
    made = await world.client.orders.CreateOrder(orders.CreateOrderRequest(quote=quote.name))
    return await world.client.orders.ActivateOrder(orders.ActivateOrderRequest(name=made.name))


async def sold(
    world: World, plan: Metered = PLAN, bill: Sequence[int] = (4,)
) -> tuple[str, assets.Asset]:
    """A customer from January on whose February is open."""
    await world.product("plan", plan)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-10", 12)
    await world.advance("2024-02-10")
    assert await billed(world, account) == list(bill)
    return account, asset
