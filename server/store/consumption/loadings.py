"""Loadings: started, prolonged, ended, and looked up for usage and corrections."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncpg import Record

from server.domain.consumption.loadings import AssetKey, Loading, OpenLoading
from server.domain.errors import NotFound
from server.domain.ids import AccountId, AssetId, LoadingId, OrderId, WalletId
from server.store.audit import audit_of
from server.store.connection import Transaction
from server.store.keys import NO_KEY, TimeKey
from server.store.sql import load

SQL = load("consumption/loadings.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLoading:
    """A loading to insert."""

    id: LoadingId
    account_id: AccountId
    order_id: OrderId | None
    asset_ids: Sequence[AssetId]
    until: datetime


async def add(tx: Transaction, new: NewLoading) -> None:
    """Insert an open loading."""
    args = (tx.tenant_id, new.account_id, new.id, new.order_id, list(new.asset_ids), new.until)
    await tx.execute(SQL["add_loading"], *args)


async def lock(tx: Transaction, account_id: AccountId, loading_id: LoadingId) -> Loading:
    """Lock a loading until the transaction ends, and return it. Raises LOADING_NOT_FOUND."""
    await tx.fetchrow(SQL["lock_loading"], tx.tenant_id, account_id, loading_id)
    # Read after the lock, to see what was committed while this transaction waited.
    return await get(tx, account_id, loading_id)


async def get(tx: Transaction, account_id: AccountId, loading_id: LoadingId) -> Loading:
    """Return one loading. Raises LOADING_NOT_FOUND."""
    row = await tx.fetchrow(SQL["get_loading"], tx.tenant_id, account_id, loading_id)
    if row is None:
        raise NotFound.of("Loading", f"accounts/{account_id}/loadings/{loading_id}")
    return _loading(account_id, row)


async def list_loadings(
    tx: Transaction, account_id: AccountId, *, after: TimeKey | None, limit: int
) -> list[Loading]:
    """Return an account's loadings, newest first."""
    rows = await tx.fetch(SQL["list_loadings"], tx.tenant_id, account_id, *(after or NO_KEY), limit)
    return [_loading(account_id, row) for row in rows]


async def set_until(tx: Transaction, loading: Loading, until: datetime) -> None:
    """Change the time at which a locked loading ends by itself."""
    await tx.execute(SQL["set_until"], tx.tenant_id, loading.account_id, loading.id, until)


async def end(tx: Transaction, loading: Loading, now: datetime) -> None:
    """End a locked loading."""
    await tx.execute(SQL["end_loading"], tx.tenant_id, loading.account_id, loading.id, now)


async def loaded(tx: Transaction, keys: Iterable[AssetKey], now: datetime) -> frozenset[AssetKey]:
    """Return the assets that are being loaded, of some."""
    pairs = sorted(keys)
    accounts, assets = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    rows = await tx.fetch(SQL["find_loaded"], tx.tenant_id, accounts, assets, now)
    return frozenset((AccountId(row["account_id"]), AssetId(row["asset_id"])) for row in rows)


async def find_open(
    tx: Transaction, accounts: Iterable[AccountId], now: datetime, *, is_shared: bool = False
) -> dict[AccountId, list[OpenLoading]]:
    """Return the open loadings of some accounts.

    If they are shared, nobody ends or prolongs them until the transaction ends.
    """
    query = SQL["share_open"] if is_shared else SQL["find_open"]
    found: dict[AccountId, list[OpenLoading]] = {}
    for row in await tx.fetch(query, tx.tenant_id, sorted(set(accounts)), now):
        one = OpenLoading(asset_ids=tuple(map(AssetId, row["asset_ids"])), until=row["until_time"])
        found.setdefault(AccountId(row["account_id"]), []).append(one)
    return found


async def touches(
    tx: Transaction,
    account_id: AccountId,
    wallet_ids: Iterable[WalletId],
    asset_ids: Iterable[AssetId],
) -> bool:
    """Return whether some wallet counts the usage of some asset, or the tokens that it costs."""
    args = (tx.tenant_id, account_id, list(wallet_ids), list(asset_ids))
    return bool(await tx.fetchval(SQL["touches"], *args))


def _loading(account_id: AccountId, row: Record) -> Loading:
    order_id = row["order_id"]
    return Loading(
        id=LoadingId(row["loading_id"]),
        account_id=account_id,
        order_id=None if order_id is None else OrderId(order_id),
        asset_ids=tuple(map(AssetId, row["asset_ids"])),
        until=row["until_time"],
        end=row["end_time"],
        audit=audit_of(row),
    )
