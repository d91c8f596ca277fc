"""Messages of the policies that a level names."""

from collections.abc import Mapping
from typing import Any, TypeVar

from usage_management.v1 import catalog_resources_pb2 as pb

from server.api import names
from server.api.names import Name
from server.api.reader import RequestReader
from server.api.values import enum_pb
from server.domain.ids import PolicyId, ResourceId
from server.domain.modeling.catalog import PolicyIds
from server.domain.modeling.policies import DrawdownOrder

M = TypeVar("M", pb.ResourcePolicies, pb.UsageResourcePolicies)

# The parts of `PolicyIds` that name a policy: the field of each, and the pattern of its names.
POLICIES = {
    "aggregation": ("aggregation_policy", names.AGGREGATION_POLICY),
    "rating_frequency": ("rating_frequency_policy", names.RATING_FREQUENCY_POLICY),
    "overage": ("overage_policy", names.OVERAGE_POLICY),
    "commitment": ("commitment_policy", names.COMMITMENT_POLICY),
}


def policy_from_reader(reader: RequestReader, field: str, pattern: Name) -> PolicyId | None:
    """Return the id of a named policy; None if none is named."""
    ids = reader.optional_name(field, pattern)
    return PolicyId(ids[0]) if ids else None


def policies_from_reader(reader: RequestReader) -> PolicyIds:
    """Return the policies that a level names in the field `policies`."""
    own = reader.sub("policies")
    # The message of a usage resource has fewer of these fields than that of a product.
    there = own.message.DESCRIPTOR.fields_by_name
    return PolicyIds(
        **{
            part: policy_from_reader(own, field, pattern)
            for part, (field, pattern) in POLICIES.items()
            if field in there
        },
        order=own.optional_choice("drawdown_order", DrawdownOrder),
    )


def overrides_from_reader(reader: RequestReader) -> dict[ResourceId, PolicyIds]:
    """Return policies by resource. Adds RESOURCE_TWICE."""
    overrides: dict[ResourceId, PolicyIds] = {}
    for override in reader.subs("policies"):
        (resource_id,) = override.name("usage_resource", names.RESOURCE)
        if resource_id in overrides:
            override.fault("usage_resource", "RESOURCE_TWICE", "the resource has policies already")
        overrides[resource_id] = policies_from_reader(override)
    return overrides


def overrides_to_pb(policies: Mapping[ResourceId, PolicyIds]) -> list[pb.PolicyOverride]:
    """Return policies by resource, sorted by id."""
    return [
        pb.PolicyOverride(
            usage_resource=names.RESOURCE.of(key),
            policies=policies_to_pb(policies[key], pb.ResourcePolicies),
        )
        for key in sorted(policies)
    ]


def policies_to_pb(ids: PolicyIds, message: type[M]) -> M | None:
    """Return the policies that a level names; None if it names none."""
    if ids == PolicyIds():
        return None
    named = {field: (pattern, getattr(ids, part)) for part, (field, pattern) in POLICIES.items()}
    texts: dict[str, Any] = {
        field: pattern.of(id_) for field, (pattern, id_) in named.items() if id_
    }
    made = message(**texts)
    if ids.order is not None:
        made.drawdown_order = enum_pb(pb.ResourcePolicies.DrawdownOrder, ids.order)
    return made
