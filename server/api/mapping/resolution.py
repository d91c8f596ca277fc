"""Policies that hold for a product, on the wire."""

from collections.abc import Iterable

from google.protobuf.message import Message
from usage.v1 import catalog_resources_pb2 as catalog_pb
from usage.v1 import catalog_service_pb2 as pb

from server.api import names
from server.api.mapping import policies as mapping
from server.api.values import enum_pb
from server.domain.ids import ProductId
from server.usecases.resolution import ExplainedPolicies, PolicyLevel

# What a default has not, because nobody keeps it.
OF_RECORDS = ("name", "state", "create_time", "etag")


def resolved_to_pb(
    product_id: ProductId, found: Iterable[ExplainedPolicies]
) -> pb.ResolvePoliciesResponse:
    """The policies of each resource, and who supplied them."""
    return pb.ResolvePoliciesResponse(resources=[_resource(product_id, one) for one in found])


def _resource(product_id: ProductId, one: ExplainedPolicies) -> pb.ResolvedPolicies:
    made = pb.ResolvedPolicies(
        product_usage_resource=names.PRODUCT_RESOURCE.of(product_id, one.resource_id),
        aggregation_policy=mapping.aggregation_to_pb(one.aggregation.policy),
        aggregation_level=_level(one.aggregation.level),
        rating_frequency_policy=mapping.rating_frequency_to_pb(one.rating_frequency.policy),
        rating_frequency_level=_level(one.rating_frequency.level),
        overage_policy=mapping.overage_to_pb(one.overage.policy),
        overage_level=_level(one.overage.level),
        commitment_policy=mapping.commitment_to_pb(one.commitment.policy),
        commitment_level=_level(one.commitment.level),
        drawdown_order=enum_pb(catalog_pb.DrawdownOrder, one.order[0]),
        drawdown_order_level=_level(one.order[1]),
    )
    _forget(made.aggregation_policy, one.aggregation.level)
    _forget(made.rating_frequency_policy, one.rating_frequency.level)
    _forget(made.overage_policy, one.overage.level)
    _forget(made.commitment_policy, one.commitment.level)
    return made


def _forget(message: Message, level: PolicyLevel) -> None:
    if level is PolicyLevel.DEFAULT:
        for field in OF_RECORDS:
            message.ClearField(field)


def _level(level: PolicyLevel) -> "pb.PolicyLevel.ValueType":
    number: pb.PolicyLevel.ValueType = enum_pb(pb.PolicyLevel, level, "POLICY_LEVEL_")
    return number
