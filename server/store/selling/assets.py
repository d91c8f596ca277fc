"""Assets: the reads, and the writes of an activation except targets, grants and periods."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from asyncpg import Record

from server.domain.calendar import Cadence, CadenceUnit
from server.domain.errors import NotFound
from server.domain.ids import (
    AccountId,
    AssetId,
    EntitlementId,
    ExternalId,
    OrderId,
    PolicyId,
    ProductGrantId,
    ProductId,
    ResourceId,
    WalletId,
    derive,
)
from server.domain.modeling.policies import (
    CommitmentRate,
    PolicyLevel,
    PolicySource,
    RefreshPolicy,
    RolloverPolicy,
    Validity,
)
from server.domain.modeling.roles import ProductRole
from server.domain.modeling.sold_policies import SoldPolicies
from server.domain.selling.activation import Activation, Before
from server.domain.selling.grants import Entitlement
from server.domain.selling.sales import Asset, AssetResource, SoldEntitlement
from server.domain.selling.targets import TargetKey, TargetKind
from server.store.audit import audit_of
from server.store.connection import Transaction
from server.store.documents import DocumentCodec
from server.store.keys import ANY_TIME, TimeWindow
from server.store.rating.rate_documents import TERMS
from server.store.selling import commitments, targets
from server.store.sql import load

SQL = load("selling/assets.sql")

POLICIES: DocumentCodec[SoldPolicies] = DocumentCodec(SoldPolicies)
"""The documents of `asset_resources.policies`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetFilter:
    """The filters of a list of assets; None for any. Commitments without an anchor are unlinked."""

    product_id: ProductId | None = None
    external_id: ExternalId | None = None
    resource_id: ResourceId | None = None
    day: date | None = None
    created: TimeWindow = ANY_TIME
    is_unlinked: bool = False


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
    await _add_rates(tx, account_id, resources)
    sold = [
        (resource.resource_id, entitlement)
        for _, resource in resources
        for entitlement in resource.entitlements
    ]
    await _add_entitlements(tx, account_id, sold)


async def get(tx: Transaction, account_id: AccountId, asset_id: AssetId) -> Asset:
    """Return one asset. Raises ASSET_NOT_FOUND."""
    row = await tx.fetchrow(SQL["find_asset"], tx.tenant_id, account_id, asset_id)
    if row is None:
        raise NotFound.of("Asset", f"accounts/{account_id}/assets/{asset_id}")
    return (await _whole(tx, account_id, [row]))[0]


async def list_assets(
    tx: Transaction,
    account_id: AccountId,
    only: AssetFilter,
    *,
    after: tuple[int] | None,
    limit: int,
) -> list[Asset]:
    """Return an account's assets, oldest first; `after` is the number of the last one seen."""
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
    )
    return await _whole(tx, account_id, rows)


async def find_external(
    tx: Transaction, account_id: AccountId, external_ids: Sequence[ExternalId]
) -> dict[ExternalId, AssetId]:
    """Return the assets of an account that have one of these external ids."""
    rows = await tx.fetch(SQL["find_external"], tx.tenant_id, account_id, external_ids)
    return {ExternalId(row["external_id"]): AssetId(row["asset_id"]) for row in rows}


async def entitlements_of(
    tx: Transaction, account_id: AccountId, asset_ids: Sequence[UUID]
) -> dict[tuple[UUID, str], list[SoldEntitlement]]:
    """Return the entitlements of some assets, by asset and resource, each list by number."""
    sold: dict[tuple[UUID, str], list[SoldEntitlement]] = {}
    for row in await tx.fetch(SQL["held_entitlements"], tx.tenant_id, account_id, asset_ids):
        key = (row["asset_id"], row["usage_resource_id"])
        sold.setdefault(key, []).append(_sold(row))
    return sold


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
    )


async def _add_rates(
    tx: Transaction,
    account_id: AccountId,
    keyed: Sequence[tuple[AssetId, AssetResource]],
) -> None:
    rated = [
        (asset_id, resource, TERMS.encode(resource.terms))
        for asset_id, resource in keyed
        if resource.terms is not None
    ]
    await tx.execute(
        SQL["add_asset_rates"],
        tx.tenant_id,
        account_id,
        [derive(a, "rate", r.resource_id, r.start_time.isoformat()) for a, r, _ in rated],
        [asset_id for asset_id, _, _ in rated],
        [resource.resource_id for _, resource, _ in rated],
        [resource.start_time for _, resource, _ in rated],
        [resource.end_time for _, resource, _ in rated],
        [terms for _, _, terms in rated],
    )


