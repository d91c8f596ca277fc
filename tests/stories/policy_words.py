"""Short words for the policies of products, lines and targets."""

from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc

ACTIVE = "CATALOG_STATE_ACTIVE"


def override(**named: str) -> catalog.PolicyOverride:
    return catalog.PolicyOverride(
        usage_resource="usageResources/calls", policies=catalog.ResourcePolicies(**named)
    )


async def overage(world, name: str, kind: str, *, active: bool = True) -> str:
    made = await world.client.policies.CreateOveragePolicy(
        policy_rpc.CreateOveragePolicyRequest(
            overage_policy_id=name, overage_policy=policies.OveragePolicy(overage=kind)
        )
    )
    if active:
        request = rpc.ChangeStatesRequest(names=[made.name], state=ACTIVE)
        await world.client.catalog.ChangeStates(request)
    return made.name


async def target(world, account: str, *said: catalog.PolicyOverride) -> str:
    made = await world.client.accounts.CreateBindingTarget(
        accounts.CreateBindingTargetRequest(
            parent=account,
            binding_target_id="team",
            binding_target=accounts.BindingTarget(kind="CUSTOM", policies=said),
        )
    )
    return made.name


async def resolved(world, name: str):
    request = rpc.ResolvePoliciesRequest(name=name)
    return (await world.client.catalog.ResolvePolicies(request)).resources[0]
