"""Bindings: what the grants of a sale go to, and whether that is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from server.domain.errors import InvalidArgument
from server.domain.ids import AccountId, AssetId, BindingTargetId, ResourceId
from server.domain.modeling.catalog import PolicyIds
from server.domain.modeling.resolved import ResolvedProduct
from server.domain.modeling.roles import Binding, ProductRole
from server.domain.selling.targets import TargetKind, Wallet
from server.store.connection import Transaction
from server.store.selling import assets, binding_targets, targets

NAMED = (Binding.ASSET, Binding.CONTRACT, Binding.CUSTOM)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedBinding:
    """What a line is to be bound to; nothing of it has to be said."""

    binding: Binding | None = None
    asset_id: AssetId | None = None
    target_id: BindingTargetId | None = None
    linked_asset_id: AssetId | None = None


UNBOUND = AskedBinding()


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTarget:
    """What a line is bound to, and what that says of policies.

    Of what adds to wallets, these and what they are rated in.
    """

    binding: Binding
    target_id: str | None
    wallets: Mapping[ResourceId, Wallet] = field(default_factory=dict)
    rate_units: Mapping[ResourceId, str] = field(default_factory=dict)
    policies: Mapping[ResourceId, PolicyIds] = field(default_factory=dict)


async def bound(
    tx: Transaction,
    account_id: AccountId,
    asked: AskedBinding,
    product: ResolvedProduct,
    *,
    path: str,
) -> BoundTarget:
    """What a line of a product is bound to.

    Raises BINDING_TARGET, ASSET_NOT_FOUND, BINDING_TARGET_NOT_FOUND.
    """
    binding, target_id = _said(asked, product, path)
    policies: Mapping[ResourceId, PolicyIds] = {}
    if binding in (Binding.CONTRACT, Binding.CUSTOM):
        named = await binding_targets.get(tx, account_id, str(target_id))
        if named.kind is not TargetKind(binding):
            raise _refusal(path, "binding_target", f"is a {named.kind}, not a {binding}")
        policies = named.policies
    if binding is not Binding.ASSET and product.role is ProductRole.ANCHOR:
        return BoundTarget(binding=binding, target_id=target_id, policies=policies)
    key = (TargetKind(binding), target_id or "")
    found = await targets.find(tx, account_id, [key])
    target = found.get(key)
    if target is None and binding is Binding.ASSET:
        await assets.get(tx, account_id, AssetId(UUID(target_id)))
        raise _refusal(path, "binding_target", "is no anchor; name the asset whose usage it is for")
    if target is None:
        fault = f"nothing was sold to it yet that a {product.role} could add to"
        raise _refusal(path, "binding_target", fault)
    if product.role is ProductRole.ANCHOR:
        return BoundTarget(binding=binding, target_id=target_id)
    held = await targets.wallets(tx, account_id, [target.id])
    return BoundTarget(
        binding=binding,
        target_id=target_id,
        wallets={one.resource_id: one for one in held},
        rate_units=await targets.rate_units(tx, account_id, target.id),
    )


def _said(asked: AskedBinding, product: ResolvedProduct, path: str) -> tuple[Binding, str | None]:
    """The binding and the id of its target, if they go together."""
    if product.role.is_commitment:
        if asked.binding or asked.asset_id or asked.target_id:
            fault = "a commitment has no target; link it to an anchor by linked_asset"
            raise _refusal(path, "binding_target", fault)
        if asked.linked_asset_id is None:
            fault = "a commitment that is linked to no anchor does nothing; name the asset"
            raise _refusal(path, "linked_asset", fault)
        return Binding.ASSET, str(asked.linked_asset_id)
    if asked.linked_asset_id is not None:
        raise _refusal(path, "linked_asset", "only commitments are linked; use binding_target")
    binding = asked.binding or (Binding.ASSET if asked.asset_id else None) or product.binding
    binding = binding or Binding.SELF
    target = asked.asset_id if binding is Binding.ASSET else asked.target_id
    other = asked.target_id if binding is Binding.ASSET else asked.asset_id
    if binding is Binding.SELF and product.role is ProductRole.PACK:
        raise _refusal(path, "binding_target", "a pack needs a target to add to; name one")
    if other is not None or (target is not None and binding not in NAMED):
        raise _refusal(path, "binding_target", f"cannot be there with the binding {binding}")
    if target is None and binding in NAMED:
        raise _refusal(path, "binding_target", f"is needed with the binding {binding}")
    return binding, None if target is None else str(target)


def _refusal(path: str, name: str, fault: str) -> InvalidArgument:
    return InvalidArgument.at(f"{path}.{name}", "BINDING_TARGET", fault)
