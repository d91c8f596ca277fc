"""Overrides: a product's policies, as a line of a sale and its binding target change them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from server.domain.errors import FailedPrecondition, InvalidArgument
from server.domain.ids import ResourceId
from server.domain.modeling.catalog import CatalogState
from server.domain.modeling.policies import check_method
from server.domain.modeling.resolved import LevelPolicies, ResolvedProduct
from server.domain.modeling.sold_policies import check_token

Overrides = Mapping[ResourceId, tuple[LevelPolicies | None, ...]]
"""The policies of stronger levels by resource, the strongest level first."""


def check_in_product(
    product: ResolvedProduct, resource_ids: Iterable[ResourceId], path: str
) -> None:
    """Raise RESOURCE_NOT_IN_PRODUCT for a resource that the product does not meter."""
    held = {resource.resource_id for resource in product.resources}
    for resource_id in resource_ids:
        if resource_id not in held:
            text = f"{resource_id} is not a resource of the product"
            raise InvalidArgument.at(path, "RESOURCE_NOT_IN_PRODUCT", text)


def check_target(product: ResolvedProduct, resource_ids: Iterable[ResourceId], path: str) -> None:
    """Raise NOT_NEGOTIABLE if a target has policies for a resource that keeps the catalog's."""
    fixed = {one.resource_id for one in product.resources if one.has_fixed_policies}
    for resource_id in resource_ids:
        if resource_id in fixed:
            text = (
                f"{path}: the target has policies for {resource_id}, whose policies in"
                f" {product.product_id} may not be changed; sell it to another target"
            )
            facts = {"field": path, "usage_resource": resource_id}
            raise FailedPrecondition("NOT_NEGOTIABLE", text, facts)


def under(product: ResolvedProduct, levels: Overrides) -> ResolvedProduct:
    """Return the product with the overrides of its resources.

    Raises RESOURCE_INACTIVE for a policy that is not in force.
    """
    for of_resource in levels.values():
        for level in of_resource:
            _check_in_force(level)
    resources = tuple(
        resource.under(*levels.get(resource.resource_id, ())) for resource in product.resources
    )
    return replace(product, resources=resources)


def check_policies(product: ResolvedProduct) -> None:
    """Raise POLICY_CONFLICT for policies of a product with which it cannot be sold."""
    for resource in product.resources:
        wallet = resource.policies.wallet
        check_method(wallet.aggregation.method, resource.policies.overage)
    _check_tokens(product)


def _check_tokens(product: ResolvedProduct) -> None:
    """Raise POLICY_CONFLICT if tokens would be rated before the usage that is rated in them."""
    sold = {resource.resource_id: resource.policies for resource in product.resources}
    for resource in product.resources:
        token = None if resource.token_resource_id is None else sold.get(resource.token_resource_id)
        # A pack or a commitment need not have the token: that of its anchor was checked.
        if token is not None:
            check_token(resource.policies, token)


def _check_in_force(levels: LevelPolicies | None) -> None:
    """Raise RESOURCE_INACTIVE for a policy that is not in force."""
    named = () if levels is None else (levels.aggregation, levels.rating_frequency, levels.overage)
    for kept in (*named, levels and levels.commitment):
        if kept is not None and kept.state is not CatalogState.ACTIVE:
            text = f"the policy {kept.content.id} is {kept.state}; ChangeStates puts it in force"
            raise FailedPrecondition("RESOURCE_INACTIVE", text, {"policy": kept.content.id})
