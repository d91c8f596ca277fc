"""Assets: the reads, and the writes of an activation except targets, grants and periods."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from asyncpg import Record

from server.domain.errors import NotFound
from server.domain.ids import (
    AccountId,
    AssetId,
    ExternalId,
    OrderId,
    PriceBookId,
    ProductId,
    ResourceId,
    WalletId,
    derive,
)
from server.domain.modeling.policies import (
    CommitmentRate,
)
from server.domain.modeling.roles import ProductRole
from server.domain.modeling.sold_policies import SoldPolicies
from server.domain.selling.activation import Activation, Before
from server.domain.selling.sales import Asset, AssetResource, RateBasis, SoldEntitlement
from server.domain.selling.targets import TargetKey, TargetKind
from server.store.audit import audit_of
from server.store.connection import Transaction
from server.store.documents import DocumentCodec
from server.store.keys import ANY_TIME, TimeWindow
from server.store.rating.rate_documents import TERMS
from server.store.selling import commitments, entitlements, targets
from server.store.sql import load

SQL = load("selling/assets.sql")

POLICIES: DocumentCodec[SoldPolicies] = DocumentCodec(SoldPolicies)
"""The documents of `asset_resources.policies`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetFilter:
    """The filters of a list of assets; None for any. Commitments without an anchor are unlinked.

    `price_book_id` is that of the order. Assets that follow the catalog are those that `follows`.
    """

    product_id: ProductId | None = None
    external_id: ExternalId | None = None
    resource_id: ResourceId | None = None
    day: date | None = None
    created: TimeWindow = ANY_TIME
    is_unlinked: bool = False
    price_book_id: PriceBookId | None = None
    follows: bool = False


async def before(tx: Transaction, account_id: AccountId, keys: Iterable[TargetKey]) -> Before:
    """Return the account's targets and wallets; valid while the caller holds the account's lock."""
    numbers = await tx.fetchrow(SQL["last_numbers"], tx.tenant_id, account_id)
    assert numbers is not None, account_id
    targets_by_key = await targets.find(tx, account_id, keys)
    ids = {target.id for target in targets_by_key.values()}
    return Before(
        targets=targets_by_key,
        wallets=await targets.wallets(tx, account_id, ids),
        asset_number=numbers["asset"],
        entitlement_number=numbers["entitlement"],
    )


async def add(tx: Transaction, account_id: AccountId, new: Activation) -> None:
    """Insert assets with targets, wallets, resources, rates and entitlements."""
    # In the order of the foreign keys.
    await _add_assets(tx, account_id, new.assets)
    await add_parts(tx, account_id, new)


async def add_parts(tx: Transaction, account_id: AccountId, new: Activation) -> None:
    """Insert what belongs to assets that exist: links, wallets, resources, rates, entitlements."""
    await commitments.add_links(tx, account_id, new.assets)
    await targets.save(tx, account_id, new.targets)
    await targets.add_wallets(tx, account_id, new.wallets)
    resources = [(asset.id, resource) for asset in new.assets for resource in asset.resources]
    await _add_resources(tx, account_id, resources)
    sold = [
        (resource.resource_id, entitlement)
        for _, resource in resources
        for entitlement in resource.entitlements
    ]
    await entitlements.add(tx, account_id, sold)


async def get(
    tx: Transaction, account_id: AccountId, asset_id: AssetId, at: datetime | None = None
) -> Asset:
    """Return one asset with its terms at a time, now without one. Raises ASSET_NOT_FOUND."""
    row = await tx.fetchrow(SQL["find_asset"], tx.tenant_id, account_id, asset_id)
    if row is None:
        raise NotFound.of("Asset", f"accounts/{account_id}/assets/{asset_id}")
    return (await _whole(tx, account_id, [row], at))[0]


async def list_assets(
    tx: Transaction,
    account_id: AccountId,
    only: AssetFilter,
    *,
    after: tuple[int] | None,
    limit: int,
    at: datetime | None = None,
) -> list[Asset]:
    """Return an account's assets, oldest first; `after` is the number of the last one seen.

    They have their terms at a time, now without one.
    """
    rows = await tx.fetch(
        SQL["list_assets"],
        tx.tenant_id,
        account_id,
        after[0] if after else 0,
        limit,
        only.product_id,
        only.resource_id,
        only.day,
        only.created.start,
        only.created.end,
        only.external_id,
        only.is_unlinked,
        only.price_book_id,
        only.follows,
    )
    return await _whole(tx, account_id, rows, at)


