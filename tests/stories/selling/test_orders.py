"""Orders and the assets of their lines."""

from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import order_service_pb2 as orders

from tests.stories.words import Metered, line


async def test_the_assets_of_an_order_are_shown_from_its_activation_on(sandbox):
    world = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="minutes", rate="1"))
    await world.product("box", Metered(resource="storage", rate="2"))
    quote = await world.quote(
        await world.account("ann"), line("plan", "2024-01-01"), line("box", "2024-01-01")
    )
    rpc = world.client.orders

    draft = await rpc.CreateOrder(orders.CreateOrderRequest(quote=quote.name))
    read = await rpc.GetOrder(orders.GetOrderRequest(name=draft.name))
    active = await rpc.ActivateOrder(orders.ActivateOrderRequest(name=draft.name))
    sold = [
        await world.client.assets.GetAsset(assets.GetAssetRequest(name=name))
        for name in active.assets
    ]

    assert (list(draft.assets), list(read.assets)) == ([], [])
    assert [asset.product for asset in sold] == ["products/plan", "products/box"]
    assert {asset.order for asset in sold} == {draft.name}
    assert await rpc.GetOrder(orders.GetOrderRequest(name=draft.name)) == active
