"""Reprice assets: move them to the rates of the catalog of a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from server.domain.billing.causes import Cause
from server.domain.calendar import local_midnight
from server.domain.errors import InvalidArgument
from server.domain.ids import AccountId, AssetId, PriceBookId, ProductId, ResourceId, WalletId
from server.domain.modeling.roles import ProductRole
from server.domain.rating.cached_terms import CatalogTerms
from server.domain.selling.repricing import (
    Repriced,
    RepriceOutcome,
    check_day,
    check_last,
    check_terms,
    repriced,
    repriced_changes,
)
from server.domain.selling.sales import Asset
from server.domain.settlement.standing import standing
from server.store.access import tenants
from server.store.billing import periods, summaries
from server.store.connection import Transaction
from server.store.selling import asset_changes, asset_rates, assets, orders, quotes
from server.store.selling.assets import AssetFilter
from server.store.settlement import wallets
from server.usecases.billing import pending
from server.usecases.rating.discovery import CatalogTermsQuery, catalog_terms

MOST_ASSETS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RepriceAssets:
    """The assets of an account, all if none is named, and the day of the catalog."""

    account_id: AccountId
    asset_ids: tuple[AssetId, ...]
    product_id: ProductId | None
    price_book_id: PriceBookId | None
    day: date
    reason: str = ""


async def reprice_assets(tx: Transaction, command: RepriceAssets) -> list[Repriced]:
    """Give assets the rates of the catalog of a day, from that day on.

    Raises ACCOUNT_NOT_FOUND, ASSET_NOT_FOUND, PRICE_BOOK_NOT_FOUND, INTERVAL_INVALID,
    TOO_MANY_ITEMS, REPRICED_LATER, RATE_NEGATIVE, TIERS_INVALID, PROCEDURE_NOT_IN_FORCE.
    """
    account_id = command.account_id
    # Sales and other acts on assets of the account wait, as for an activation.
    buyer = await orders.lock_buyer(tx, account_id)
    if command.price_book_id is not None:
        await quotes.check_price_book(tx, command.price_book_id)
    chosen = await _chosen(tx, command)
    start = local_midnight(buyer.zone, command.day)
    last = await asset_rates.last_starts(tx, account_id, [asset.id for asset in chosen])
    found: list[Repriced] = []
    for asset in chosen:
        resources = repriced(asset, await _catalog(tx, command, asset))
        for one in resources:
            check_last(account_id, asset.id, last.get((asset.id, one.resource_id)), start)
        check_terms(asset, resources)
        found += resources
    changed = [one for one in found if one.outcome is RepriceOutcome.REPRICED]
    if changed:
        await _take_effect(tx, chosen, changed, start)
        await _keep_history(tx, command, changed)
    return found


async def _chosen(tx: Transaction, command: RepriceAssets) -> list[Asset]:
    """Return the assets to reprice, oldest first."""
    account_id = command.account_id
    if command.asset_ids:
        named = [await assets.get(tx, account_id, key) for key in dict.fromkeys(command.asset_ids)]
        for index, asset in enumerate(named):
            check_day(asset, command.day, f"assets[{index}]")
        wanted = command.product_id
        return sorted(
            (asset for asset in named if wanted in (None, asset.product_id)),
            key=lambda asset: asset.number,
        )
    only = AssetFilter(product_id=command.product_id, day=command.day)
    found = await assets.list_assets(tx, account_id, only, after=None, limit=MOST_ASSETS + 1)
    if len(found) > MOST_ASSETS:
        text = f"more than {MOST_ASSETS} assets are sold on that day; name some of them"
        raise InvalidArgument.at("assets", "TOO_MANY_ITEMS", text, limit=str(MOST_ASSETS))
    return found


async def _catalog(
    tx: Transaction, command: RepriceAssets, asset: Asset
) -> dict[ResourceId, CatalogTerms]:
    """Return the terms of the catalog on the day for what an asset is rated in."""
    line = await orders.line_of(tx, asset.account_id, asset.id)
    book = command.price_book_id
    if book is None:
        book = (await orders.get(tx, asset.account_id, asset.order_id)).price_book_id
    wanted = CatalogTermsQuery(
        price_book_id=book,
        product_id=asset.product_id,
        units={
            resource.resource_id: resource.terms.unit
            for resource in asset.resources
            if resource.terms is not None
        },
        day=command.day,
        selling_model_id=line.selling_model_id,
        is_addition=asset.role is not ProductRole.ANCHOR,
    )
    return await catalog_terms(tx, wanted)


async def _take_effect(
    tx: Transaction, chosen: Sequence[Asset], changed: Sequence[Repriced], start: datetime
) -> None:
    """Change the rates, and mark the final periods in which they apply, to be corrected."""
    account_id = chosen[0].account_id
    touched = _wallets(chosen, changed)
    # A close at the same time would rate a period as before, and nothing would correct it.
    await periods.share_open(tx, account_id, touched, start)
    firsts = await periods.first_final(tx, account_id, touched, start)
    keys = {(account_id, wallet_id, first) for wallet_id, first in firsts.items()}
    await pending.mark(tx, keys, Cause.RATE)
    await asset_rates.change(tx, account_id, changed, start)
    for wallet_id in _wallets(chosen, [one for one in changed if one.after.due]):
        await _add_standing(tx, account_id, wallet_id, (start, firsts.get(wallet_id)), changed)
    await orders.bump_rates(tx, account_id)


def _wallets(chosen: Sequence[Asset], changed: Sequence[Repriced]) -> list[WalletId]:
    """Return the wallets of resources that have new rates, in order.

    An asset that was bound to another target has one before and one after.
    """
    held = {
        (asset.id, resource.resource_id): {resource.wallet_id, resource.former_wallet_id}
        for asset in chosen
        for resource in asset.resources
    }
    found = (held[one.asset_id, one.resource_id] for one in changed)
    return sorted({wallet_id for both in found for wallet_id in both if wallet_id is not None})


async def _add_standing(
    tx: Transaction,
    account_id: AccountId,
    wallet_id: WalletId,
    since: tuple[datetime, datetime | None],
    changed: Sequence[Repriced],
) -> None:
    """Add what is owed without usage now to the periods that exist; later ones begin with it.

    `since` is when the new rates begin, and the first final period in which they apply.
    """
    start, first = since
    known = {} if first is None else {wallet_id: first}
    wallet = await wallets.get(tx, account_id, wallet_id, since=known)
    stored = {cell.id for cell in wallet.cells}
    assets_of = {one.asset_id for one in changed}
    found = [
        cell
        for period in await periods.existing(tx, account_id, wallet_id, start)
        for cell in standing(wallet.state, (), period)
        if cell.asset_id in assets_of and cell.id not in stored
    ]
    await summaries.add_standing(tx, wallet, found)


async def _keep_history(
    tx: Transaction, command: RepriceAssets, changed: Sequence[Repriced]
) -> None:
    changes = repriced_changes(
        changed, day=command.day, act_time=await tenants.now(tx), reason=command.reason
    )
    await asset_changes.add(tx, command.account_id, changes)
