"""The rate plan of what is offered or sold, as the service tells it."""

from usage_management.v1 import rate_service_pb2 as rates

from tests.stories.words import day
from tests.stories.world import World


async def plan(world: World, name: str, on: str = "", procedure: str = "") -> rates.RatePlan:
    request = rates.GetRatePlanRequest(
        name=name,
        date=day(on) if on else None,
        procedure=f"procedures/{procedure}" if procedure else "",
    )
    return await world.client.rates.GetRatePlan(request)
