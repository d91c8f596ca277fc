"""The backlog: claimed jobs that wait for a free slot, taken from the tenants in turn."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterable

from server.domain.ids import TenantId
from server.store.jobs import Claim


class Backlog:
    """A queue for each tenant; `take` rotates over the tenants, so that no queue blocks others."""

    def __init__(self) -> None:
        self._queues: OrderedDict[TenantId, deque[Claim]] = OrderedDict()
        self._filled = asyncio.Event()
        self._is_closed = False

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def count(self, tenant_id: TenantId) -> int:
        """Return the number of waiting claims of a tenant."""
        return len(self._queues.get(tenant_id, ()))

    def put(self, tenant_id: TenantId, claims: Iterable[Claim]) -> None:
        """Append claims to the queue of their tenant."""
        new = deque(claims)
        if new:
            self._queues.setdefault(tenant_id, deque()).extend(new)
            self._filled.set()

    async def take(self) -> tuple[TenantId, Claim] | None:
        """Wait for a claim of the next tenant and return it; None once closed."""
        while not self._queues and not self._is_closed:
            self._filled.clear()
            await self._filled.wait()
        if self._is_closed:
            return None
        tenant_id, queue = self._queues.popitem(last=False)
        claim = queue.popleft()
        if queue:
            # At the end, so that the other tenants come first.
            self._queues[tenant_id] = queue
        return tenant_id, claim

    def close(self) -> list[tuple[TenantId, list[Claim]]]:
        """Close the backlog and return the claims that were not taken."""
        self._is_closed = True
        self._filled.set()
        left = [(tenant_id, list(queue)) for tenant_id, queue in self._queues.items()]
        self._queues.clear()
        return left
