"""Wallets as they are now: computed from posted entries and all usage that is not final yet."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from server.domain.caches import memoize
from server.domain.exact import ZERO
from server.domain.ids import AccountId, AssetId, ProductGrantId, ProductId, WalletId
from server.domain.selling.grants import Grant, GrantKind
from server.domain.settlement.ledger import LedgerEntry
from server.domain.settlement.wallet_states import WalletState
from server.domain.wallets.balances import GrantBalance, WalletBalance, balance, unbilled
from server.domain.wallets.spend import CommittedSpend, committed_spend
from server.store.connection import Transaction
from server.store.keys import ANY_TIME, TimeWindow
from server.store.settlement import entries, grants
from server.store.settlement import wallets as store
from server.store.settlement.wallets import StoredWallet, WalletFilter
from server.usecases.settlement.as_rated import rated_as_before
from server.usecases.settlement.spend import final_spend


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantFilter:
    """The filters of a list of grants; None means any. `time` is a time that they can pay for."""

    asset_id: AssetId | None = None
    promise: tuple[ProductId, ProductGrantId] | None = None
    kind: GrantKind | None = None
    time: datetime | None = None
    created: TimeWindow = ANY_TIME

    def admits(self, grant: Grant, create_time: datetime | None) -> bool:
        """Return whether a grant matches the kind and the times."""
        if self.kind not in (None, grant.kind) or not self.created.admits(create_time):
            return False
        if self.time is None:
            return True
        return grant.opens <= self.time and (grant.expire is None or self.time < grant.expire)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletNow:
    """A wallet and its balance at `wallet.now`, and what is not billed of earlier periods.

    `spend` is what is spent now under commitments to spend.
    """

    wallet: StoredWallet
    balance: WalletBalance
    unbilled: Decimal | None
    spend: tuple[CommittedSpend, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantNow:
    """A grant as it is now, and the product grant that it comes from; posted at `create_time`."""

    item: GrantBalance
    source: tuple[ProductId, ProductGrantId]
    create_time: datetime | None

    @property
    def key(self) -> tuple[datetime, UUID]:
        """The sort key in a list."""
        return self.item.grant.start, self.item.grant.id


async def get(tx: Transaction, account_id: AccountId, wallet_id: WalletId) -> WalletNow:
    """Return one wallet as it is now. Raises WALLET_NOT_FOUND."""
    found = await store.get_owing(tx, account_id, wallet_id)
    return await _with_spend(tx, _now(await rated_as_before(tx, found)))


async def list_wallets(
    tx: Transaction,
    account_id: AccountId,
    only: WalletFilter,
    *,
    after: tuple[str, UUID] | None,
    limit: int,
) -> list[WalletNow]:
    """Return an account's wallets as they are now, by resource."""
    found = await store.list_wallets(tx, account_id, only, after=after, limit=limit)
    return [await _with_spend(tx, _now(await rated_as_before(tx, wallet))) for wallet in found]


async def list_grants(
    tx: Transaction,
    account_id: AccountId,
    wallet_id: WalletId,
    only: GrantFilter,
) -> tuple[WalletNow, list[GrantNow]]:
    """Return grants of a wallet, oldest first: used up, open and provisional ones.

    Raises WALLET_NOT_FOUND.
    """
    current = await get(tx, account_id, wallet_id)
    live = {grant.grant.id: grant for grant in current.balance.grants}
    posted = await grants.list_grants(tx, account_id, wallet_id)
    # Grants that are used up or expired are no longer loaded with the wallet. Others have nothing
    # any more: usage that is not corrected yet leaves no remainder to roll over or to move to them.
    over = [
        GrantBalance(grant=grant.holding(ZERO), is_open=False, is_provisional=grant.balance != 0)
        for grant, _ in posted
        if grant.id not in live
    ]
    sources = await grants.grant_sources(
        tx, account_id, wallet_id, asset_id=only.asset_id, promise=only.promise
    )
    times = {grant.id: create_time for grant, create_time in posted}
    found = [
        GrantNow(item=item, source=source, create_time=times.get(item.grant.id))
        for item in (*over, *live.values())
        if (source := sources.get(item.grant.entitlement_id)) is not None
        and only.admits(item.grant, times.get(item.grant.id))
    ]
    return current, sorted(found, key=lambda one: one.key)


async def list_entries(
    tx: Transaction,
    account_id: AccountId,
    wallet_id: WalletId,
    *,
    after: int,
    limit: int,
) -> list[tuple[LedgerEntry, datetime]]:
    """Return entries of a wallet's ledger in posting order. Raises WALLET_NOT_FOUND."""
    await store.check(tx, account_id, wallet_id)
    return await entries.list_entries(tx, account_id, wallet_id, after=after, limit=limit)


async def _with_spend(tx: Transaction, current: WalletNow) -> WalletNow:
    """Return a wallet of money with what is spent under its commitments."""
    wallet = current.wallet
    if not wallet.is_spend:
        return current
    final = await final_spend(tx, wallet)
    return replace(current, spend=committed_spend(wallet.state, final, now=wallet.now))


def _now(wallet: StoredWallet) -> WalletNow:
    found = _last(wallet.id).balance_of(wallet.state, wallet.now)
    booked = ZERO if wallet.unbilled is None else wallet.unbilled
    return WalletNow(
        wallet=wallet, balance=found, unbilled=unbilled(found, booked, wallet.currency_code)
    )


@dataclass(slots=True)
class _Last:
    """The last computed balance of a wallet, which is reused while the state is the same."""

    state: WalletState | None = None
    balance: WalletBalance | None = None
    since: datetime | None = None

    def balance_of(self, state: WalletState, now: datetime) -> WalletBalance:
        """Return the balance of `state` at `now`."""
        found, since = self.balance, self.since
        # Time alone can change a balance, so a cached one is valid only until `holds_until`.
        if found and since and since <= now < found.holds_until and state == self.state:
            return found
        found = balance(state, now=now)
        self.state, self.balance, self.since = state, found, now
        return found


# One cached balance for each of the wallets that were read last.
@memoize(entries=1_024, entry_bytes=65_536)
def _last(_wallet_id: WalletId) -> _Last:
    return _Last()
