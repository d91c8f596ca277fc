"""Bindings: find the target to which the grants of a sale go."""

from collections.abc import Mapping
from uuid import UUID

from server.domain.ids import AccountId, AssetId, ResourceId
from server.domain.modeling.catalog import PolicyIds
from server.domain.modeling.resolved import ResolvedProduct
from server.domain.modeling.roles import Binding, ProductRole
from server.domain.selling.bindings import (
    AskedBinding,
    BoundTarget,
    binding_of,
    check_kind,
    needs_sale,
    nothing_sold,
)
from server.domain.selling.targets import TargetKind
from server.store.connection import Transaction
from server.store.selling import assets, binding_targets, targets


async def bound(
    tx: Transaction,
    account_id: AccountId,
    asked: AskedBinding,
    product: ResolvedProduct,
    *,
    path: str,
) -> BoundTarget:
    """Return the target to which a line of a product is bound.

    Raises BINDING_TARGET, ASSET_NOT_FOUND, BINDING_TARGET_NOT_FOUND.
    """
    binding, target_id = binding_of(asked, product, path)
    policies: Mapping[ResourceId, PolicyIds] = {}
    if binding in (Binding.CONTRACT, Binding.CUSTOM):
        named = await binding_targets.get(tx, account_id, str(target_id))
        check_kind(named.kind, binding, path)
        policies = named.policies
    if not needs_sale(binding, product.role):
        return BoundTarget(binding=binding, target_id=target_id, policies=policies)
    key = (TargetKind(binding), target_id or "")
    target = (await targets.find(tx, account_id, [key])).get(key)
    if target is None:
        if binding is Binding.ASSET:
            await assets.get(tx, account_id, AssetId(UUID(target_id)))
        raise nothing_sold(binding, product.role, path)
    if product.role is ProductRole.ANCHOR:
        return BoundTarget(binding=binding, target_id=target_id)
    held = await targets.wallets(tx, account_id, [target.id])
    return BoundTarget(
        binding=binding,
        target_id=target_id,
        wallets={one.resource_id: one for one in held},
        rate_units=await targets.rate_units(tx, account_id, target.id),
    )
