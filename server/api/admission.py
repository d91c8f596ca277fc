"""Admission: how many calls may be in flight in this process, in all and for one tenant.

A call over either bound is refused at once, which costs little, so that those within them are
answered in time. The bounds stop a flood; fairness among tenants within them is decided where
calls wait for something scarce: connections (`server.store.transaction`) and the processes for
heavy work (`server.heavy_work`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from server import metrics
from server.domain.errors import ResourceExhausted
from server.domain.ids import TenantId

RETRY_SECONDS = 0.5


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


def _refused(reason: str, who: str, limit: int) -> ResourceExhausted:
    metrics.CALLS_SHED.labels(reason=reason).inc()
    return ResourceExhausted(
        reason,
        f"{who} has {limit} calls in flight, which is the most; nothing happened, try again later",
        {"limit": str(limit)},
        retry_after_seconds=RETRY_SECONDS,
    )
