"""Marking final periods that have changed, so that a correction takes the change in."""

from collections.abc import Iterable

from server.domain.billing.causes import Cause
from server.domain.calendar import Period, period_after, rating_period
from server.domain.consumption.recording import PeriodKey, WalletKey
from server.store.access import tenants
from server.store.billing import pending as store
from server.store.billing.pending import MissingPeriod
from server.store.connection import Transaction
from server.usecases.billing.loading import due_times


async def mark(tx: Transaction, keys: Iterable[PeriodKey], cause: Cause) -> None:
    """Mark final rating periods whose usage or sale changes, and add the job that corrects them.

    Call it before a cell is changed: a correction takes its locks in this order. A period that
    nothing has opened, before a final one, becomes final at once, with all periods between them.
    While a wallet is loaded, its correction waits.
    """
    wanted = set(keys)
    if not wanted:
        return
    wallets = {(account_id, wallet_id) for account_id, wallet_id, _ in wanted}
    await store.share_late(tx, wallets)
    await add_missing_final(tx, wanted)
    await store.mark(tx, wanted, cause)
    await store.add_jobs(tx, await due_times(tx, wallets, await tenants.now(tx)))


async def add_missing_final(tx: Transaction, keys: Iterable[PeriodKey]) -> None:
    """Insert periods before a final one that nothing has opened, and all between them, as final."""
    wanted = set(keys)
    missing = await store.missing_periods(tx, wanted) if wanted else []
    if missing:
        found = [pair for one in missing for pair in _through_next(one)]
        await store.add_final(tx, found, await tenants.now(tx))


def _through_next(missing: MissingPeriod) -> Iterable[tuple[WalletKey, Period]]:
    """Yield a missing period and those after it, up to the first one that exists."""
    account_id, wallet_id, start = missing.key
    period = rating_period(missing.zone, missing.anchor, missing.length, start)
    yield (account_id, wallet_id), period
    while missing.next_start is not None and period.end < missing.next_start:
        period = period_after(missing.zone, missing.anchor, missing.length.cadence, period)
        yield (account_id, wallet_id), period
