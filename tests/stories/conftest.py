"""One running service for all stories, and a tenant of its own for each."""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from usage_management.v1 import account_service_pb2 as accounts

from clients import UsageClient
from clients.pages import pages
from server.domain.ids import AccountId, TenantId
from server.store.pool import open_pool
from server.store.transaction import read
from server.usecases.access.tenants import tenant_id_of
from server.usecases.billing import slices
from server.usecases.billing.verification import verify_account
from tests.logins import as_service
from tests.service import Service, add_tenant
from tests.stories.words import moment
from tests.stories.world import World


@pytest.fixture
async def sandbox(
    service: Service, story_database: str
) -> AsyncIterator[Callable[..., Awaitable[World]]]:
    """Makes worlds whose clock starts when the story says, and verifies all that became of them."""
    worlds: list[tuple[str, UsageClient]] = []

    async def make(start: str, *, currency: str = "USD") -> World:
        name, key = await add_tenant(service, moment(start))
        client = await UsageClient(service.address, key).__aenter__()
        worlds.append((name, client))
        return World(client, currency)

    yield make
    pool = await open_pool(as_service(story_database), size=1)
    for name, client in worlds:
        listed = pages(client.accounts.ListAccounts, accounts.ListAccountsRequest())
        ids = [AccountId(one.name.partition("/")[2]) async for one in listed]
        await client.__aexit__(None, None, None)
        for account_id in ids:
            await _verify(pool, tenant_id_of(name), account_id)
    await pool.close()


async def _verify(pool: asyncpg.Pool, tenant_id: TenantId, account_id: AccountId) -> None:
    # All periods at once, and one at a time.
    for limit in (slices.SLICE_CELLS, 1):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(slices, "SLICE_CELLS", limit)
            verified = await read(
                pool, tenant_id, lambda tx: verify_account(tx, account_id), snapshot=True
            )
        assert verified.findings == ()
