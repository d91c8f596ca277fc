"""The history of an asset: every change of its rates, grants and policies."""

from dataclasses import dataclass, replace
from datetime import date, datetime

from server.domain.ids import AccountId, AssetId, ResourceId
from server.domain.rating.sold_rates import AssetRates
from server.domain.selling.asset_changes import (
    AssetAct,
    AssetChange,
    RateArrival,
    arrivals,
    between,
)
from server.domain.selling.sales import Asset
from server.store.connection import Transaction
from server.store.rating.rate_snapshots import asset_rates
from server.store.selling import asset_changes as store
from server.store.selling import assets
from server.store.settlement.wallets import asset_numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesQuery:
    """An asset, and the filters of its changes; None for any."""

    account_id: AccountId
    asset_id: AssetId
    effective_date: date | None = None
    as_of: datetime | None = None
    resource_id: ResourceId | None = None


async def list_changes(tx: Transaction, query: ChangesQuery) -> list[AssetChange]:
    """Return the changes of an asset, oldest first. Raises ASSET_NOT_FOUND."""
    account_id = query.account_id
    asset = await assets.get(tx, account_id, query.asset_id)
    own = await store.list_changes(tx, account_id, [asset.id])
    found = own + await _from_others(tx, asset)
    if query.resource_id is not None:
        found = [_of_resource(change, query.resource_id) for change in found]
        found = [change for change in found if change.content.fields]
    return between(found, effective_date=query.effective_date, as_of=query.as_of)


async def _from_others(tx: Transaction, asset: Asset) -> list[AssetChange]:
    """Return the sales of other assets that changed the rates of this one."""
    account_id = asset.account_id
    keys = [(account_id, asset.id, resource.resource_id) for resource in asset.resources]
    sold = await asset_rates(tx, keys)
    rates = {key[2]: held for key in keys if isinstance(held := sold.get(key), AssetRates)}
    sources = {addition.asset_id for held in rates.values() for addition in held.additions}
    if not sources:
        return []
    numbers = await asset_numbers(tx, account_id, sources)
    found = list(arrivals(asset.number, rates, numbers))
    changes = await store.list_changes(tx, account_id, {one.source_id for one in found})
    return [_seen_from(one, changes) for one in found]


def _seen_from(arrival: RateArrival, changes: list[AssetChange]) -> AssetChange:
    """Return the sale that brought a rate, with what it changed in another asset."""
    sale = next(change for change in changes if change.content.asset_id == arrival.source_id)
    content = replace(
        sale.content,
        act=AssetAct.OTHER_SALE,
        effective_date=arrival.effective_date,
        fields=arrival.fields,
    )
    return replace(sale, content=content)


def _of_resource(change: AssetChange, resource_id: ResourceId) -> AssetChange:
    own = tuple(one for one in change.content.fields if one.resource_id == resource_id)
    return replace(change, content=replace(change.content, fields=own))
