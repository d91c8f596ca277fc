"""The entitlements of assets: written by an activation, and read with the assets."""

from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record

from server.domain.calendar import Cadence, CadenceUnit
from server.domain.ids import (
    AccountId,
    AssetId,
    EntitlementId,
    PolicyId,
    ProductGrantId,
    ProductId,
    ResourceId,
    WalletId,
)
from server.domain.modeling.policies import (
    PolicyLevel,
    PolicySource,
    RefreshPolicy,
    RolloverPolicy,
    Validity,
)
from server.domain.selling.grants import Entitlement
from server.domain.selling.sales import SoldEntitlement
from server.store.connection import Transaction
from server.store.sql import load

SQL = load("selling/entitlements.sql")


async def of_assets(
    tx: Transaction, account_id: AccountId, asset_ids: Sequence[UUID]
) -> dict[tuple[UUID, str], list[SoldEntitlement]]:
    """Return the entitlements of some assets, by asset and resource, each list by number."""
    sold: dict[tuple[UUID, str], list[SoldEntitlement]] = {}
    for row in await tx.fetch(SQL["held_entitlements"], tx.tenant_id, account_id, asset_ids):
        key = (row["asset_id"], row["usage_resource_id"])
        sold.setdefault(key, []).append(_sold(row))
    return sold


async def add(
    tx: Transaction,
    account_id: AccountId,
    sold: Sequence[tuple[ResourceId, SoldEntitlement]],
) -> None:
    """Insert entitlements, each with its resource."""
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
