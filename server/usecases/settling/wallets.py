"""Wallets as they are now: computed from what is posted and all usage that is not final yet."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from server.domain.ids import AccountId, TenantId, WalletId
from server.domain.settling.balances import GrantBalance, WalletBalance, WalletState, balance
from server.domain.settling.ledger import Entry
from server.store.pool import Connection
from server.store.settling import wallets as store
from server.store.settling.wallets import GrantSources, StoredWallet


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletNow:
    """A wallet and its balance at `wallet.now`."""

    wallet: StoredWallet
    balance: WalletBalance


async def get(
    tx: Connection, tenant_id: TenantId, account_id: AccountId, wallet_id: WalletId
) -> WalletNow:
    """One wallet now. Raises WALLET_NOT_FOUND."""
    return _now(await store.get(tx, tenant_id, account_id, wallet_id, with_sources=True))


async def list_wallets(
    tx: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    *,
    after: tuple[str, UUID] | None,
    limit: int,
) -> list[WalletNow]:
    """An account's wallets now, by resource. Raises ACCOUNT_NOT_FOUND."""
    args = (tx, tenant_id, account_id)
    return [_now(found) for found in await store.list_wallets(*args, after=after, limit=limit)]


async def list_grants(
    tx: Connection, tenant_id: TenantId, account_id: AccountId, wallet_id: WalletId
) -> tuple[WalletNow, list[GrantBalance], GrantSources]:
    """All grants of a wallet, oldest first: those used up, those open, those still provisional.

    They come with what each of their entitlements was sold as.
    """
    current = await get(tx, tenant_id, account_id, wallet_id)
    live = {one.grant.id: one for one in current.balance.grants}
    posted = await store.list_grants(tx, tenant_id, account_id, wallet_id)
    over = [
        GrantBalance(grant=grant, is_open=False, is_provisional=False)
        for grant in posted
        if grant.id not in live
    ]
    found = [*over, *live.values()]
    sources = await store.grant_sources(tx, tenant_id, account_id, wallet_id)
    return current, sorted(found, key=lambda one: (one.grant.start, one.grant.id)), sources


async def list_entries(
    tx: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    wallet_id: WalletId,
    *,
    after: int,
    limit: int,
) -> list[tuple[Entry, datetime]]:
    """Lines of a wallet's ledger in posting order. Raises WALLET_NOT_FOUND."""
    await store.check(tx, tenant_id, account_id, wallet_id)
    args = (tx, tenant_id, account_id, wallet_id)
    return await store.list_entries(*args, after=after, limit=limit)


def _now(wallet: StoredWallet) -> WalletNow:
    return WalletNow(wallet=wallet, balance=_last(wallet.id).balance_of(wallet.state, wallet.now))


@dataclass(slots=True)
class _Last:
    """The balance of a wallet that was computed last: what did not change is not computed again."""

    state: WalletState | None = None
    balance: WalletBalance | None = None
    since: datetime | None = None

    def balance_of(self, state: WalletState, now: datetime) -> WalletBalance:
        """The balance of `state` at `now`."""
        found, since = self.balance, self.since
        if found and since and since <= now < found.holds_until and state == self.state:
            return found
        found = balance(state, now=now)
        self.state, self.balance, self.since = state, found, now
        return found


@lru_cache(maxsize=1_024)
def _last(_wallet_id: WalletId) -> _Last:
    return _Last()
