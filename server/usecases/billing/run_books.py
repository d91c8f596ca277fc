"""Read the books of wallets, before and after a dry run is tried."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from server.domain.billing.run_books import WalletBooks, wallet_books
from server.domain.calendar import Period, rating_period
from server.domain.ids import AccountId, WalletId
from server.domain.settlement.rewinding import Span
from server.store.billing import corrections
from server.store.connection import Transaction
from server.store.settlement import wallets
from server.store.settlement.wallets import StoredWallet
from server.usecases.settlement.as_rated import rated_as_before

LONGEST_PERIOD = timedelta(days=366)


async def read_books(
    tx: Transaction, account_id: AccountId, wallet_ids: Iterable[WalletId], since: datetime
) -> dict[WalletId, WalletBooks]:
    """Return the books of wallets from the rating periods around `since` on."""
    return {
        wallet_id: await _read(tx, account_id, wallet_id, since - LONGEST_PERIOD)
        for wallet_id in wallet_ids
    }


async def _read(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, since: datetime
) -> WalletBooks:
    found = await wallets.get(tx, account_id, wallet_id, with_sources=True)
    wallet = await rated_as_before(tx, found)
    booked = await corrections.booked(tx, account_id, wallet_id, Span(since))
    return wallet_books(
        wallet.state, wallet.resource_id, booked, lambda start: _period(wallet, start), wallet.now
    )


def _period(wallet: StoredWallet, start: datetime) -> Period:
    """Return the rating period from `start`, cut to the service."""
    whole = rating_period(wallet.zone, wallet.anchor, wallet.frequency.period, start)
    return whole.since(wallet.service_start)
