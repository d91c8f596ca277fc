"""Short words for stories about runs that void or amend all records that match a filter."""

import asyncio
from decimal import Decimal
from typing import Any

from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import consumption_service_pb2 as pb

from tests.stories.words import figure, moment, stamp
from tests.stories.world import World

DONE, RUNNING = access.Run.DONE, access.Run.RUNNING

Run = pb.VoidRun | pb.AmendRun


def only(start: str, end: str, **more: Any) -> pb.UsageRecordFilter:
    """The filter of the records of a time, and what else they must have."""
    times = {"start_time": stamp(moment(start)), "end_time": stamp(moment(end))}
    return pb.UsageRecordFilter(**times, **more)


async def begin_void(world: World, account: str, **run: Any) -> pb.VoidRun:
    request = pb.CreateVoidRunRequest(parent=account, void_run=pb.VoidRun(**run))
    return await world.client.consumption.CreateVoidRun(request)


async def begin_amend(world: World, account: str, **run: Any) -> pb.AmendRun:
    request = pb.CreateAmendRunRequest(parent=account, amend_run=pb.AmendRun(**run))
    return await world.client.consumption.CreateAmendRun(request)


async def void_all(world: World, account: str, **run: Any) -> pb.VoidRun:
    """A void run, when it has ended."""
    found = await begin_void(world, account, **run)
    async with asyncio.timeout(20):
        while found.state == RUNNING:
            await asyncio.sleep(0.02)
            request = pb.GetVoidRunRequest(name=found.name)
            found = await world.client.consumption.GetVoidRun(request)
    assert found.state == DONE, found
    return found


async def amend_all(world: World, account: str, **run: Any) -> pb.AmendRun:
    """An amend run, when it has ended."""
    found = await begin_amend(world, account, **run)
    async with asyncio.timeout(20):
        while found.state == RUNNING:
            await asyncio.sleep(0.02)
            request = pb.GetAmendRunRequest(name=found.name)
            found = await world.client.consumption.GetAmendRun(request)
    assert found.state == DONE, found
    return found


def usages(run: Run) -> dict[tuple[str, str], tuple[int, Decimal, Decimal]]:
    """The records and the quantities before and after, by asset and resource."""
    return {
        (one.asset, one.usage_resource): (
            one.record_count,
            figure(one.quantity),
            figure(one.new_quantity),
        )
        for one in run.usage
    }


def periods(run: Run) -> list[tuple[int, bool]]:
    """The number of records of each rating period, and whether it was final."""
    return sorted((one.record_count, one.was_final) for one in run.periods)
