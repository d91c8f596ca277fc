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
    acts = await store.list_acts(tx, account_id, {*sources, asset.id})
    found = list(arrivals(asset.id, rates, acts))
    changes = await store.list_changes(tx, account_id, {one.act.asset_id for one in found})
    by_act = {(change.content.asset_id, change.number): change for change in changes}
    return [_seen_from(one, by_act[one.act.asset_id, one.act.number]) for one in found]


def _seen_from(arrival: RateArrival, sale: AssetChange) -> AssetChange:
    """Return the act that brought a rate, with what it changed in another asset."""
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
