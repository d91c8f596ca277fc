"""Corrections wait for loadings: the job of a settlement group is due when the last one ends."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from server.domain.consumption.loadings import OpenLoading
from server.domain.consumption.recording import WalletKey
from server.domain.ids import AccountId, WalletId
from server.store.access import tenants
from server.store.billing import pending
from server.store.connection import Transaction
from server.store.consumption import loadings


async def due_times(
    tx: Transaction, wallets: Iterable[WalletKey], now: datetime
) -> dict[WalletKey, datetime]:
    """Return when the correction of each wallet is due: at once, or when its loading ends.

    Nobody ends or prolongs these loadings until the transaction ends.
    """
    keys = set(wallets)
    accounts = {account_id for account_id, _ in keys}
    found = await loadings.find_open(tx, accounts, now, is_shared=True)
    return {key: await _held(tx, *key, found.get(key[0], ())) or now for key in keys}


async def postpone(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, group: Sequence[WalletId]
) -> bool:
    """Move the job of a wallet to the end of the loading of its group; False if there is none.

    The job stays pending, although it has run.
    """
    now = await tenants.now(tx)
    # Not shared: whoever ends the loading meanwhile waits for the job, and moves it again.
    found = await loadings.find_open(tx, [account_id], now)
    held = await _latest(tx, account_id, group, found.get(account_id, ()))
    if held is None:
        return False
    await pending.move_jobs(tx, account_id, {wallet_id: held})
    return True


async def move_jobs(tx: Transaction, account_id: AccountId) -> None:
    """Give each waiting correction of an account the time at which it is due now."""
    # The locks come first: two calls that end different loadings see each other's.
    waiting = await pending.lock_jobs(tx, account_id)
    if not waiting:
        return
    now = await tenants.now(tx)
    found = (await loadings.find_open(tx, [account_id], now)).get(account_id, [])
    due = {one: await _held(tx, account_id, one, found) or now for one in waiting}
    await pending.move_jobs(tx, account_id, due)


async def _held(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, found: Sequence[OpenLoading]
) -> datetime | None:
    """Return the end of the loadings that the group of a wallet waits for."""
    if not any(one.asset_ids for one in found):
        return max((one.until for one in found), default=None)
    group = await pending.group_of(tx, account_id, wallet_id)
    return await _latest(tx, account_id, group, found)


async def _latest(
    tx: Transaction,
    account_id: AccountId,
    group: Sequence[WalletId],
    found: Sequence[OpenLoading],
) -> datetime | None:
    """Return the end of the last loading of the account, or of an asset of the group's wallets."""
    for one in sorted(found, key=lambda one: one.until, reverse=True):
        is_whole = not one.asset_ids
        if is_whole or await loadings.touches(tx, account_id, group, one.asset_ids):
            return one.until
    return None
