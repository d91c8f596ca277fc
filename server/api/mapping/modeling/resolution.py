"""Messages of resolved policies."""

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

# Fields of stored policies, which the policies of a past sale and unstored defaults do not have.
OF_RECORDS = ("state", "etag", "create_time", "update_time", "created_by", "updated_by")


def resolved_to_pb(explained: Iterable[Explained]) -> pb.ResolvePoliciesResponse:
    """Return the policies of each resource, and the levels that supplied them."""
    return pb.ResolvePoliciesResponse(resources=[_resource(policies) for policies in explained])


def _resource(of: Explained) -> pb.ResolvedPolicies:
    policies = of.policies
    made = pb.ResolvedPolicies(
        product_usage_resource=names.PRODUCT_RESOURCE.of(*of.held) if of.held else "",
        usage_resource=names.RESOURCE.of(of.resource_id),
        aggregation_policy=mapping.aggregation_to_pb(policies.aggregation.policy),
        aggregation_level=_level(policies.aggregation.level),
        rating_frequency_policy=mapping.rating_frequency_to_pb(policies.rating_frequency.policy),
        rating_frequency_level=_level(policies.rating_frequency.level),
        overage_policy=mapping.OVERAGE.write(policies.overage.policy),
        overage_level=_level(policies.overage.level),
        commitment_policy=mapping.COMMITMENT.write(policies.commitment.policy),
        commitment_level=_level(policies.commitment.level),
        drawdown_order=enum_pb(catalog_pb.ResourcePolicies.DrawdownOrder, policies.order[0]),
        drawdown_order_level=_level(policies.order[1]),
    )
    _forget(made.aggregation_policy, policies.aggregation.policy)
    _forget(made.rating_frequency_policy, policies.rating_frequency.policy)
    _forget(made.overage_policy, policies.overage.policy)
    _forget(made.commitment_policy, policies.commitment.policy)
    return made


def _forget(message: Message, record: StoredRecord[Any]) -> None:
    if record.content.id == NAMELESS:
        message.ClearField("name")
    if not record.revision:
        for field in OF_RECORDS:
            message.ClearField(field)


def _level(level: PolicyLevel) -> "pb.PolicyLevel.ValueType":
    number: pb.PolicyLevel.ValueType = enum_pb(pb.PolicyLevel, level)
    return number
