"""Reopening: late usage opens its own period again, while nothing later of its target is final.

What the close of the period wrote is taken back, entry by entry, so that the next close draws and
rates as if the usage had come in time. Otherwise the usage is handled as `NEXT_PERIOD` says.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from server.domain.calendar import Delay, freeze_time, period_containing
from server.domain.errors import Aborted
from server.domain.ids import TenantId
from server.domain.policies import LatePolicy
from server.domain.recording import PeriodKey, Slot
from server.domain.settlement import revision
from server.store import reopening as store
from server.store import wallets
from server.store.pool import Connection
from server.store.reopening import Reopenable

INSTANT = timedelta(microseconds=1)


async def reopen(
    tx: Connection, tenant_id: TenantId, slots: Iterable[Slot], now: datetime
) -> list[Reopenable]:
    """Open the periods of late usage that may be opened again; others who record into them wait.

    What their closes wrote has to be taken back in the same transaction.
    """
    wanted: dict[PeriodKey, Slot] = {
        slot.period_key: slot for slot in slots if slot.meter.late_policy is LatePolicy.REOPEN
    }
    found = await store.lock_reopenable(tx, tenant_id, wanted) if wanted else []
    for one in found:
        meter = wanted[one.key].meter
        await store.reopen(tx, tenant_id, one, _due(one, meter.zone, meter.frequency.delay, now))
    return found


async def take_back(tx: Connection, tenant_id: TenantId, reopened: Iterable[Reopenable]) -> None:
    """Undo what the closes of these periods wrote. Raises Aborted (CONCURRENT_CHANGE)."""
    for one in reopened:
        await wallets.lock(tx, tenant_id, one.account_id, one.wallet_id)
        if await store.has_final_follower(tx, tenant_id, one):
            message = "a later period is being closed at this moment; nothing happened, try again"
            raise Aborted("CONCURRENT_CHANGE", message, retry_after_seconds=0.1)
        wallet = await wallets.get(tx, tenant_id, one.account_id, one.wallet_id)
        start = one.period.start
        billing = period_containing(wallet.zone, wallet.anchor, wallet.billing, start)
        await store.take_back(tx, tenant_id, one, revision(one.reopened), billing.end)


def _due(found: Reopenable, zone: str, delay: Delay, now: datetime) -> datetime:
    """When it is closed again: after the waiting time, but before the period that follows it."""
    due = freeze_time(zone, max(found.period.end, now), delay)
    if found.next_freeze is None:
        return due
    return max(now, min(due, found.next_freeze - INSTANT))
