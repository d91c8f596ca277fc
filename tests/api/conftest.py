"""One running service for the tests of the wire, with a tenant of its own and raw calls to it."""

from collections.abc import AsyncIterator

import grpc
import pytest

from clients import UsageClient
from tests.api.wire import Wire
from tests.service import Service, add_tenant
from tests.stories.words import Metered, line, moment
from tests.stories.world import World


@pytest.fixture(scope="session")
async def wire(service: Service) -> AsyncIterator[Wire]:
    """Raw calls as the administrator of a sandbox tenant that has sold one product."""
    _, key = await add_tenant(service, moment("2024-01-15"))
    async with UsageClient(service.address, key) as client:
        world = World(client)
        await world.product("plan", Metered(resource="calls", grant="100", rate="2", scale=2))
        account = await world.account("ann", zone="Europe/Berlin")
        [asset] = await world.sell(account, line("plan", "2024-01-01"))
        async with grpc.aio.insecure_channel(service.address) as channel:
            yield Wire(channel, key, world, account, asset)
