"""Reopening: late usage opens its own period again, while nothing later of its target is final.

What the close of the period wrote is taken back, entry by entry, so that the next close draws and
rates as if the usage had come in time. Otherwise the usage is handled as `NEXT_PERIOD` says.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from server.domain.calendar import RatingPeriod, freeze_time, period_containing
from server.domain.consumption.recording import Meter, PeriodKey, Slot
from server.domain.errors import Aborted
from server.domain.modeling.policies import LatePolicy
from server.domain.settlement.walk import revision
from server.store.billing import reopening as store
from server.store.billing.reopening import Reopenable
from server.store.connection import Transaction
from server.store.consumption.recording import queue_openers
from server.store.settlement import wallets

INSTANT = timedelta(microseconds=1)


async def final_of(tx: Transaction, slots: Iterable[Slot]) -> set[PeriodKey]:
    """The final periods of those of `slots` whose late usage may open its period again."""
    wanted = {s.period_key for s in slots if s.meter.late_policy is LatePolicy.REOPEN}
    return await store.final_periods(tx, wanted) if wanted else set()


async def reopen(
    tx: Transaction, slots: Iterable[Slot], now: datetime
) -> dict[PeriodKey, RatingPeriod]:
    """Open the periods of late usage again, as far as they may be, before anybody holds them.

    Others who would do the same wait, and then find them open. Raises Aborted (CONCURRENT_CHANGE).
    """
    wanted = {slot.period_key: slot.meter for slot in slots}
    if not wanted:
        return {}
    await queue_openers(tx, {meter.wallet for meter in wanted.values()})
    found = await store.lock_reopenable(tx, wanted)
    opened = {one.key: reopened_period(one, wanted[one.key], now) for one in found}
    for one in found:
        await store.reopen(tx, one, opened[one.key].freeze)
    await _take_back(tx, found)
    return opened


async def _take_back(tx: Transaction, reopened: Iterable[Reopenable]) -> None:
    """Undo what the closes of these periods wrote."""
    for one in reopened:
        await wallets.lock(tx, one.account_id, one.wallet_id)
        if await store.has_final_follower(tx, one):
            message = "a later period is being closed at this moment; nothing happened, try again"
            raise Aborted("CONCURRENT_CHANGE", message, retry_after_seconds=0.1)
        wallet = await wallets.get(tx, one.account_id, one.wallet_id)
        start = one.period.start
        billing = period_containing(wallet.zone, wallet.anchor, wallet.billing, start)
        await store.take_back(tx, one, revision(one.reopened), billing.end)


def reopened_period(found: Reopenable, meter: Meter, now: datetime) -> RatingPeriod:
    """A period as it is opened again.

    It freezes after the waiting time, but before the period that follows it.
    """
    start, end = found.period.start, found.period.end
    due = freeze_time(meter.zone, max(end, now), meter.frequency.delay)
    if found.next_freeze is not None:
        due = max(now, min(due, found.next_freeze - INSTANT))
    return RatingPeriod(start, end, due)
