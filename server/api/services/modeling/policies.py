"""The servicer of PolicyService."""

from typing import Any

from usage_management.v1 import policy_service_pb2 as messages
from usage_management.v1 import policy_service_pb2_grpc as rpc

from server.api.services.modeling import kinds
from server.api.services.modeling.policy_versions import list_policy_versions, revise_policy
from server.api.services.modeling.records import serves_records
from server.env import Env


@serves_records(messages.DESCRIPTOR.services_by_name["PolicyService"], kinds.POLICIES)
class PolicyService(rpc.PolicyServiceServicer):
    """Manages the policies that resources, products and grants refer to."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def RevisePolicy(
        self, request: messages.RevisePolicyRequest, context: Any
    ) -> messages.RevisePolicyResponse:
        return await revise_policy(self._env, request)

    async def ListPolicyVersions(
        self, request: messages.ListPolicyVersionsRequest, context: Any
    ) -> messages.ListPolicyVersionsResponse:
        return await list_policy_versions(self._env, request)
