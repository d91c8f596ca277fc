"""Changing the rates of assets that are sold: the periods in which other rates apply."""

from collections.abc import Collection
from datetime import datetime

from server.domain.billing.causes import Cause
from server.domain.ids import AccountId, AssetId, WalletId
from server.domain.settlement.standing import standing
from server.store.billing import periods, summaries
from server.store.connection import Transaction
from server.store.settlement import wallets
from server.usecases.billing import pending


async def mark_final(
    tx: Transaction, account_id: AccountId, touched: Collection[WalletId], start: datetime
) -> dict[WalletId, datetime]:
    """Mark the final periods of wallets from a time on, to be corrected; return the first ones."""
    # A close at the same time would rate a period as before, and nothing would correct it.
    await periods.share_open(tx, account_id, touched, start)
    firsts = await periods.first_final(tx, account_id, touched, start)
    keys = {(account_id, wallet_id, first) for wallet_id, first in firsts.items()}
    await pending.mark(tx, keys, Cause.RATE)
    return firsts


async def add_standing(
    tx: Transaction,
    account_id: AccountId,
    wallet_id: WalletId,
    since: tuple[datetime, datetime | None],
    asset_ids: Collection[AssetId],
) -> None:
    """Add what assets owe without usage now to the periods that exist; later ones begin with it.

    `since` is when the new rates begin, and the first final period in which they apply.
    """
    start, first = since
    known = {} if first is None else {wallet_id: first}
    wallet = await wallets.get(tx, account_id, wallet_id, since=known)
    stored = {cell.id for cell in wallet.cells}
    found = [
        cell
        for period in await periods.existing(tx, account_id, wallet_id, start)
        for cell in standing(wallet.state, (), period)
        if cell.asset_id in asset_ids and cell.id not in stored
    ]
    await summaries.add_standing(tx, wallet, found)
