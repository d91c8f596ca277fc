"""Usage details of quotes, orders, assets and binding targets."""

from dataclasses import dataclass, replace
from datetime import date
from typing import assert_never

from server.domain.calendar import local_date, local_midnight
from server.domain.ids import (
    AccountId,
    AssetId,
    BindingTargetId,
    EntitlementAccountId,
    OrderId,
    QuoteId,
    ResourceId,
    WalletId,
)
from server.domain.selling.sales import Asset
from server.domain.selling.targets import TargetKey, TargetKind
from server.domain.selling.usage_details import (
    UsageDetail,
    details_of_assets,
    details_of_sale,
)
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.rating.rate_snapshots import additions_by_wallet
from server.store.selling import assets, binding_targets, orders, quotes, targets, usage_details
from server.store.selling.usage_details import HeldQuery, Key


@dataclass(frozen=True, slots=True)
class OfQuote:
    """The details of a quote."""

    id: QuoteId


@dataclass(frozen=True, slots=True)
class OfOrder:
    """The details of an order."""

    id: OrderId


@dataclass(frozen=True, slots=True)
class OfAsset:
    """The details of an asset, or of all assets that share its wallets."""

    id: AssetId
    with_others: bool


@dataclass(frozen=True, slots=True)
class OfTarget:
    """The details of a contract or a custom target, or of the account without an id."""

    id: BindingTargetId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailsQuery:
    """The subject of the details, a day and a resource; None for any, or for today."""

    account_id: AccountId
    of: OfQuote | OfOrder | OfAsset | OfTarget
    day: date | None = None
    resource_id: ResourceId | None = None

    @property
    def is_of_sale(self) -> bool:
        """True for a quote or an order."""
        return isinstance(self.of, OfQuote | OfOrder)


async def list_of_sale(tx: Transaction, query: DetailsQuery) -> list[UsageDetail]:
    """Return the details of a quote or an order. Raises QUOTE_NOT_FOUND, ORDER_NOT_FOUND."""
    of = query.of
    if isinstance(of, OfQuote):
        quote = await quotes.get(tx, query.account_id, of.id)
        return details_of_sale(quote, query.day, query.resource_id)
    assert isinstance(of, OfOrder), of
    order = await orders.get(tx, query.account_id, of.id)
    return details_of_sale(order, query.day, query.resource_id)


async def list_of_assets(
    tx: Transaction, query: DetailsQuery, *, after: Key | None, limit: int
) -> list[UsageDetail]:
    """Return the details of an asset or a target, by resource and number of the asset.

    Raises ACCOUNT_NOT_FOUND, ASSET_NOT_FOUND, BINDING_TARGET_NOT_FOUND.
    """
    account_id, of = query.account_id, query.of
    zone = (await quotes.get_buyer(tx, account_id)).zone
    day = query.day or local_date(zone, await tenants.now(tx))
    midnight = local_midnight(zone, day)
    subject = await _subject(tx, query)
    if subject is None:
        return []
    if isinstance(subject, Asset):
        found = await _of_unlinked(tx, replace(query, day=day), subject)
        return [one for one in found if (one.resource.resource_id, one.number) > (after or ("", 0))]
    wanted = HeldQuery(
        account_id=account_id,
        of=subject,
        is_target=not isinstance(of, OfAsset) or of.with_others,
        day=day,
        midnight=midnight,
        resource_id=query.resource_id,
    )
    held = await usage_details.list_held(tx, wanted, after=after, limit=limit)
    wallets = {(account_id, one.wallet_id, one.is_shared) for one in held}
    added = await additions_by_wallet(tx, wallets)
    additions = {WalletId(key): found for key, found in added.items()}
    return details_of_assets(held, additions, day=day, midnight=midnight)


async def _of_unlinked(tx: Transaction, query: DetailsQuery, asset: Asset) -> list[UsageDetail]:
    """Return the details of a commitment without an anchor, which has no wallets yet."""
    order = await orders.get(tx, asset.account_id, asset.order_id)
    found = details_of_sale(order, query.day, query.resource_id)
    return [replace(one, number=asset.number) for one in found if one.asset_id == asset.id]


async def _subject(
    tx: Transaction, query: DetailsQuery
) -> Asset | AssetId | EntitlementAccountId | None:
    """Return the asset, or the target with wallets; None for a target to which nothing was sold.

    An asset is whole if it is a commitment without an anchor.
    """
    account_id, of = query.account_id, query.of
    key: TargetKey
    match of:
        case OfAsset():
            asset = await assets.get(tx, account_id, of.id)
            if asset.role.is_commitment and asset.linked_id is None:
                return asset
            if not of.with_others:
                return of.id
            key = (TargetKind.ASSET, str(of.id))
        case OfTarget(id=None):
            key = (TargetKind.ACCOUNT, "")
        case OfTarget():
            kind = (await binding_targets.get(tx, account_id, str(of.id))).kind
            key = (kind, str(of.id))
        case OfQuote() | OfOrder():
            raise AssertionError(of)
        case _:
            assert_never(of)
    target = (await targets.find(tx, account_id, [key])).get(key)
    return None if target is None else target.id
