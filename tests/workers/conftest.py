"""A database with one sandbox tenant, whose clock stands at the start of 2024."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest

from server.domain.ids import TenantId
from server.store.pool import open_pool
from server.store.transaction import finish_commits, transact
from tests.logins import as_service

TENANT = TenantId(uuid4())
START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(as_service(database), size=4)

    async def add_sandbox(tx) -> None:
        await tx.execute(
            "INSERT INTO tenants (tenant_id, id, clock_start_time, clock_time)"
            " VALUES ($1, 'acme', $2, $2)",
            TENANT,
            START,
        )

    await transact(pool, TENANT, add_sandbox)
    yield pool
    await finish_commits()
    await pool.close()