async def find_external(
    tx: Transaction, account_id: AccountId, external_ids: Sequence[ExternalId]
) -> dict[ExternalId, AssetId]:
    """Return the assets of an account that have one of these external ids."""
    rows = await tx.fetch(SQL["find_external"], tx.tenant_id, account_id, external_ids)
    return {ExternalId(row["external_id"]): AssetId(row["asset_id"]) for row in rows}


async def _add_assets(tx: Transaction, account_id: AccountId, assets: Sequence[Asset]) -> None:
    await tx.execute(
        SQL["add_assets"],
        tx.tenant_id,
        account_id,
        [asset.id for asset in assets],
        [asset.number for asset in assets],
        [asset.product_id for asset in assets],
        [asset.quantity for asset in assets],
        [asset.start_date for asset in assets],
        [asset.end_date for asset in assets],
        [asset.external_id for asset in assets],
    )


async def _add_resources(
    tx: Transaction,
    account_id: AccountId,
    keyed: Sequence[tuple[AssetId, AssetResource]],
) -> None:
    """Insert the resources of assets, with their rates."""
    resources = [resource for _, resource in keyed]
    await tx.execute(
        SQL["add_asset_resources"],
        tx.tenant_id,
        account_id,
        [asset_id for asset_id, _ in keyed],
        [resource.resource_id for resource in resources],
        [resource.wallet_id for resource in resources],
        [resource.policies.overage for resource in resources],
        [resource.start_time for resource in resources],
        [resource.end_time for resource in resources],
        [POLICIES.encode(resource.policies) for resource in resources],
        [resource.token_wallet_id for resource in resources],
        [resource.definition_product_id for resource in resources],
        [resource.role for resource in resources],
        [resource.commitment for resource in resources],
        [resource.is_fixed for resource in resources],
        [derive(a, "rate", r.resource_id, r.start_time.isoformat()) for a, r in keyed],
        [None if r.terms is None else TERMS.encode(r.terms) for r in resources],
    )


async def _whole(
    tx: Transaction, account_id: AccountId, rows: Sequence[Record], at: datetime | None
) -> list[Asset]:
    ids = [row["asset_id"] for row in rows]
    # Two queries for all assets, so that the number of queries does not grow with a page.
    sold = await entitlements.of_assets(tx, account_id, ids)
    resources: dict[UUID, list[AssetResource]] = {}
    for row in await tx.fetch(SQL["held_resources"], tx.tenant_id, account_id, ids, at):
        own = sold.get((row["asset_id"], row["usage_resource_id"]), ())
        resources.setdefault(row["asset_id"], []).append(_held(row, tuple(own)))
    return [_asset(row, tuple(resources.get(row["asset_id"], ()))) for row in rows]


def _asset(row: Record, resources: tuple[AssetResource, ...]) -> Asset:
    return Asset(
        id=AssetId(row["asset_id"]),
        account_id=AccountId(row["account_id"]),
        number=row["number"],
        order_id=OrderId(row["order_id"]),
        product_id=ProductId(row["product_id"]),
        quantity=row["quantity"],
        start_date=row["start_date"],
        end_date=row["end_date"],
        resources=resources,
        role=ProductRole(row["role"]),
        linked_id=None if row["anchor_id"] is None else AssetId(row["anchor_id"]),
        external_id=row["external_id"],
        rate_basis=RateBasis(row["rate_basis"]),
        audit=audit_of(row),
    )


def _held(row: Record, entitlements: tuple[SoldEntitlement, ...]) -> AssetResource:
    token, definition = row["token_wallet_id"], row["definition_product_id"]
    commitment, former = row["commitment_rate"], row["former_wallet_id"]
    return AssetResource(
        resource_id=ResourceId(row["usage_resource_id"]),
        wallet_id=WalletId(row["wallet_id"]),
        policies=POLICIES.decode(row["policies"]),
        terms=None if row["terms"] is None else TERMS.decode(row["terms"]),
        is_fixed=row["is_fixed"],
        start_time=row["start_time"],
        end_time=row["end_time"],
        token_wallet_id=None if token is None else WalletId(token),
        definition_product_id=None if definition is None else ProductId(definition),
        role=ProductRole(row["role"]),
        commitment=None if commitment is None else CommitmentRate(commitment),
        entitlements=entitlements,
        target=(TargetKind(row["target_kind"]), row["target_id"]),
        bound_time=row["bound_time"],
        former_wallet_id=None if former is None else WalletId(former),
    )
