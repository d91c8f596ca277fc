"""Bindings: find the target to which the grants of a sale go."""

from collections.abc import Mapping, Sequence
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
    binding, target_id = binding_of(wanted, product, path)
    if wanted.line is not None:
        lines = lines_bound_to(earlier, wanted.line, path)
        return await _to_line(tx, account_id, wanted.line, lines)
    policies: Mapping[ResourceId, PolicyIds] = {}
    if binding in (Binding.CONTRACT, Binding.CUSTOM):
        # Locked, so that neither a change nor a deletion of the target misses the sale.
        named = await binding_targets.lock_for_sale(tx, account_id, str(target_id))
        check_kind(named.kind, binding, path)
        policies = named.policies
    if not needs_sale(binding, product.role):
        return BoundTarget(binding=binding, target_id=target_id, policies=policies)
    key = (TargetKind(binding), target_id or "")
    wallets = await _wallets(tx, account_id, key)
    if wallets is None:
        if binding is Binding.ASSET:
            await assets.get(tx, account_id, AssetId(UUID(target_id)))
        raise nothing_sold(binding, product.role, path)
    if product.role is ProductRole.ANCHOR:
        return BoundTarget(binding=binding, target_id=target_id)
    held, units = wallets
    return BoundTarget(binding=binding, target_id=target_id, wallets=held, rate_units=units)


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
    if last.binding is not Binding.SELF:
        # What was sold to the target before, also of other resources.
        known = await _wallets(tx, account_id, (TargetKind(last.binding), last.target_id or ""))
        if known is not None:
            held, units = held | known[0], units | known[1]
    return BoundTarget(binding=Binding.ASSET, target_line=position, wallets=held, rate_units=units)


async def _wallets(
    tx: Transaction, account_id: AccountId, key: TargetKey
) -> tuple[targets.PoliciesByResource, dict[ResourceId, str]] | None:
    """Return the policies and the rate units of a target's wallets; None if it has none."""
    target = (await targets.find(tx, account_id, [key])).get(key)
    if target is None:
        return None
    held = await targets.wallets(tx, account_id, [target.id])
    units = await targets.rate_units(tx, account_id, target.id)
    return {wallet.resource_id: wallet.policies for wallet in held}, units
