"""Overrides: what a line of a sale, and the target it is bound to, say of a product's policies."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from server.domain.errors import FailedPrecondition, InvalidArgument
from server.domain.ids import ResourceId
from server.domain.modeling.catalog import CatalogState
from server.domain.modeling.policies import check_late, check_token
from server.domain.modeling.resolved import ResolvedProduct, Said

Overrides = Mapping[ResourceId, tuple[Said | None, ...]]
"""The policies that stronger levels name for resources, the strongest first."""


def check_in_product(
    product: ResolvedProduct, resource_ids: Iterable[ResourceId], path: str
) -> None:
    """Raise RESOURCE_NOT_IN_PRODUCT for a resource that the product does not meter."""
    held = {one.resource_id for one in product.resources}
    for resource_id in resource_ids:
        if resource_id not in held:
            text = f"{resource_id} is not a resource of the product"
            raise InvalidArgument.at(path, "RESOURCE_NOT_IN_PRODUCT", text)


def overridden(product: ResolvedProduct, said: Overrides) -> ResolvedProduct:
    """Return the product under what was said of its resources.

    Raises RESOURCE_INACTIVE for a policy that is not in force, POLICY_CONFLICT.
    """
    for levels in said.values():
        for one in levels:
            _check_in_force(one)
    resources = tuple(one.under(*said.get(one.resource_id, ())) for one in product.resources)
    for resource in resources:
        wallet = resource.policies.wallet
        check_late(wallet.aggregation.method, wallet.late)
    found = replace(product, resources=resources)
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
