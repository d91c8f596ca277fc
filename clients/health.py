"""Health of the service, by gRPC's own health check, which needs no key."""

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from clients.tls import Tls, open_channel

NOT_REACHABLE = "NOT_REACHABLE"
SERVING = "SERVING"
POLL_SECONDS = 0.05


async def health(address: str, *, patient: bool = False, tls: Tls | None = None) -> str:
    """`SERVING`, `NOT_SERVING` or `NOT_REACHABLE`; `patient` waits two seconds for a connection."""
    async with open_channel(address, tls) as channel:
        return await _check(channel, patient)


async def serving(address: str, seconds: float, tls: Tls | None = None) -> None:
    """Return as soon as the service says that it serves. Raises TimeoutError."""
    async with asyncio.timeout(seconds), open_channel(address, tls) as channel:
        while await _check(channel, True) != SERVING:  # noqa: ASYNC110 - nobody here can tell us
            await asyncio.sleep(POLL_SECONDS)


async def _check(channel: grpc.aio.Channel, patient: bool) -> str:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest()
    try:
        answer = await stub.Check(request, timeout=2, wait_for_ready=patient)
    except grpc.aio.AioRpcError:
        return NOT_REACHABLE
    name: str = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return name
