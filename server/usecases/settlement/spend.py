"""The spend of final periods under commitments to spend."""

from decimal import Decimal

from server.domain.ids import GrantId
from server.domain.wallets.spend import promised
from server.store.connection import Transaction
from server.store.settlement.spend import spent
from server.store.settlement.wallets import StoredWallet


async def final_spend(tx: Transaction, wallet: StoredWallet) -> dict[GrantId, Decimal]:
    """Return what was spent of each promised amount in periods that a wallet has no usage of.

    It has the usage of all periods that are not final, and of final ones from `since` on.
    """
    known = wallet.since or wallet.closed
    if not wallet.is_spend or known is None:
        return {}
    amounts = promised(wallet.state, now=wallet.now)
    return await spent(tx, wallet.account_id, wallet.id, amounts, before=known)
