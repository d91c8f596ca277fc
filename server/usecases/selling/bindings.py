"""Bindings: find the target to which the grants of a sale go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from server.domain.ids import AccountId, AssetId, ResourceId
from server.domain.modeling.catalog import PolicyIds
from server.domain.modeling.resolved import ResolvedProduct
from server.domain.modeling.roles import Binding
from server.domain.modeling.sold_policies import WalletPolicies
from server.domain.selling.bindings import (
    AskedBinding,
    BoundTarget,
    binding_of,
    check_kind,
    default_target,
    is_unbound_pack,
    lines_bound_to,
    needs_sale,
    nothing_sold,
    wallets_of_lines,
)
from server.domain.selling.quoting import AskedLine
from server.domain.selling.sales import SaleLine
from server.domain.selling.targets import TargetKey, TargetKind
from server.store.connection import Transaction
from server.store.selling import assets, binding_targets, targets

Policies = Mapping[ResourceId, PolicyIds]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sold:
    """A target in use: its kind and policies, and the policies and rate units of its wallets."""

    kind: TargetKind
    wallets: dict[ResourceId, WalletPolicies]
    rate_units: dict[ResourceId, str]
    policies: Policies


async def bound(
    tx: Transaction,
    account_id: AccountId,
    asked: AskedLine,
    product: ResolvedProduct,
    *,
    earlier: Sequence[SaleLine],
    path: str,
) -> BoundTarget:
    """Return the target to which a line of a product is bound; `earlier` are the lines before it.

    Raises BINDING_TARGET, ASSET_NOT_FOUND, BINDING_TARGET_NOT_FOUND.
    """
    wanted = asked.binding
    if is_unbound_pack(wanted, product):
        wanted = await _default(tx, account_id, asked, product, earlier=earlier, path=path)
    if wanted.target_id is not None and wanted.binding is None:
        kind = (await binding_targets.get(tx, account_id, wanted.target_id)).kind
        wanted = replace(wanted, binding=Binding(kind))
    binding, target_id = binding_of(wanted, product, path)
    if wanted.line is not None:
        lines = lines_bound_to(earlier, wanted.line, path)
        return await _to_line(tx, account_id, wanted.line, lines)
    if binding in (Binding.CONTRACT, Binding.CUSTOM):
        # Locked, so that neither a change nor a deletion of the target misses the sale.
        named = await binding_targets.lock_for_sale(tx, account_id, str(target_id))
        check_kind(named.kind, binding, path)
    key = (TargetKind(binding), target_id or "") if binding is not Binding.SELF else None
    policies = await _policies(tx, account_id, key)
    if key is None or not needs_sale(binding, product.role):
        is_shared = key is not None and key[0] is not TargetKind.ASSET
        return BoundTarget(
            binding=binding, target_id=target_id, is_shared=is_shared, policies=policies
        )
    known = await _sold_to(tx, account_id, key)
    if known is None:
        if binding is Binding.ASSET:
            await assets.get(tx, account_id, AssetId(UUID(target_id)))
        raise nothing_sold(binding, product.role, path)
    return BoundTarget(
        binding=binding,
        target_id=target_id,
        is_shared=known.kind is not TargetKind.ASSET,
        wallets=known.wallets,
        rate_units=known.rate_units,
        policies=policies or known.policies,
    )


async def _default(
    tx: Transaction,
    account_id: AccountId,
    asked: AskedLine,
    product: ResolvedProduct,
    *,
    earlier: Sequence[SaleLine],
    path: str,
) -> AskedBinding:
    """Return the target of a pack that names none. Raises BINDING_TARGET."""
    resource_ids = [resource.resource_id for resource in product.resources]
    known = await targets.having(tx, account_id, resource_ids, asked.start_date)
    return default_target(account_id, product, known, earlier, path)


async def _to_line(
    tx: Transaction, account_id: AccountId, position: int, lines: Sequence[SaleLine]
) -> BoundTarget:
    """Return the target of an earlier line, given that line and those that it is bound to."""
    last = lines[-1]
    held, units = wallets_of_lines(lines)
    policies: Policies = {}
    kind = TargetKind.ASSET
    if last.binding is not Binding.SELF:
        key = (TargetKind(last.binding), last.target_id or "")
        kind = key[0]
        policies = await _policies(tx, account_id, key)
        # What was sold to the target before, also of other resources.
        known = await _sold_to(tx, account_id, key)
        if known is not None:
            held, units = held | known.wallets, units | known.rate_units
            policies = policies or known.policies
            kind = known.kind
    return BoundTarget(
        binding=Binding.ASSET,
        target_line=position,
        is_shared=kind is not TargetKind.ASSET,
        wallets=held,
        rate_units=units,
        policies=policies,
    )


async def _sold_to(tx: Transaction, account_id: AccountId, key: TargetKey) -> _Sold | None:
    """Return what was sold to a target; an asset stands for the target that it is bound to."""
    target = (await targets.find(tx, account_id, [key])).get(key)
    if target is None:
        return None
    held = await targets.wallets(tx, account_id, [target.id])
    return _Sold(
        kind=target.target_kind,
        wallets={wallet.resource_id: wallet.policies for wallet in held},
        rate_units=await targets.rate_units(tx, account_id, target.id),
        policies=await _policies(tx, account_id, (target.target_kind, target.target_id)),
    )


async def _policies(tx: Transaction, account_id: AccountId, key: TargetKey | None) -> Policies:
    """Return the policies of a contract or a custom target; other targets have none."""
    if key is None or key[0] not in (TargetKind.CONTRACT, TargetKind.CUSTOM):
        return {}
    return (await binding_targets.get(tx, account_id, key[1])).policies
