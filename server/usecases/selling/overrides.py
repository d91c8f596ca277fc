"""Overrides: a product's policies, as a line of a sale and its binding target change them."""

from collections.abc import Mapping

from server.domain.ids import ResourceId
from server.domain.modeling.catalog import PolicyIds, UsageModelType
from server.domain.modeling.policies import PolicyLevel
from server.domain.modeling.resolved import LevelPolicies, ResolvedProduct
from server.domain.modeling.roles import ProductRole
from server.domain.selling import overrides
from server.domain.selling.bindings import BoundTarget
from server.store.connection import Transaction
from server.usecases.modeling.catalog import check_allowed
from server.usecases.modeling.resolution import policies_at


async def overridden(
    tx: Transaction,
    product: ResolvedProduct,
    line: Mapping[ResourceId, PolicyIds],
    to: BoundTarget,
    path: str,
) -> ResolvedProduct:
    """Return the product with the policies that the line and its target name.

    Raises RESOURCE_NOT_IN_PRODUCT, POLICY_NOT_ALLOWED, NOT_NEGOTIABLE, `…_POLICY_NOT_FOUND`,
    RESOURCE_INACTIVE.
    """
    overrides.check_in_product(product, line, f"{path}.policies")
    for ids in line.values():
        check_allowed(UsageModelType(product.role), ids, f"{path}.policies")
    target = to.policies if product.role is ProductRole.ANCHOR else {}
    overrides.check_target(product, target, f"{path}.binding_target")
    if not line and not target:
        return product

    async def load(level: PolicyLevel, ids: PolicyIds | None) -> LevelPolicies | None:
        return None if ids is None else await policies_at(tx, level, ids)

    levels = {
        resource.resource_id: (
            await load(PolicyLevel.TARGET, target.get(resource.resource_id)),
            await load(PolicyLevel.LINE, line.get(resource.resource_id)),
        )
        for resource in product.resources
    }
    return overrides.under(product, levels)
