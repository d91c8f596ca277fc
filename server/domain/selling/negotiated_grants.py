"""Negotiated grants: the policies of a product's grants, as a line of a quote changes them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from server.domain.errors import FailedPrecondition, InvalidArgument
from server.domain.ids import PolicyId, ProductGrantId, ResourceId
from server.domain.modeling.catalog import CatalogState, Refresh, Rollover, StoredRecord
from server.domain.modeling.policies import PolicyLevel, PolicySource, RefreshPolicy
from server.domain.modeling.resolved import ResolvedGrant, ResolvedProduct
from server.domain.selling.quoting import AskedLine, included
from server.domain.selling.sales import GrantParts


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantPolicies:
    """The policies that the negotiated grants of a line name, by id."""

    refreshes: Mapping[PolicyId, StoredRecord[Refresh]]
    rollovers: Mapping[PolicyId, StoredRecord[Rollover]]


def check_grants(product: ResolvedProduct, asked: AskedLine, path: str) -> None:
    """Raise GRANT_NOT_INCLUDED or NOT_NEGOTIABLE for a grant that a line cannot change.

    The policies of a resource are checked as well, if the catalog does not let a line change them.
    """
    known = {
        grant.id: (resource.resource_id, grant)
        for resource in product.resources
        for grant in included(asked, resource)
    }
    for index, grant_id in enumerate(asked.grants):
        at = f"{path}.negotiated_grants[{index}].product_usage_grant"
        if grant_id not in known:
            fault = f"{grant_id} is not a grant that the line includes"
            raise InvalidArgument.at(at, "GRANT_NOT_INCLUDED", fault)
        resource_id, grant = known[grant_id]
        if grant.is_fixed:
            text = f"{at}: the grant {grant_id} may not be negotiated"
            raise FailedPrecondition("NOT_NEGOTIABLE", text, _facts(at, resource_id))
    for resource in product.resources:
        if resource.has_fixed_policies and resource.resource_id in asked.policies:
            at = f"{path}.policies"
            text = f"{at}: the policies of {resource.resource_id} may not be negotiated"
            raise FailedPrecondition("NOT_NEGOTIABLE", text, _facts(at, resource.resource_id))


def under_grants(
    product: ResolvedProduct, asked: Mapping[ProductGrantId, GrantParts], named: GrantPolicies
) -> ResolvedProduct:
    """Return the product with the negotiated policies of its grants.

    Raises RESOURCE_INACTIVE for a policy that is not in force.
    """
    states = {key: policy.state for key, policy in named.refreshes.items()}
    states |= {key: policy.state for key, policy in named.rollovers.items()}
    for key, state in states.items():
        if state is not CatalogState.ACTIVE:
            text = f"the policy {key} is {state}; ChangeStates puts it in force"
            raise FailedPrecondition("RESOURCE_INACTIVE", text, {"policy": key})
    resources = tuple(
        replace(
            resource,
            grants=tuple(
                _under(grant, asked[grant.id], named) if grant.id in asked else grant
                for grant in resource.grants
            ),
        )
        for resource in product.resources
    )
    return replace(product, resources=resources)


def _under(grant: ResolvedGrant, parts: GrantParts, named: GrantPolicies) -> ResolvedGrant:
    grant = replace(grant, listed=grant)
    if parts.refresh_policy_id is not None:
        refresh = named.refreshes[parts.refresh_policy_id]
        grant = replace(
            grant,
            refresh=RefreshPolicy(cadence=refresh.content.interval),
            refresh_policy=_source(refresh),
        )
    if parts.rollover_policy_id is not None:
        rollover = named.rollovers[parts.rollover_policy_id]
        grant = replace(grant, rollover=rollover.content.policy, rollover_policy=_source(rollover))
    return grant if parts.validity is None else replace(grant, validity=parts.validity)


def _source(policy: StoredRecord[Refresh] | StoredRecord[Rollover]) -> PolicySource:
    return PolicySource(level=PolicyLevel.LINE, id=policy.content.id, version=policy.version)


def _facts(at: str, resource_id: ResourceId) -> dict[str, str]:
    return {"field": at, "usage_resource": resource_id}
