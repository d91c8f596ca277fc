"""One running service for all stories, and a tenant of its own for each."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from clients import UsageClient
from tests.service import Service, add_tenant
from tests.stories.words import moment
from tests.stories.world import World


@pytest.fixture
async def sandbox(service: Service) -> AsyncIterator[Callable[..., Awaitable[World]]]:
    """Makes worlds whose clock starts when the story says."""
    clients: list[UsageClient] = []

    async def make(start: str, *, currency: str = "USD") -> World:
        _, key = await add_tenant(service, moment(start))
        client = await UsageClient(service.address, key).__aenter__()
        clients.append(client)
        return World(client, currency)

    yield make
    for client in clients:
        await client.__aexit__(None, None, None)
