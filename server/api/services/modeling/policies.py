"""PolicyService: parse, do, render."""

from typing import Any

from google.protobuf.empty_pb2 import Empty
from usage_management.v1 import policy_resources_pb2 as pb
from usage_management.v1 import policy_service_pb2 as messages
from usage_management.v1 import policy_service_pb2_grpc as rpc

from server.api.services.modeling import kinds
from server.api.services.modeling.policy_versions import list_policy_versions, revise_policy
from server.api.services.modeling.records import (
    create_record,
    delete_record,
    get_record,
    list_records,
    update_record,
)
from server.env import Env


class PolicyService(rpc.PolicyServiceServicer):
    """Keeps the policies that resources, products and grants refer to."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def GetAggregationPolicy(
        self, request: messages.GetAggregationPolicyRequest, context: Any
    ) -> pb.AggregationPolicy:
        return await get_record(self._env, request, kinds.AGGREGATION)

    async def ListAggregationPolicies(
        self, request: messages.ListAggregationPoliciesRequest, context: Any
    ) -> messages.ListAggregationPoliciesResponse:
        found, token = await list_records(self._env, request, kinds.AGGREGATION)
        return messages.ListAggregationPoliciesResponse(
            aggregation_policies=found, next_page_token=token
        )

    async def CreateAggregationPolicy(
        self, request: messages.CreateAggregationPolicyRequest, context: Any
    ) -> pb.AggregationPolicy:
        return await create_record(self._env, request, kinds.AGGREGATION)

    async def UpdateAggregationPolicy(
        self, request: messages.UpdateAggregationPolicyRequest, context: Any
    ) -> pb.AggregationPolicy:
        return await update_record(self._env, request, kinds.AGGREGATION)

    async def DeleteAggregationPolicy(
        self, request: messages.DeleteAggregationPolicyRequest, context: Any
    ) -> Empty:
        return await delete_record(self._env, request, kinds.AGGREGATION)

    async def GetRatingFrequencyPolicy(
        self, request: messages.GetRatingFrequencyPolicyRequest, context: Any
    ) -> pb.RatingFrequencyPolicy:
        return await get_record(self._env, request, kinds.RATING_FREQUENCY)

    async def ListRatingFrequencyPolicies(
        self, request: messages.ListRatingFrequencyPoliciesRequest, context: Any
    ) -> messages.ListRatingFrequencyPoliciesResponse:
        found, token = await list_records(self._env, request, kinds.RATING_FREQUENCY)
        return messages.ListRatingFrequencyPoliciesResponse(
            rating_frequency_policies=found, next_page_token=token
        )

    async def CreateRatingFrequencyPolicy(
        self, request: messages.CreateRatingFrequencyPolicyRequest, context: Any
    ) -> pb.RatingFrequencyPolicy:
        return await create_record(self._env, request, kinds.RATING_FREQUENCY)

    async def UpdateRatingFrequencyPolicy(
        self, request: messages.UpdateRatingFrequencyPolicyRequest, context: Any
    ) -> pb.RatingFrequencyPolicy:
        return await update_record(self._env, request, kinds.RATING_FREQUENCY)

    async def DeleteRatingFrequencyPolicy(
        self, request: messages.DeleteRatingFrequencyPolicyRequest, context: Any
    ) -> Empty:
        return await delete_record(self._env, request, kinds.RATING_FREQUENCY)

    async def GetOveragePolicy(
        self, request: messages.GetOveragePolicyRequest, context: Any
    ) -> pb.OveragePolicy:
        return await get_record(self._env, request, kinds.OVERAGE)

    async def ListOveragePolicies(
        self, request: messages.ListOveragePoliciesRequest, context: Any
    ) -> messages.ListOveragePoliciesResponse:
        found, token = await list_records(self._env, request, kinds.OVERAGE)
        return messages.ListOveragePoliciesResponse(overage_policies=found, next_page_token=token)

    async def CreateOveragePolicy(
        self, request: messages.CreateOveragePolicyRequest, context: Any
    ) -> pb.OveragePolicy:
        return await create_record(self._env, request, kinds.OVERAGE)

    async def UpdateOveragePolicy(
        self, request: messages.UpdateOveragePolicyRequest, context: Any
    ) -> pb.OveragePolicy:
        return await update_record(self._env, request, kinds.OVERAGE)

    async def DeleteOveragePolicy(
        self, request: messages.DeleteOveragePolicyRequest, context: Any
    ) -> Empty:
        return await delete_record(self._env, request, kinds.OVERAGE)

    async def GetRefreshPolicy(
        self, request: messages.GetRefreshPolicyRequest, context: Any
    ) -> pb.RefreshPolicy:
        return await get_record(self._env, request, kinds.REFRESH)

    async def ListRefreshPolicies(
        self, request: messages.ListRefreshPoliciesRequest, context: Any
    ) -> messages.ListRefreshPoliciesResponse:
        found, token = await list_records(self._env, request, kinds.REFRESH)
        return messages.ListRefreshPoliciesResponse(refresh_policies=found, next_page_token=token)

    async def CreateRefreshPolicy(
        self, request: messages.CreateRefreshPolicyRequest, context: Any
    ) -> pb.RefreshPolicy:
        return await create_record(self._env, request, kinds.REFRESH)

    async def UpdateRefreshPolicy(
        self, request: messages.UpdateRefreshPolicyRequest, context: Any
    ) -> pb.RefreshPolicy:
        return await update_record(self._env, request, kinds.REFRESH)

    async def DeleteRefreshPolicy(
        self, request: messages.DeleteRefreshPolicyRequest, context: Any
    ) -> Empty:
        return await delete_record(self._env, request, kinds.REFRESH)

    async def GetRolloverPolicy(
        self, request: messages.GetRolloverPolicyRequest, context: Any
    ) -> pb.RolloverPolicy:
        return await get_record(self._env, request, kinds.ROLLOVER)

    async def ListRolloverPolicies(
        self, request: messages.ListRolloverPoliciesRequest, context: Any
    ) -> messages.ListRolloverPoliciesResponse:
        found, token = await list_records(self._env, request, kinds.ROLLOVER)
        return messages.ListRolloverPoliciesResponse(rollover_policies=found, next_page_token=token)

    async def CreateRolloverPolicy(
        self, request: messages.CreateRolloverPolicyRequest, context: Any
    ) -> pb.RolloverPolicy:
        return await create_record(self._env, request, kinds.ROLLOVER)

    async def UpdateRolloverPolicy(
        self, request: messages.UpdateRolloverPolicyRequest, context: Any
    ) -> pb.RolloverPolicy:
        return await update_record(self._env, request, kinds.ROLLOVER)

    async def DeleteRolloverPolicy(
        self, request: messages.DeleteRolloverPolicyRequest, context: Any
    ) -> Empty:
        return await delete_record(self._env, request, kinds.ROLLOVER)

    async def GetCommitmentPolicy(
        self, request: messages.GetCommitmentPolicyRequest, context: Any
    ) -> pb.CommitmentPolicy:
        return await get_record(self._env, request, kinds.COMMITMENT)

    async def ListCommitmentPolicies(
        self, request: messages.ListCommitmentPoliciesRequest, context: Any
    ) -> messages.ListCommitmentPoliciesResponse:
        found, token = await list_records(self._env, request, kinds.COMMITMENT)
        return messages.ListCommitmentPoliciesResponse(
            commitment_policies=found, next_page_token=token
        )

    async def CreateCommitmentPolicy(
        self, request: messages.CreateCommitmentPolicyRequest, context: Any
    ) -> pb.CommitmentPolicy:
        return await create_record(self._env, request, kinds.COMMITMENT)

    async def UpdateCommitmentPolicy(
        self, request: messages.UpdateCommitmentPolicyRequest, context: Any
    ) -> pb.CommitmentPolicy:
        return await update_record(self._env, request, kinds.COMMITMENT)

    async def DeleteCommitmentPolicy(
        self, request: messages.DeleteCommitmentPolicyRequest, context: Any
    ) -> Empty:
        return await delete_record(self._env, request, kinds.COMMITMENT)

    async def RevisePolicy(
        self, request: messages.RevisePolicyRequest, context: Any
    ) -> messages.Policy:
        return await revise_policy(self._env, request)

    async def ListPolicyVersions(
        self, request: messages.ListPolicyVersionsRequest, context: Any
    ) -> messages.ListPolicyVersionsResponse:
        return await list_policy_versions(self._env, request)
