"""Short words for runs that reprice the assets of many accounts."""

import asyncio
from decimal import Decimal
from typing import Any

from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import reprice_service_pb2 as pb

from clients.pages import pages
from tests.stories.words import day, figure
from tests.stories.world import World

DONE, RUNNING = access.Run.DONE, access.Run.RUNNING


async def begin_run(world: World, start: str | None = None, **run: Any) -> pb.RepriceRun:
    if start is not None:
        run["start_date"] = day(start)
    request = pb.CreateRepriceRunRequest(reprice_run=pb.RepriceRun(**run))
    return await world.client.reprice.CreateRepriceRun(request)


async def reprice_all(world: World, start: str | None = None, **run: Any) -> pb.RepriceRun:
    """A reprice run, when it has ended."""
    found = await begin_run(world, start, **run)
    async with asyncio.timeout(20):
        while found.state == RUNNING:
            await asyncio.sleep(0.02)
            request = pb.GetRepriceRunRequest(name=found.name)
            found = await world.client.reprice.GetRepriceRun(request)
    assert found.state == DONE, found
    return found


async def items(world: World, run: pb.RepriceRun, **only: Any) -> list[pb.RepriceRunItem]:
    request = pb.ListRepriceRunItemsRequest(parent=run.name, page_size=2, **only)
    return [one async for one in pages(world.client.reprice.ListRepriceRunItems, request)]


def differences(found: list[pb.RepriceRunItem]) -> dict[str, tuple[Decimal, Decimal]]:
    """The changes of amounts by asset: of final periods, and of open ones."""
    sums: dict[str, tuple[Decimal, Decimal]] = {}
    for item in found:
        for one in item.amounts:
            final, still_open = sums.get(item.asset, (Decimal(0), Decimal(0)))
            change = figure(one.amount_after) - figure(one.amount_before)
            sums[item.asset] = (
                (final + change, still_open) if one.was_final else (final, still_open + change)
            )
    return sums


def counts(run: pb.RepriceRun) -> tuple[int, int, int, int]:
    """The accounts done and refused, and the assets looked at and repriced."""
    return (
        run.done_account_count,
        run.failed_account_count,
        run.asset_count,
        run.repriced_asset_count,
    )
