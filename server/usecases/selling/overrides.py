"""Overrides: what a line of a sale, and the target it is bound to, say of a product's policies."""

from collections.abc import Mapping
from dataclasses import replace

from server.domain.errors import FailedPrecondition, InvalidArgument
from server.domain.ids import ResourceId
from server.domain.modeling.catalog import CatalogState, PolicyIds, UsageModelType
from server.domain.modeling.policies import PolicyLevel, check_late, check_token
from server.domain.modeling.resolved import ResolvedProduct, Said
from server.domain.modeling.roles import ProductRole
from server.store.connection import Transaction
from server.usecases.modeling.catalog import check_allowed
from server.usecases.modeling.resolution import said_at
from server.usecases.selling.bindings import BoundTarget


async def overridden(
    tx: Transaction,
    product: ResolvedProduct,
    line: Mapping[ResourceId, PolicyIds],
    to: BoundTarget,
    path: str,
) -> ResolvedProduct:
    """The product under what the line and its target say of its policies.

    Raises RESOURCE_NOT_IN_PRODUCT, POLICY_NOT_ALLOWED, `…_POLICY_NOT_FOUND`, RESOURCE_INACTIVE,
    POLICY_CONFLICT.
    """
    held = {one.resource_id for one in product.resources}
    for resource_id, ids in line.items():
        if resource_id not in held:
            text = f"{resource_id} is not a resource of the product"
            raise InvalidArgument.at(f"{path}.policies", "RESOURCE_NOT_IN_PRODUCT", text)
        check_allowed(UsageModelType(product.role), ids, f"{path}.policies")
    target = to.policies if product.role is ProductRole.ANCHOR else {}
    if not line and not target:
        return product

    async def said(level: PolicyLevel, ids: PolicyIds | None) -> Said | None:
        found = None if ids is None else await said_at(tx, level, ids)
        _check_in_force(found)
        return found

    resources = []
    for one in product.resources:
        at_target = await said(PolicyLevel.TARGET, target.get(one.resource_id))
        at_line = await said(PolicyLevel.LINE, line.get(one.resource_id))
        resources.append(one.under(at_target, at_line))
    found = replace(product, resources=tuple(resources))
    for one in found.resources:
        check_late(one.policies.wallet.aggregation.method, one.policies.wallet.late)
    _check_tokens(found)
    return found


def _check_tokens(product: ResolvedProduct) -> None:
    """Raise POLICY_CONFLICT where tokens would have to be rated before what comes to them."""
    wallets = {one.resource_id: one.policies.wallet for one in product.resources}
    for one in product.resources:
        if one.token_resource_id is not None:
            own, token = wallets[one.resource_id], wallets[one.token_resource_id]
            check_token(own.rating, token.rating, token.aggregation.method, own.late)


def _check_in_force(said: Said | None) -> None:
    """Raise RESOURCE_INACTIVE for a policy that is no longer, or not yet, in force."""
    named = () if said is None else (said.aggregation, said.rating_frequency, said.overage)
    for kept in (*named, said and said.commitment):
        if kept is not None and kept.state is not CatalogState.ACTIVE:
            text = f"the policy {kept.content.id} is {kept.state}; ChangeStates puts it in force"
            raise FailedPrecondition("RESOURCE_INACTIVE", text, {"policy": kept.content.id})
