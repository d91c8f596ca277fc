"""Reopening: late usage opens its own period again, if no later period of its wallet is final.

Everything that the close wrote is reversed, entry by entry, so that the next close draws and rates
as if the usage had come in time. Otherwise the usage is handled as under `NEXT_PERIOD`.
"""

from collections.abc import Iterable
from datetime import datetime

from server.domain.calendar import RatingPeriod
from server.domain.consumption.placement import may_reopen, reopened_period
from server.domain.consumption.recording import PeriodKey, Slot
from server.domain.errors import Aborted
from server.domain.settlement.walk import revision
from server.store.billing import reopening as store
from server.store.billing.reopening import Reopenable
from server.store.connection import Transaction
from server.store.consumption.recording import queue_openers
from server.store.settlement import wallets
from server.usecases.billing.closing import calendar_of


async def final_of(tx: Transaction, slots: Iterable[Slot]) -> set[PeriodKey]:
    """Return the final periods of those `slots` whose late usage may reopen its period."""
    wanted = {s.period_key for s in slots if may_reopen(s)}
    return await store.final_periods(tx, wanted) if wanted else set()


async def reopen(
    tx: Transaction, slots: Iterable[Slot], now: datetime
) -> dict[PeriodKey, RatingPeriod]:
    """Reopen the periods of late usage where possible, before other locks are taken.

    Concurrent callers wait for each other, and the later one finds the periods open. Raises Aborted
    (CONCURRENT_CHANGE).
    """
    wanted = {slot.period_key: slot.meter for slot in slots}
    if not wanted:
        return {}
    # Before the row locks, so that two batches that reopen periods of one wallet run one after the
    # other.
    await queue_openers(tx, {meter.wallet for meter in wanted.values()})
    found = await store.lock_reopenable(tx, wanted)
    opened = {
        reopenable.key: reopened_period(
            wanted[reopenable.key], reopenable.period, now=now, next_freeze=reopenable.next_freeze
        )
        for reopenable in found
    }
    for reopenable in found:
        await store.reopen(tx, reopenable, opened[reopenable.key].freeze)
    await _take_back(tx, found)
    return opened


async def _take_back(tx: Transaction, reopened: Iterable[Reopenable]) -> None:
    """Reverse what the closes of these periods wrote."""
    for reopenable in reopened:
        await wallets.lock(tx, reopenable.account_id, reopenable.wallet_id)
        # Checked again under the wallet's lock: a close that was running could have made a later
        # period final since the first check.
        if await store.has_final_follower(tx, reopenable):
            message = "a later period is being closed at this moment; nothing happened, try again"
            raise Aborted("CONCURRENT_CHANGE", message, retry_after_seconds=0.1)
        wallet = await wallets.get(tx, reopenable.account_id, reopenable.wallet_id)
        billing = calendar_of(wallet).billing_of(reopenable.period)
        if await store.is_invoiced(tx, reopenable, billing.end):
            message = (
                "a line of the period was invoiced at this moment; nothing happened, try again"
            )
            raise Aborted("CONCURRENT_CHANGE", message, retry_after_seconds=0.1)
        await store.take_back(tx, reopenable, revision(reopenable.reopened), billing.end)
