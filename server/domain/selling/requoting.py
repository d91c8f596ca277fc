"""Requoting: the lines of a quote as they were requested, so that they can be quoted again."""

from uuid import UUID

from server.domain.ids import AssetId, BindingTargetId, PolicyId, ResourceId
from server.domain.modeling.catalog import PolicyIds
from server.domain.modeling.policies import PolicyLevel, PolicySource
from server.domain.modeling.roles import Binding
from server.domain.modeling.sold_policies import SoldPolicies
from server.domain.rating.rates import RateParts
from server.domain.selling.bindings import AskedBinding
from server.domain.selling.negotiation import Negotiated
from server.domain.selling.quoting import AskedLine
from server.domain.selling.sales import LineResource, SaleLine


def asked_again(line: SaleLine) -> AskedLine:
    """Return a line as it was requested, with everything that was negotiated."""
    return AskedLine(
        product_id=line.product_id,
        quantity=line.quantity,
        start_date=line.start_date,
        end_date=line.end_date,
        binding=_binding(line),
        selling_model_id=line.selling_model_id,
        omitted=line.omitted,
        policies=named_by_line(line),
        attributes=line.attributes,
        negotiated=tuple(
            asked for resource in line.resources if (asked := _negotiated(resource)) is not None
        ),
        grants={
            grant.product_grant_id: grant.negotiated
            for resource in line.resources
            for grant in resource.grants
            if grant.negotiated is not None
        },
        external_id=line.external_id,
        nested=line.nested,
        rate_basis=line.rate_basis,
    )


def named_by_line(line: SaleLine) -> dict[ResourceId, PolicyIds]:
    """Return the policies that the line itself named and that its target allowed."""
    named = {resource.resource_id: _named(resource.policies) for resource in line.resources}
    return {key: ids for key, ids in named.items() if ids != PolicyIds()}


def _binding(line: SaleLine) -> AskedBinding:
    if line.target_line is not None:
        return AskedBinding(line=line.target_line)
    if line.role.is_commitment:
        linked = None if line.target_id is None else AssetId(UUID(line.target_id))
        return AskedBinding(linked_asset_id=linked)
    is_asset = line.binding is Binding.ASSET
    named = line.target_id
    return AskedBinding(
        binding=line.binding,
        asset_id=AssetId(UUID(named)) if named and is_asset else None,
        target_id=BindingTargetId(named) if named and not is_asset else None,
    )


def _negotiated(resource: LineResource) -> Negotiated | None:
    terms = resource.terms
    if terms is None or not terms.is_negotiated:
        return None
    rate, tiers = terms.negotiated_rate, terms.negotiated_tiers
    return Negotiated(
        resource_id=resource.resource_id,
        rate=None
        if rate is None
        else RateParts(value=rate.value, per=rate.per, unit=rate.unit, is_package=rate.is_package),
        tiers=tiers,
        bounds=terms.bounds if tiers else None,
        mode=terms.mode if tiers else None,
        custom_fields=terms.negotiated_fields,
    )


def _named(policies: SoldPolicies) -> PolicyIds:
    def own(source: PolicySource) -> PolicyId | None:
        return source.id if source.level is PolicyLevel.LINE else None

    sources = policies.sources
    is_ordered = sources.order is PolicyLevel.LINE
    return PolicyIds(
        aggregation=own(sources.aggregation),
        rating_frequency=own(sources.rating_frequency),
        overage=own(sources.overage),
        commitment=own(sources.commitment),
        order=policies.wallet.order if is_ordered else None,
    )
