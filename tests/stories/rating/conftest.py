"""Two servers for stories about what one of them changes and the other answers."""

from collections.abc import AsyncIterator

import pytest

from clients import UsageClient
from server.app import open_env, running
from server.config import read_config
from tests.logins import as_service
from tests.service import Service, add_tenant
from tests.stories.rating.two_servers import Two
from tests.stories.words import Metered, moment
from tests.stories.world import World


@pytest.fixture
async def two(service: Service, story_database: str) -> AsyncIterator[Two]:
    settings = {"redis_url": None, "port": 0, "allow_unsafe_store": True, "stop_seconds": 1}
    config = read_config(database_url=as_service(story_database), **settings)
    tenant, key = await add_tenant(service, moment("2024-01-15"))
    async with (
        open_env(config) as env,
        running(env) as server,
        UsageClient(service.address, key) as here,
        UsageClient(f"127.0.0.1:{server.port}", key) as there,
    ):
        found = Two(tenant, World(here), there, env.seal)
        await found.here.product("plan", Metered(resource="data"))
        yield found
