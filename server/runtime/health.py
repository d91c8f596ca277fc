"""The standard health service: one state for the server and all its services."""

import asyncio
from collections.abc import Iterable

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

SERVING: int = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: int = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN: int = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

_Context = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Answers `Check` and `Watch` for `names`, and for "", which is the server.

    The servicer of `grpc_health` has a state for each name, so that callers could see some services
    changed and others not. Its watches would also delay a stop.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset({"", *names})
        self._status = SERVING
        self._changed = asyncio.Event()
        self._is_draining = False
        self._is_ended = False

    def set(self, status: int) -> None:
        """Set the state of every name at once; after `drain` it has no effect."""
        if not self._is_draining and status != self._status:
            self._status = status
            self._tell()

    def drain(self) -> None:
        """Set NOT_SERVING permanently."""
        self.set(NOT_SERVING)
        self._is_draining = True

    def end(self) -> None:
        """End all watches."""
        self._is_ended = True
        self._tell()

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> health_pb2.HealthCheckResponse:
        """Return the state of a name. Fails with NOT_FOUND."""
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service here")
        return health_pb2.HealthCheckResponse(status=self._status)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: _Context) -> None:
        """Send the state of a name and every later one, until the server stops."""
        sent: int | None = None
        while not self._is_ended:
            changed = self._changed
            status = self._status if request.service in self._names else UNKNOWN
            if status != sent:
                answer = health_pb2.HealthCheckResponse(status=status)
                await context.write(answer)
                sent = status
            await changed.wait()

    def _tell(self) -> None:
        # A new event first: a watch that wakes up must wait for the next change.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
