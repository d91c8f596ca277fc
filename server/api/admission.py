"""Admission: how many calls may be in flight in this process, in all and for one tenant.

A call over either bound is refused at once, which costs little, so that those within them are
answered in time. The bounds stop a flood; fairness among tenants within them is decided where
calls wait for something scarce: connections (`server.store.transaction`) and the processes for
heavy work (`server.heavy_work`).

Large calls compute for milliseconds on the event loop. They take turns (`Turns`): while one waits,
the loop takes in whatever arrived, so that small calls and health checks are not held up behind
them; and one that would wait too long by what is ahead of it is refused before its work is begun.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from server import metrics
from server.domain.errors import ResourceExhausted
from server.domain.ids import TenantId

RETRY_SECONDS = 0.5
# Large calls in progress at once: more than one, since some wait for the database.
SLOTS = 4
# How long a large call may be expected to wait; and of the time that its caller gave it, the half.
MOST_WAIT_SECONDS = 0.5
# Rounds of the loop before a large call begins its work: until nothing arrived in so many.
IDLE_ROUNDS, MOST_ROUNDS = 8, 100
HAND_OVER_SECONDS = 100e-6
# What a byte of a request costs until it was measured, and how quickly a measurement counts.
BYTE_SECONDS, WEIGHT = 50e-9, 0.1


class Admission:
    """Counts the calls in flight."""

    def __init__(self, *, most: int, most_per_tenant: int) -> None:
        self._most = most
        self._most_per_tenant = most_per_tenant
        self._all = 0
        self._by_tenant: dict[TenantId, int] = {}

    @contextmanager
    def of(self, tenant_id: TenantId) -> Iterator[None]:
        """Count a call of a tenant while it runs. Raises OVERLOADED, TENANT_BUSY."""
        own = self._by_tenant.get(tenant_id, 0)
        if own >= self._most_per_tenant:
            raise _refused("TENANT_BUSY", "this tenant", self._most_per_tenant)
        if self._all >= self._most:
            raise _refused("OVERLOADED", "this server", self._most)
        self._all += 1
        self._by_tenant[tenant_id] = own + 1
        try:
            yield
        finally:
            self._all -= 1
            left = self._by_tenant[tenant_id] - 1
            if left:
                self._by_tenant[tenant_id] = left
            else:
                del self._by_tenant[tenant_id]


class Turns:
    """Lets large calls work a few at a time, and refuses those that would wait too long."""

    def __init__(self) -> None:
        self.arrived = 0
        self._slots = asyncio.Semaphore(SLOTS)
        self._taking_in = asyncio.Lock()
        self._active = 0
        self._bytes_ahead = 0
        self._byte_seconds = BYTE_SECONDS

    @asynccontextmanager
    async def of(self, size: int, seconds_left: float) -> AsyncIterator[None]:
        """Wait for the turn of a call of so many bytes. Raises OVERLOADED."""
        expected = self._bytes_ahead * self._byte_seconds
        if expected > min(MOST_WAIT_SECONDS, seconds_left / 2):
            metrics.CALLS_SHED.labels(reason="OVERLOADED").inc()
            raise ResourceExhausted(
                "OVERLOADED",
                "large calls that came before this one take too long; nothing happened, try again"
                " later",
                {"wait_ms": str(round(expected * 1000))},
                retry_after_seconds=max(RETRY_SECONDS, expected),
            )
        self._bytes_ahead += size
        try:
            async with self._slots:
                if self._bytes_ahead > size:
                    async with self._taking_in:
                        await self._take_in()
                self._active += 1
                began = time.perf_counter()
                try:
                    yield
                finally:
                    self._measure(size, (time.perf_counter() - began) / self._active)
                    self._active -= 1
        finally:
            self._bytes_ahead -= size

    async def _take_in(self) -> None:
        """Let the loop take in what arrived: a call a round, so that none waits unseen."""
        idle = 0
        for _ in range(MOST_ROUNDS):
            before = self.arrived
            # The transport hands calls over in a thread of its own, which needs the interpreter.
            time.sleep(HAND_OVER_SECONDS)  # noqa: ASYNC251 - as short as a small call
            await asyncio.sleep(0)
            idle = idle + 1 if self.arrived == before else 0
            if idle == IDLE_ROUNDS:
                return

    def _measure(self, size: int, seconds: float) -> None:
        self._byte_seconds += WEIGHT * (seconds / size - self._byte_seconds)


def _refused(reason: str, who: str, limit: int) -> ResourceExhausted:
    metrics.CALLS_SHED.labels(reason=reason).inc()
    return ResourceExhausted(
        reason,
        f"{who} has {limit} calls in flight, which is the most; nothing happened, try again later",
        {"limit": str(limit)},
        retry_after_seconds=RETRY_SECONDS,
    )
