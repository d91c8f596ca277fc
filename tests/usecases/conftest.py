"""One account that was sold a phone, in a sandbox on 2 March 2024."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from server.store.pool import open_pool
from server.store.transaction import finish_commits
from tests.logins import as_service
from tests.usecases.recorders import CATALOG, NOW, TENANT, run, sell


@pytest.fixture
async def pool(database: str, owner) -> AsyncIterator[asyncpg.Pool]:
    await run(owner, CATALOG, TENANT, NOW)
    await sell(owner, "acme")
    pool = await open_pool(as_service(database), size=6)
    yield pool
    await finish_commits()
    await pool.close()
