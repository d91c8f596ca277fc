"""Reopening: late usage opens its own period again, while nothing later of its target is final.

What the close of the period wrote is taken back, entry by entry, so that the next close draws and
rates as if the usage had come in time. Otherwise the usage is handled as `NEXT_PERIOD` says.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from server.domain.calendar import Delay, freeze_time, period_containing
from server.domain.consuming.recording import PeriodKey, Slot
from server.domain.errors import Aborted
from server.domain.ids import TenantId
from server.domain.modelling.policies import LatePolicy
from server.domain.settling.settlement import revision
from server.store.consuming.recording import queue_openers
from server.store.pool import Connection
from server.store.settling import reopening as store
from server.store.settling import wallets
from server.store.settling.reopening import Reopenable

INSTANT = timedelta(microseconds=1)


async def final_of(tx: Connection, tenant_id: TenantId, slots: Iterable[Slot]) -> set[PeriodKey]:
    """The final periods of those of `slots` whose late usage may open its period again."""
    wanted = {s.period_key for s in slots if s.meter.late_policy is LatePolicy.REOPEN}
    return await store.final_periods(tx, tenant_id, wanted) if wanted else set()


async def reopen(
    tx: Connection, tenant_id: TenantId, slots: Iterable[Slot], now: datetime
) -> list[Reopenable]:
    """Open the periods of late usage again, as far as they may be, before anybody holds them.

    Others who would do the same wait, and then find them open. Raises Aborted (CONCURRENT_CHANGE).
    """
    wanted = {slot.period_key: slot.meter for slot in slots}
    if not wanted:
        return []
    await queue_openers(tx, {meter.wallet for meter in wanted.values()})
    found = await store.lock_reopenable(tx, tenant_id, wanted)
    for one in found:
        meter = wanted[one.key]
        await store.reopen(tx, tenant_id, one, _due(one, meter.zone, meter.frequency.delay, now))
    await _take_back(tx, tenant_id, found)
    return found


async def _take_back(tx: Connection, tenant_id: TenantId, reopened: Iterable[Reopenable]) -> None:
    """Undo what the closes of these periods wrote."""
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
