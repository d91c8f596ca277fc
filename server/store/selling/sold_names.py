"""The names of the catalog records that lines of a sale refer to."""

from collections.abc import Iterable, Iterator
from typing import Any

from server.domain.ids import AccountId
from server.domain.modeling.policies import PolicySource
from server.domain.modeling.roles import Binding
from server.domain.selling.sales import LineGrant, LineResource, SaleLine
from server.store.modeling.catalog import PRODUCT, PRODUCT_GRANT, RESOURCE, UNIT
from server.store.modeling.policies import (
    AGGREGATION,
    COMMITMENT,
    OVERAGE,
    RATING_FREQUENCY,
    REFRESH,
    ROLLOVER,
)
from server.store.modeling.records import Kind
from server.store.modeling.selling_models import SELLING_MODEL
from server.store.rating.custom_fields import CUSTOM_FIELD
from server.store.rating.rate_entries import RATE_ENTRY
from server.store.selling import binding_targets


def sold_names(account_id: AccountId, lines: Iterable[SaleLine]) -> Iterator[str]:
    """Yield the names of the products, resources, policies, grants, rates and targets of lines."""
    for line in lines:
        yield PRODUCT.resource_name(line.product_id)
        if line.binding in (Binding.CONTRACT, Binding.CUSTOM):
            yield binding_targets.name_of(account_id, str(line.target_id))
        if line.selling_model_id is not None:
            yield SELLING_MODEL.resource_name(line.selling_model_id)
        for resource in line.resources:
            yield from _of_resource(resource)
            for grant in resource.grants:
                yield from _of_grant(line, grant)


def _of_resource(resource: LineResource) -> Iterator[str]:
    yield RESOURCE.resource_name(resource.resource_id)
    yield UNIT.resource_name(resource.policies.wallet.unit_id)
    listed = () if resource.listed_as is None else (resource.listed_as.sources,)
    for sources in (resource.policies.sources, *listed):
        yield from _policies(
            (AGGREGATION, sources.aggregation),
            (RATING_FREQUENCY, sources.rating_frequency),
            (OVERAGE, sources.overage),
            (COMMITMENT, sources.commitment),
        )
    terms = resource.terms
    if terms is not None:
        yield from map(CUSTOM_FIELD.resource_name, terms.effective_fields)
        for key in (terms.base_entry, terms.tier_entry, terms.attribute_entry):
            if key is not None:
                yield RATE_ENTRY.resource_name(*key.split("/"))


def _of_grant(line: SaleLine, grant: LineGrant) -> Iterator[str]:
    yield PRODUCT_GRANT.resource_name(line.product_id, grant.product_grant_id)
    yield from _policies((REFRESH, grant.refresh_policy), (ROLLOVER, grant.rollover_policy))
    listed = grant.listed_as
    if listed is not None:
        yield from _policies((REFRESH, listed.refresh_policy), (ROLLOVER, listed.rollover_policy))


def _policies(*sources: tuple[Kind[Any], PolicySource]) -> Iterator[str]:
    for kind, source in sources:
        if source.id is not None:
            yield kind.resource_name(source.id)
