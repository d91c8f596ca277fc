"""A service to test against: a server and a worker in this process, on a real database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import pytest
from usage_management.v1 import access_service_pb2 as access

from clients import UsageClient
from server.app import open_env, running
from server.config import read_config
from server.usecases.access.tenants import create_first_tenant
from tests.logins import as_service
from tests.stories.words import stamp
from workers.sweep import sweep_for_ever
from workers.tasks.registry import TASKS


@dataclass(frozen=True)
class Service:
    """The service's address, and the operator's key."""

    address: str
    operator_key: str


@asynccontextmanager
async def serving(database: str, **settings: object) -> AsyncIterator[Service]:
    """A server and a worker in this process, on a migrated database."""
    config = read_config(
        database_url=as_service(database),
        redis_url=None,
        port=0,
        allow_unsafe_store=True,
        stop_seconds=1,
        sweep_seconds=0.02,
        **settings,
    )
    async with open_env(config) as env, running(env) as server:
        operator_key = await create_first_tenant(env.pool)
        assert operator_key is not None
        working = asyncio.create_task(sweep_for_ever(env.pool, TASKS, config))
        try:
            yield Service(f"127.0.0.1:{server.port}", operator_key)
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working


async def add_tenant(
    service: Service, clock: datetime | None, *roles: str, is_empty: bool = True
) -> tuple[str, str]:
    """A new tenant and the key of a credential of it; its catalog is empty unless told."""
    tenant_id = f"t-{uuid4().hex[:12]}"
    tenant = access.Tenant()
    if clock is not None:
        tenant.clock_start_time.CopyFrom(stamp(clock))
    async with UsageClient(service.address, service.operator_key) as operator:
        made = await operator.access.CreateTenant(
            access.CreateTenantRequest(tenant_id=tenant_id, tenant=tenant, empty_catalog=is_empty)
        )
        credential = access.Credential(tenant=made.name, roles=roles or ("ADMIN",))
        answer = await operator.access.CreateCredential(
            access.CreateCredentialRequest(credential=credential)
        )
    return tenant_id, answer.key


@pytest.fixture(scope="session")
async def service(story_database: str) -> AsyncIterator[Service]:
    """The service that all tests of the public API share, each with a tenant of its own."""
    async with serving(story_database) as found_service:
        yield found_service
