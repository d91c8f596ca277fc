"""Bindings: the targets to which the grants of a sale go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from server.domain.errors import FailedPrecondition, InvalidArgument, Violation
from server.domain.ids import AccountId, AssetId, BindingTargetId, ResourceId
from server.domain.modeling.catalog import PolicyIds
from server.domain.modeling.resolved import ResolvedProduct
from server.domain.modeling.roles import Binding, ProductRole
from server.domain.modeling.sold_policies import WalletPolicies
from server.domain.selling.sales import SaleLine
from server.domain.selling.targets import TargetKey, TargetKind

NAMED = (Binding.ASSET, Binding.CONTRACT, Binding.CUSTOM)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedBinding:
    """The target that a line requests; every field is optional.

    `line` is the position of an earlier line of the same sale.
    """

    binding: Binding | None = None
    line: int | None = None
    asset_id: AssetId | None = None
    target_id: BindingTargetId | None = None
    linked_asset_id: AssetId | None = None


UNBOUND = AskedBinding()


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTarget:
    """The target of a line, and its policies.

    For a pack or a commitment it also has the policies of the target's wallets and their rate
    units. If it `is_shared`, rates that are negotiated on the line are agreed for the target.
    """

    binding: Binding
    target_id: str | None = None
    target_line: int | None = None
    is_shared: bool = False
    wallets: Mapping[ResourceId, WalletPolicies] = field(default_factory=dict)
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
            fault = "a commitment has no target; link it to an anchor by linked_asset, or to that"
            fault += " of an earlier line by binding_line"
            raise _refusal(path, "binding_target", fault)
        if asked.line is not None:
            return _beside_line(asked, path)
        # Without an anchor it waits until it is linked to one.
        if asked.linked_asset_id is None:
            return Binding.SELF, None
        return Binding.ASSET, str(asked.linked_asset_id)
    if asked.linked_asset_id is not None:
        raise _refusal(path, "linked_asset", "only commitments are linked; use binding_target")
    if asked.line is not None:
        return _beside_line(asked, path)
    binding = asked.binding or (Binding.ASSET if asked.asset_id else None) or product.binding
    binding = binding or Binding.SELF
    target = asked.asset_id if binding is Binding.ASSET else asked.target_id
    other = asked.target_id if binding is Binding.ASSET else asked.asset_id
    if binding is Binding.SELF and product.role is ProductRole.PACK:
        fault = "a pack needs a target to add to, and has no wallets itself; name one"
        raise _refusal(path, "binding_target", fault)
    if other is not None or (target is not None and binding not in NAMED):
        kinds = "CONTRACT or CUSTOM" if asked.target_id is not None else "ASSET"
        fault = f"is not allowed with the binding {binding}; the binding of this target is {kinds}"
        raise _refusal(path, "binding_target", fault)
    if target is None and binding in NAMED:
        kind = "asset" if binding is Binding.ASSET else "binding target"
        fault = f"is required with the binding {binding}; name the {kind}"
        raise _refusal(path, "binding_target", fault)
    return binding, None if target is None else str(target)


def _beside_line(asked: AskedBinding, path: str) -> tuple[Binding, None]:
    """Return the binding of a line that names another line. Raises BINDING_TARGET."""
    if asked.binding not in (None, Binding.ASSET):
        fault = f"is not allowed with the binding {asked.binding}; omit one of both"
        raise _refusal(path, "binding_line", fault)
    if asked.asset_id is not None or asked.target_id is not None:
        raise _refusal(path, "binding_line", "is not allowed with a binding_target; omit one")
    if asked.linked_asset_id is not None:
        raise _refusal(path, "binding_line", "is not allowed with a linked_asset; omit one")
    return Binding.ASSET, None


def lines_bound_to(earlier: Sequence[SaleLine], position: int, path: str) -> list[SaleLine]:
    """Return the line at a position and those that it is bound to itself; the last has a target.

    Raises BINDING_TARGET unless it is an earlier line that sells an anchor.
    """
    if not 0 <= position < len(earlier):
        fault = f"is not the position of one of the {len(earlier)} lines before it, from 0"
        fault += "; put the line of the anchor before it"
        raise _refusal(path, "binding_line", fault)
    if earlier[position].role is not ProductRole.ANCHOR:
        fault = f"line {position} sells no anchor; name the line of an anchor"
        raise _refusal(path, "binding_line", fault)
    found = [earlier[position]]
    while (next_position := found[-1].target_line) is not None:
        found.append(earlier[next_position])
    return found


def wallets_of_lines(
    lines: Sequence[SaleLine],
) -> tuple[dict[ResourceId, WalletPolicies], dict[ResourceId, str]]:
    """Return the policies of the wallets that lines create, and their rate units."""
    resources = [resource for line in lines for resource in line.resources]
    return (
        {each.resource_id: each.policies.wallet for each in resources},
        {each.resource_id: each.terms.unit for each in resources if each.terms is not None},
    )


def is_unbound_pack(asked: AskedBinding, product: ResolvedProduct) -> bool:
    """Return whether neither a line nor its product says what a pack adds to."""
    is_pack = product.role is ProductRole.PACK
    return is_pack and asked == UNBOUND and product.binding in (None, Binding.SELF)


def default_target(
    account_id: AccountId,
    product: ResolvedProduct,
    known: Sequence[TargetKey],
    earlier: Sequence[SaleLine],
    path: str,
) -> AskedBinding:
    """Return the account as the target of a pack that names none, if it can be no other.

    `known` are targets that have wallets of everything the pack adds to. Raises BINDING_TARGET,
    with what the pack can be bound to.
    """
    wanted = {resource.resource_id for resource in product.resources}
    is_account = any(kind is TargetKind.ACCOUNT for kind, _ in known)
    lines = [
        position
        for position, line in enumerate(earlier)
        if line.role is ProductRole.ANCHOR
        and wanted <= {resource.resource_id for resource in line.resources}
        and not (is_account and line.binding is Binding.ACCOUNT)
    ]
    if is_account and len(known) == 1 and not lines:
        return AskedBinding(binding=Binding.ACCOUNT)
    choices = [*(_choice(account_id, *key) for key in known)]
    choices += [f"binding_line {position}" for position in lines]
    if choices:
        fault = f"a pack needs a target to add to; name one: {', '.join(choices)}"
    else:
        names = ", ".join(sorted(wanted))
        fault = f"nothing was sold to the account that a pack of {names} could add to"
        fault += "; sell an anchor first, or in an earlier line, which binding_line names"
    raise _refusal(path, "binding_target", fault)


def _choice(account_id: AccountId, kind: TargetKind, target_id: str) -> str:
    account = f"accounts/{account_id}"
    if kind is TargetKind.ASSET:
        return f"binding_target {account}/assets/{target_id}"
    named = f" with binding_target {account}/bindingTargets/{target_id}" if target_id else ""
    return f"binding {kind}{named}"


def check_unused(name: str, users: Sequence[str], act: str) -> None:
    """Raise IN_USE for an act on a target that quotes or orders are bound to."""
    if not users:
        return
    violations = tuple(Violation(user, "IN_USE", f"is bound to {name}") for user in users)
    more = f" and {len(users) - 1} more" if len(users) > 1 else ""
    text = f"{users[0]}{more} is bound to {name}, so {act}; create another target, to which"
    text += " RebindAsset binds assets that are sold"
    raise FailedPrecondition("IN_USE", text, {"name": name}, violations)


def needs_sale(binding: Binding, role: ProductRole) -> bool:
    """Return whether something must have been sold to the target before."""
    is_unlinked = role.is_commitment and binding is Binding.SELF
    return binding is Binding.ASSET or (role is not ProductRole.ANCHOR and not is_unlinked)


def check_kind(kind: TargetKind, binding: Binding, path: str) -> None:
    """Raise BINDING_TARGET if the target's kind does not match the binding."""
    if kind is not TargetKind(binding):
        fault = f"is a {kind}, not a {binding}; name that binding, or another target"
        raise _refusal(path, "binding_target", fault)


def nothing_sold(binding: Binding, role: ProductRole, path: str) -> InvalidArgument:
    """Return the refusal of a target to which nothing was sold."""
    if binding is Binding.ASSET:
        fault = "is no anchor; name the asset whose usage it is for"
    else:
        fault = f"nothing was sold to it yet that a {role} could add to; sell an anchor to it first"
        fault += ", or in an earlier line, which binding_line names"
    return _refusal(path, "binding_target", fault)


def _refusal(path: str, name: str, fault: str) -> InvalidArgument:
    return InvalidArgument.at(f"{path}.{name}", "BINDING_TARGET", fault)