async def _add_entitlements(
    tx: Transaction,
    account_id: AccountId,
    sold: Sequence[tuple[ResourceId, SoldEntitlement]],
) -> None:
    new = [entitlement.entitlement for _, entitlement in sold]
    refreshes = [each.refresh.cadence if each.refresh else None for each in new]
    validities = [each.validity.cadence if each.validity else None for each in new]
    await tx.execute(
        SQL["add_entitlements"],
        tx.tenant_id,
        account_id,
        [each.id for each in new],
        [each.number for each in new],
        [each.wallet_id for each in new],
        [each.asset_id for each in new],
        [resource_id for resource_id, _ in sold],
        [entitlement.product_id for _, entitlement in sold],
        [entitlement.product_grant_id for _, entitlement in sold],
        [each.quantity for each in new],
        [each.unit_scale for each in new],
        [each.start for each in new],
        [each.end for each in new],
        [each.anchor for each in new],
        [cadence and cadence.unit for cadence in refreshes],
        [cadence and cadence.count for cadence in refreshes],
        [entitlement.refresh_policy.id for _, entitlement in sold],
        [cadence and cadence.unit for cadence in validities],
        [cadence and cadence.count for cadence in validities],
        [each.rollover is not None for each in new],
        [each.rollover.max_count if each.rollover else None for each in new],
        [each.rollover.max_quantity if each.rollover else None for each in new],
        [each.rollover.max_percent if each.rollover else None for each in new],
        [entitlement.rollover_policy.id for _, entitlement in sold],
        [each.next_index for each in new],
        [entitlement.refresh_policy.version for _, entitlement in sold],
        [entitlement.rollover_policy.version for _, entitlement in sold],
        [each.rollover.remainder_percent if each.rollover else None for each in new],
        [each.spend_cap for each in new],
    )


async def _whole(tx: Transaction, account_id: AccountId, rows: Sequence[Record]) -> list[Asset]:
    ids = [row["asset_id"] for row in rows]
    # Two queries for all assets, so that the number of queries does not grow with a page.
    sold = await entitlements_of(tx, account_id, ids)
    resources: dict[UUID, list[AssetResource]] = {}
    for row in await tx.fetch(SQL["held_resources"], tx.tenant_id, account_id, ids):
        entitlements = sold.get((row["asset_id"], row["usage_resource_id"]), ())
        resources.setdefault(row["asset_id"], []).append(_held(row, tuple(entitlements)))
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


def _sold(row: Record) -> SoldEntitlement:
    refresh = _cadence(row["refresh_unit"], row["refresh_count"])
    validity = _cadence(row["validity_unit"], row["validity_count"])
    rollover = RolloverPolicy(
        max_count=row["max_rollovers"],
        max_quantity=row["rollover_max_quantity"],
        max_percent=row["rollover_max_percent"],
        remainder_percent=row["rollover_remainder_percent"],
    )
    entitlement = Entitlement(
        id=EntitlementId(row["entitlement_id"]),
        wallet_id=WalletId(row["wallet_id"]),
        asset_id=AssetId(row["asset_id"]),
        number=row["number"],
        quantity=row["quantity"],
        unit_scale=row["unit_scale"],
        start=row["start_date"],
        end=row["end_date"],
        anchor=row["anchor_date"],
        refresh=RefreshPolicy(cadence=refresh) if refresh else None,
        validity=Validity(cadence=validity) if validity else None,
        rollover=rollover if row["can_roll_over"] else None,
        next_index=row["next_index"],
        spend_cap=row["spend_cap"],
    )
    return SoldEntitlement(
        entitlement=entitlement,
        product_id=ProductId(row["product_id"]),
        product_grant_id=ProductGrantId(row["product_grant_id"]),
        refresh_policy=_source(row["refresh_policy_id"], row["refresh_policy_version"]),
        rollover_policy=_source(row["rollover_policy_id"], row["rollover_policy_version"]),
    )


def _source(policy_id: str | None, version: int) -> PolicySource:
    if policy_id is None:
        return PolicySource()
    level = PolicyLevel.PRODUCT_USAGE_RESOURCE
    return PolicySource(level=level, id=PolicyId(policy_id), version=version)


def _cadence(unit: str | None, count: int | None) -> Cadence | None:
    return None if unit is None or count is None else Cadence(CadenceUnit(unit), count)
