"""PolicyService: parse, do, render."""

from typing import Any

from usage.v1 import policy_resources_pb2 as pb
from usage.v1 import policy_service_pb2 as messages
from usage.v1 import policy_service_pb2_grpc as rpc

from server.api import names
from server.api.mapping import policies as mapping
from server.api.records import create_record, creating, get_record, list_records
from server.env import Env
from server.store import policies as kinds


class PolicyService(rpc.PolicyServiceServicer):
    """Keeps the policies that resources, products and grants refer to."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def GetAggregationPolicy(
        self, request: messages.GetAggregationPolicyRequest, context: Any
    ) -> pb.AggregationPolicy:
        kind, name = kinds.AGGREGATION, names.AGGREGATION_POLICY
        return mapping.aggregation_to_pb(await get_record(self._env, request, kind, name))

    async def ListAggregationPolicies(
        self, request: messages.ListAggregationPoliciesRequest, context: Any
    ) -> messages.ListAggregationPoliciesResponse:
        kept, token = await list_records(self._env, request, kinds.AGGREGATION)
        found = [mapping.aggregation_to_pb(one) for one in kept]
        return messages.ListAggregationPoliciesResponse(
            aggregation_policies=found, next_page_token=token
        )

    async def CreateAggregationPolicy(
        self, request: messages.CreateAggregationPolicyRequest, context: Any
    ) -> pb.AggregationPolicy:
        wanted, render = mapping.aggregation_from_pb(request), mapping.aggregation_to_pb
        create, answer = creating(kinds.AGGREGATION), pb.AggregationPolicy
        return await create_record(self._env, request, answer, create, wanted, render)

    async def GetRatingFrequencyPolicy(
        self, request: messages.GetRatingFrequencyPolicyRequest, context: Any
    ) -> pb.RatingFrequencyPolicy:
        kind, name = kinds.RATING_FREQUENCY, names.RATING_FREQUENCY_POLICY
        return mapping.rating_frequency_to_pb(await get_record(self._env, request, kind, name))

    async def ListRatingFrequencyPolicies(
        self, request: messages.ListRatingFrequencyPoliciesRequest, context: Any
    ) -> messages.ListRatingFrequencyPoliciesResponse:
        kept, token = await list_records(self._env, request, kinds.RATING_FREQUENCY)
        found = [mapping.rating_frequency_to_pb(one) for one in kept]
        return messages.ListRatingFrequencyPoliciesResponse(
            rating_frequency_policies=found, next_page_token=token
        )

    async def CreateRatingFrequencyPolicy(
        self, request: messages.CreateRatingFrequencyPolicyRequest, context: Any
    ) -> pb.RatingFrequencyPolicy:
        wanted, render = mapping.rating_frequency_from_pb(request), mapping.rating_frequency_to_pb
        create, answer = creating(kinds.RATING_FREQUENCY), pb.RatingFrequencyPolicy
        return await create_record(self._env, request, answer, create, wanted, render)

    async def GetOveragePolicy(
        self, request: messages.GetOveragePolicyRequest, context: Any
    ) -> pb.OveragePolicy:
        kind, name = kinds.OVERAGE, names.OVERAGE_POLICY
        return mapping.overage_to_pb(await get_record(self._env, request, kind, name))

    async def ListOveragePolicies(
        self, request: messages.ListOveragePoliciesRequest, context: Any
    ) -> messages.ListOveragePoliciesResponse:
        kept, token = await list_records(self._env, request, kinds.OVERAGE)
        found = [mapping.overage_to_pb(one) for one in kept]
        return messages.ListOveragePoliciesResponse(overage_policies=found, next_page_token=token)

    async def CreateOveragePolicy(
        self, request: messages.CreateOveragePolicyRequest, context: Any
    ) -> pb.OveragePolicy:
        wanted, render = mapping.overage_from_pb(request), mapping.overage_to_pb
        create, answer = creating(kinds.OVERAGE), pb.OveragePolicy
        return await create_record(self._env, request, answer, create, wanted, render)

    async def GetRefreshPolicy(
        self, request: messages.GetRefreshPolicyRequest, context: Any
    ) -> pb.RefreshPolicy:
        kind, name = kinds.REFRESH, names.REFRESH_POLICY
        return mapping.refresh_to_pb(await get_record(self._env, request, kind, name))

    async def ListRefreshPolicies(
        self, request: messages.ListRefreshPoliciesRequest, context: Any
    ) -> messages.ListRefreshPoliciesResponse:
        kept, token = await list_records(self._env, request, kinds.REFRESH)
        found = [mapping.refresh_to_pb(one) for one in kept]
        return messages.ListRefreshPoliciesResponse(refresh_policies=found, next_page_token=token)

    async def CreateRefreshPolicy(
        self, request: messages.CreateRefreshPolicyRequest, context: Any
    ) -> pb.RefreshPolicy:
        wanted, render = mapping.refresh_from_pb(request), mapping.refresh_to_pb
        create, answer = creating(kinds.REFRESH), pb.RefreshPolicy
        return await create_record(self._env, request, answer, create, wanted, render)

    async def GetRolloverPolicy(
        self, request: messages.GetRolloverPolicyRequest, context: Any
    ) -> pb.RolloverPolicy:
        kind, name = kinds.ROLLOVER, names.ROLLOVER_POLICY
        return mapping.rollover_to_pb(await get_record(self._env, request, kind, name))

    async def ListRolloverPolicies(
        self, request: messages.ListRolloverPoliciesRequest, context: Any
    ) -> messages.ListRolloverPoliciesResponse:
        kept, token = await list_records(self._env, request, kinds.ROLLOVER)
        found = [mapping.rollover_to_pb(one) for one in kept]
        return messages.ListRolloverPoliciesResponse(rollover_policies=found, next_page_token=token)

    async def CreateRolloverPolicy(
        self, request: messages.CreateRolloverPolicyRequest, context: Any
    ) -> pb.RolloverPolicy:
        wanted, render = mapping.rollover_from_pb(request), mapping.rollover_to_pb
        create, answer = creating(kinds.ROLLOVER), pb.RolloverPolicy
        return await create_record(self._env, request, answer, create, wanted, render)
