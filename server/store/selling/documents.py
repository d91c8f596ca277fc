"""The JSON documents of sale lines: the resources, policies, rate terms and grants of a line.

Decimals are plain text and dates ISO, so that every client reads the same values. Each kind carries
its version as `v`; an unknown version raises an error.
"""

from server.domain.exact import parse_decimal, plain
from server.domain.ids import (
    ProductGrantId,
    ProductId,
    ResourceId,
)
from server.domain.modeling.policies import (
    CommitmentRate,
    RefreshPolicy,
    Validity,
)
from server.domain.selling.sales import LineGrant, LineResource
from server.store.documents import VERSION, Document, check_version
from server.store.modeling.policy_documents import (
    cadence_from_doc,
    cadence_to_doc,
    policies_from_doc,
    policies_to_doc,
    rollover_from_doc,
    rollover_to_doc,
    source_from_doc,
    source_to_doc,
)
from server.store.rating.terms_documents import terms_from_doc, terms_to_doc


def resources_to_doc(resources: tuple[LineResource, ...]) -> Document:
    """Return the document of a sale line's resources."""
    return {"v": VERSION, "resources": [_resource_to_doc(resource) for resource in resources]}


def resources_from_doc(doc: Document) -> tuple[LineResource, ...]:
    """Return the resources of a sale line's document."""
    check_version(doc)
    return tuple(_resource_from_doc(resource) for resource in doc["resources"])


def _resource_to_doc(resource: LineResource) -> Document:
    return {
        "resource": resource.resource_id,
        "unit_scale": resource.unit_scale,
        "policies": policies_to_doc(resource.policies, is_fixed=resource.is_fixed),
        "terms": None if resource.terms is None else terms_to_doc(resource.terms),
        "token_resource": resource.token_resource_id,
        "definition_product": resource.definition_product_id,
        "commitment": resource.commitment,
        "grants": [_grant_to_doc(grant) for grant in resource.grants],
    }


def _resource_from_doc(doc: Document) -> LineResource:
    policies, is_fixed = policies_from_doc(doc["policies"])
    token, definition = doc["token_resource"], doc["definition_product"]
    return LineResource(
        resource_id=ResourceId(doc["resource"]),
        unit_scale=doc["unit_scale"],
        policies=policies,
        terms=None if doc["terms"] is None else terms_from_doc(doc["terms"]),
        is_fixed=is_fixed,
        token_resource_id=None if token is None else ResourceId(token),
        definition_product_id=None if definition is None else ProductId(definition),
        commitment=None if doc["commitment"] is None else CommitmentRate(doc["commitment"]),
        grants=tuple(_grant_from_doc(grant) for grant in doc["grants"]),
    )


def _grant_to_doc(grant: LineGrant) -> Document:
    rollover = grant.rollover
    return {
        "grant": grant.product_grant_id,
        "quantity": plain(grant.quantity),
        "refresh": cadence_to_doc(grant.refresh.cadence if grant.refresh else None),
        "validity": cadence_to_doc(grant.validity.cadence if grant.validity else None),
        "rollover": None if rollover is None else rollover_to_doc(rollover),
        "refresh_policy": source_to_doc(grant.refresh_policy),
        "rollover_policy": source_to_doc(grant.rollover_policy),
    }


def _grant_from_doc(doc: Document) -> LineGrant:
    refresh = cadence_from_doc(doc["refresh"])
    validity = cadence_from_doc(doc["validity"])
    rollover = doc["rollover"]
    return LineGrant(
        product_grant_id=ProductGrantId(doc["grant"]),
        quantity=parse_decimal(doc["quantity"]),
        refresh=None if refresh is None else RefreshPolicy(cadence=refresh),
        validity=None if validity is None else Validity(cadence=validity),
        rollover=None if rollover is None else rollover_from_doc(rollover),
        refresh_policy=source_from_doc(doc["refresh_policy"]),
        rollover_policy=source_from_doc(doc["rollover_policy"]),
    )
