"""Admission: limits the number of active calls, in this process and for one tenant.

A call over a limit is refused at once, which is cheap, so that admitted calls are answered in time.
The limits stop a flood. Fairness among tenants within them is decided where calls wait for a scarce
resource: connections (`server.store.transaction`) and heavy-work processes
(`server.runtime.heavy_work`).
"""

import asyncio
import time

from server import metrics
from server.api.calls import Caller
from server.domain.errors import ResourceExhausted

RETRY_SECONDS = 0.5
# Polled: a timer for each call would cost more than everything else in this module.
LOOK_SECONDS = 0.1


class Admission:
    """Counts the active calls, and ends overdue ones that no client's deadline ends; hot."""

    def __init__(self, *, most: int, most_per_tenant: int) -> None:
        self._most = most
        self._most_per_tenant = most_per_tenant
        self._all = 0
        # By the tenant's UUID as an integer, which is hashed at a tenth of the cost.
        self._by_tenant: dict[int, int] = {}
        self._ours_to_end: dict[Caller, asyncio.Task[object]] = {}

    def enter(self, call: Caller) -> None:
        """Count a call that runs in the current task. Raises OVERLOADED, TENANT_BUSY."""
        tenant = call.tenant_id.int
        own = self._by_tenant.get(tenant, 0)
        if own >= self._most_per_tenant:
            raise _refused("TENANT_BUSY", "this tenant", self._most_per_tenant)
        if self._all >= self._most:
            raise _refused("OVERLOADED", "this server", self._most)
        self._all += 1
        self._by_tenant[tenant] = own + 1
        if not call.is_timed_by_client:
            task = asyncio.current_task()
            assert task is not None, call.call_id
            self._ours_to_end[call] = task

    def leave(self, call: Caller) -> None:
        """Stop counting an admitted call."""
        self._all -= 1
        tenant = call.tenant_id.int
        left = self._by_tenant[tenant] - 1
        if left:
            self._by_tenant[tenant] = left
        else:
            # Kept only while in use, so that memory does not grow with the number of tenants.
            del self._by_tenant[tenant]
        self._ours_to_end.pop(call, None)

    def end_overdue(self) -> None:
        """Cancel the calls whose deadline has passed, with `is_overdue` set."""
        now = time.monotonic()
        for call in [pending for pending in self._ours_to_end if pending.deadline <= now]:
            call.is_overdue = True
            self._ours_to_end.pop(call).cancel()

    async def end_overdue_for_ever(self) -> None:
        """End overdue calls within `LOOK_SECONDS` of their deadlines, until canceled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.end_overdue()


def _refused(reason: str, who: str, limit: int) -> ResourceExhausted:
    metrics.CALLS_SHED.labels(reason=reason).inc()
    return ResourceExhausted(
        reason,
        f"{who} has {limit} calls in flight, which is the most; nothing happened, try again later",
        {"limit": str(limit)},
        retry_after_seconds=RETRY_SECONDS,
    )
