"""Policies that hold for a product, on the wire."""

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message
from usage_management.v1 import catalog_resources_pb2 as catalog_pb
from usage_management.v1 import catalog_service_pb2 as pb

from server.api import names
from server.api.mapping.modeling import policies as mapping
from server.api.values import enum_pb
from server.domain.modeling.catalog import StoredRecord
from server.domain.modeling.policies import PolicyLevel
from server.domain.modeling.resolved import NAMELESS
from server.usecases.modeling.resolution import Explained

# What is not told of a policy as it was when something was sold, and of a default nobody keeps.
OF_RECORDS = ("state", "etag", "create_time", "update_time", "created_by", "updated_by")


def resolved_to_pb(found: Iterable[Explained]) -> pb.ResolvePoliciesResponse:
    """The policies of each resource, and who supplied them."""
    return pb.ResolvePoliciesResponse(resources=[_resource(one) for one in found])


def _resource(of: Explained) -> pb.ResolvedPolicies:
    one = of.policies
    made = pb.ResolvedPolicies(
        product_usage_resource=names.PRODUCT_RESOURCE.of(*of.held) if of.held else "",
        usage_resource=names.RESOURCE.of(of.resource_id),
        aggregation_policy=mapping.aggregation_to_pb(one.aggregation.policy),
        aggregation_level=_level(one.aggregation.level),
        rating_frequency_policy=mapping.rating_frequency_to_pb(one.rating_frequency.policy),
        rating_frequency_level=_level(one.rating_frequency.level),
        overage_policy=mapping.overage_to_pb(one.overage.policy),
        overage_level=_level(one.overage.level),
        commitment_policy=mapping.commitment_to_pb(one.commitment.policy),
        commitment_level=_level(one.commitment.level),
        drawdown_order=enum_pb(catalog_pb.ResourcePolicies.DrawdownOrder, one.order[0]),
        drawdown_order_level=_level(one.order[1]),
    )
    _forget(made.aggregation_policy, one.aggregation.policy)
    _forget(made.rating_frequency_policy, one.rating_frequency.policy)
    _forget(made.overage_policy, one.overage.policy)
    _forget(made.commitment_policy, one.commitment.policy)
    return made


def _forget(message: Message, kept: StoredRecord[Any]) -> None:
    if kept.content.id == NAMELESS:
        message.ClearField("name")
    if not kept.revision:
        for field in OF_RECORDS:
            message.ClearField(field)


def _level(level: PolicyLevel) -> "pb.PolicyLevel.ValueType":
    number: pb.PolicyLevel.ValueType = enum_pb(pb.PolicyLevel, level)
    return number
