"""The policies that a level names, on the wire."""

from collections.abc import Mapping

from usage_management.v1 import catalog_resources_pb2 as pb

from server.api import names
from server.api.forms import Form
from server.api.names import Name
from server.api.values import enum_pb
from server.domain.ids import PolicyId, ResourceId
from server.domain.modelling.catalog import PolicyIds
from server.domain.modelling.policies import DrawdownOrder


def policy_from_form(form: Form, field: str, pattern: Name) -> PolicyId | None:
    """A policy by its name, if one is named."""
    found = form.optional_name(field, pattern)
    return PolicyId(found[0]) if found else None


def policies_from_form(form: Form) -> PolicyIds:
    """The policies that a level names, in the field `policies`."""
    own, frequency = form.sub("policies"), names.RATING_FREQUENCY_POLICY
    return PolicyIds(
        aggregation=policy_from_form(own, "aggregation_policy", names.AGGREGATION_POLICY),
        rating_frequency=policy_from_form(own, "rating_frequency_policy", frequency),
        overage=policy_from_form(own, "overage_policy", names.OVERAGE_POLICY),
        commitment=policy_from_form(own, "commitment_policy", names.COMMITMENT_POLICY),
        order=own.optional_choice("drawdown_order", DrawdownOrder),
    )


def overrides_from_form(form: Form) -> dict[ResourceId, PolicyIds]:
    """The policies of some resources, each once. Notes RESOURCE_TWICE."""
    found: dict[ResourceId, PolicyIds] = {}
    for one in form.subs("policies"):
        (resource_id,) = one.name("usage_resource", names.RESOURCE)
        if resource_id in found:
            one.fault("usage_resource", "RESOURCE_TWICE", "the resource has policies already")
        found[resource_id] = policies_from_form(one)
    return found


def overrides_to_pb(policies: Mapping[ResourceId, PolicyIds]) -> list[pb.PolicyOverride]:
    """The policies of some resources, by id."""
    return [
        pb.PolicyOverride(
            usage_resource=names.RESOURCE.of(key), policies=policies_to_pb(policies[key])
        )
        for key in sorted(policies)
    ]


def policies_to_pb(ids: PolicyIds) -> pb.ResourcePolicies | None:
    """The policies that a level names; nothing where it names none."""
    if ids == PolicyIds():
        return None
    counting, rating = names.AGGREGATION_POLICY, names.RATING_FREQUENCY_POLICY
    made = pb.ResourcePolicies(
        aggregation_policy=counting.of(ids.aggregation) if ids.aggregation else "",
        rating_frequency_policy=rating.of(ids.rating_frequency) if ids.rating_frequency else "",
        overage_policy=names.OVERAGE_POLICY.of(ids.overage) if ids.overage else "",
        commitment_policy=names.COMMITMENT_POLICY.of(ids.commitment) if ids.commitment else "",
    )
    if ids.order is not None:
        made.drawdown_order = enum_pb(pb.ResourcePolicies.DrawdownOrder, ids.order)
    return made
