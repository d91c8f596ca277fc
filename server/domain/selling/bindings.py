"""Bindings: the targets to which the grants of a sale go."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.domain.errors import InvalidArgument
from server.domain.ids import AssetId, BindingTargetId, ResourceId
from server.domain.modeling.catalog import PolicyIds
from server.domain.modeling.resolved import ResolvedProduct
from server.domain.modeling.roles import Binding, ProductRole
from server.domain.selling.targets import TargetKind, Wallet

NAMED = (Binding.ASSET, Binding.CONTRACT, Binding.CUSTOM)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedBinding:
    """The target that a line requests; every field is optional."""

    binding: Binding | None = None
    asset_id: AssetId | None = None
    target_id: BindingTargetId | None = None
    linked_asset_id: AssetId | None = None


UNBOUND = AskedBinding()


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTarget:
    """The target of a line, and its policies.

    For a pack or a commitment it also has the target's wallets and their rate units.
    """

    binding: Binding
    target_id: str | None
    wallets: Mapping[ResourceId, Wallet] = field(default_factory=dict)
    rate_units: Mapping[ResourceId, str] = field(default_factory=dict)
    policies: Mapping[ResourceId, PolicyIds] = field(default_factory=dict)


def binding_of(
    asked: AskedBinding, product: ResolvedProduct, path: str
) -> tuple[Binding, str | None]:
    """Return the binding and the id of its target, if they go together. Raises BINDING_TARGET."""
    # A commitment has no target of its own: it draws on the wallets of the anchor that it is linked
    # to.
    if product.role.is_commitment:
        if asked.binding or asked.asset_id or asked.target_id:
            fault = "a commitment has no target; link it to an anchor by linked_asset"
            raise _refusal(path, "binding_target", fault)
        # Without an anchor it waits until it is linked to one.
        if asked.linked_asset_id is None:
            return Binding.SELF, None
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
        raise _refusal(path, "binding_target", f"is not allowed with the binding {binding}")
    if target is None and binding in NAMED:
        raise _refusal(path, "binding_target", f"is required with the binding {binding}")
    return binding, None if target is None else str(target)


def needs_sale(binding: Binding, role: ProductRole) -> bool:
    """Return whether something must have been sold to the target before."""
    is_unlinked = role.is_commitment and binding is Binding.SELF
    return binding is Binding.ASSET or (role is not ProductRole.ANCHOR and not is_unlinked)


def check_kind(kind: TargetKind, binding: Binding, path: str) -> None:
    """Raise BINDING_TARGET if the target's kind does not match the binding."""
    if kind is not TargetKind(binding):
        raise _refusal(path, "binding_target", f"is a {kind}, not a {binding}")


def nothing_sold(binding: Binding, role: ProductRole, path: str) -> InvalidArgument:
    """Return the refusal of a target to which nothing was sold."""
    if binding is Binding.ASSET:
        fault = "is no anchor; name the asset whose usage it is for"
    else:
        fault = f"nothing was sold to it yet that a {role} could add to"
    return _refusal(path, "binding_target", fault)


def _refusal(path: str, name: str, fault: str) -> InvalidArgument:
    return InvalidArgument.at(f"{path}.{name}", "BINDING_TARGET", fault)
