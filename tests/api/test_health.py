"""The standard health service: every service by its name, all switched together, watches."""

import asyncio
import time
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.app import SERVICES, open_env, running
from server.config import read_config
from server.runtime.health import NOT_SERVING, SERVING, UNKNOWN, HealthServicer
from tests.logins import as_service
from tests.service import Service

NAMES = ["", "grpc.health.v1.Health", *(descriptor.full_name for descriptor, _ in SERVICES)]


@pytest.fixture
async def stub(service: Service) -> AsyncIterator[health_pb2_grpc.HealthStub]:
    async with grpc.aio.insecure_channel(service.address) as channel:
        yield health_pb2_grpc.HealthStub(channel)


async def states(stub) -> set[int]:
    answers = await asyncio.gather(
        *(stub.Check(health_pb2.HealthCheckRequest(service=name)) for name in NAMES)
    )
    return {answer.status for answer in answers}


async def test_every_service_is_known_by_its_name_and_no_other(stub):
    assert "usage_management.v1.WalletService" in NAMES
    assert await states(stub) == {SERVING}

    for unknown in ("usage_management.v1.Nothing", "usage_management.v1", "*"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Check(health_pb2.HealthCheckRequest(service=unknown))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_watch_of_an_unknown_name_says_so_and_goes_on(stub):
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="usage_management.v1.Nothing"))

    assert (await watch.read()).status == UNKNOWN
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await watch.read()


async def test_all_names_are_switched_together_and_watched_until_the_server_stops(
    database: str, owner, admin
):
    config = read_config(database_url=as_service(database), redis_url=None, port=0, stop_seconds=15)
    async with (
        open_env(config) as env,
        running(env) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        requests = [health_pb2.HealthCheckRequest(service=name) for name in NAMES[:3]]
        watches = [stub.Watch(request) for request in requests]
        assert {(await watch.read()).status for watch in watches} == {SERVING}

        # Nobody gets in, so the store is away.
        name = await owner.fetchval("SELECT current_database()")
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert {(await watch.read()).status for watch in watches} == {NOT_SERVING}
        assert await states(stub) == {NOT_SERVING}
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert {(await watch.read()).status for watch in watches} == {SERVING}

        server.health.drain()
        assert {(await watch.read()).status for watch in watches} == {NOT_SERVING}
        assert await states(stub) == {NOT_SERVING}
        started = time.monotonic()
        server.health.end()
        assert {await watch.read() for watch in watches} == {grpc.aio.EOF}
        last = stub.Watch(requests[0])
        assert await last.read() is grpc.aio.EOF
    assert time.monotonic() - started < 10, "watches do not hold up the stop"


async def test_what_is_drained_stays_so():
    checks = HealthServicer(["a"])
    checks.drain()
    checks.set(SERVING)

    answer = await checks.Check(health_pb2.HealthCheckRequest(service="a"), None)

    assert answer.status == NOT_SERVING
