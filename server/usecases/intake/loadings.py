"""Start, prolong and end a loading, and find the assets of a batch that are being loaded."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from server.domain.consumption.intake import Intake
from server.domain.consumption.loadings import AssetKey, Loading, check_until
from server.domain.consumption.recording import Usage
from server.domain.errors import FailedPrecondition, NotFound
from server.domain.ids import AccountId, AssetId, LoadingId, OrderId
from server.domain.selling.sales import OrderState
from server.env import new_id
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.consumption import loadings as store
from server.store.consumption.loadings import NewLoading
from server.store.keys import TimeKey
from server.store.selling import accounts, orders
from server.store.settlement import wallets
from server.usecases.billing import loading as waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class StartLoading:
    """An account, or an asset or order of it, and the time until which it is loaded."""

    account_id: AccountId
    asset_id: AssetId | None = None
    order_id: OrderId | None = None
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendLoading:
    """A loading, and its new end."""

    account_id: AccountId
    loading_id: LoadingId
    until: datetime


async def start(tx: Transaction, command: StartLoading) -> Loading:
    """Start a loading; corrections that wait already wait for its end.

    Raises ACCOUNT_NOT_FOUND, ASSET_NOT_FOUND, ORDER_NOT_FOUND, ITEM_STATE, LOADING_TIME.
    """
    account_id = command.account_id
    await accounts.get(tx, account_id)
    new = NewLoading(
        id=LoadingId(new_id()),
        account_id=account_id,
        order_id=command.order_id,
        asset_ids=await _assets(tx, command),
        until=command.until,
    )
    check_until(command.until, now=await tenants.now(tx))
    await store.add(tx, new)
    await waiting.move_jobs(tx, account_id)
    return await store.get(tx, account_id, new.id)


async def extend(tx: Transaction, command: ExtendLoading) -> Loading:
    """Prolong an open loading. Raises LOADING_NOT_FOUND, ITEM_STATE, LOADING_TIME."""
    account_id = command.account_id
    known = await store.lock(tx, account_id, command.loading_id)
    if known.end is not None:
        text = "the loading has ended; start another one"
        facts = {"end_time": known.end.isoformat()}
        raise FailedPrecondition("ITEM_STATE", text, facts)
    check_until(command.until, now=await tenants.now(tx), present=known.until)
    await store.set_until(tx, known, command.until)
    await waiting.move_jobs(tx, account_id)
    return await store.get(tx, account_id, known.id)


async def end(tx: Transaction, account_id: AccountId, loading_id: LoadingId) -> Loading:
    """End a loading: what waited for it alone is due at once. Raises LOADING_NOT_FOUND."""
    known = await store.lock(tx, account_id, loading_id)
    if known.end is not None:
        return known
    await store.end(tx, known, await tenants.now(tx))
    await waiting.move_jobs(tx, account_id)
    return await store.get(tx, account_id, known.id)


async def list_loadings(
    tx: Transaction, account_id: AccountId, *, after: TimeKey | None, limit: int
) -> list[Loading]:
    """Return an account's loadings, newest first."""
    return await store.list_loadings(tx, account_id, after=after, limit=limit)


async def loaded_assets(tx: Transaction, intake: Intake) -> frozenset[AssetKey]:
    """Return the assets of a batch that are being loaded; they are read once."""
    if intake.loaded is None:
        keys = {(account_id, asset_id) for account_id, asset_id, _ in intake.meters}
        intake.loaded = await store.loaded(tx, keys, intake.now)
    return intake.loaded


async def admit_old(tx: Transaction, intake: Intake, usages: Iterable[Usage]) -> None:
    """Admit usage beyond the window for assets that are being loaded, if there is such usage."""
    oldest = intake.oldest
    if any(usage.time < oldest for usage in usages):
        await loaded_assets(tx, intake)


async def _assets(tx: Transaction, command: StartLoading) -> tuple[AssetId, ...]:
    """Return the assets that are named; none for the whole account."""
    account_id = command.account_id
    if command.order_id is not None:
        order = await orders.get(tx, account_id, command.order_id)
        if order.state is not OrderState.ACTIVE:
            facts = {"state": str(order.state)}
            raise FailedPrecondition("ITEM_STATE", "the order is not active yet", facts)
        return tuple(sorted(order.asset_ids))
    if command.asset_id is None:
        return ()
    if not await wallets.asset_numbers(tx, account_id, {command.asset_id}):
        raise NotFound.of("Asset", f"accounts/{account_id}/assets/{command.asset_id}")
    return (command.asset_id,)
