"""Short words for stories about records that are voided or amended."""

from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal
from typing import Any

from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import summary_service_pb2 as summaries

from clients import UsageError
from clients.pages import pages
from tests.stories.words import Metered, figure, line
from tests.stories.world import World

VOIDED = consumption.VoidOutcome.VOIDED
ALREADY_VOIDED = consumption.VoidOutcome.ALREADY_VOIDED
AMENDED = consumption.AmendOutcome.AMENDED
CALLS = Metered(resource="calls", rate="1")


async def shop(
    sandbox: Callable[..., Awaitable[World]], *metered: Metered, start: str = "2024-01-31"
) -> tuple[World, str, assets.Asset]:
    """Sell a plan with calls, or with what is metered; return the account and the asset too."""
    world = await sandbox(start)
    await world.product("plan", *(metered or (CALLS,)))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    return world, account, asset


def record_name(account: str, record_id: str) -> str:
    return f"{account}/usageRecords/{record_id}"


async def void(
    world: World, account: str, *record_ids: str, reason: str = ""
) -> list[consumption.VoidOutcome]:
    names = [record_name(account, one) for one in record_ids]
    request = consumption.VoidUsageRequest(usage_records=names, reason=reason)
    return list((await world.client.consumption.VoidUsage(request)).outcomes)


async def amend(
    world: World, *records: consumption.UsageRecordInput
) -> list[consumption.AmendOutcome]:
    request = consumption.AmendUsageRequest(records=records)
    return list((await world.client.consumption.AmendUsage(request)).outcomes)


async def stored(world: World, account: str, record_id: str) -> consumption.UsageRecord:
    request = consumption.GetUsageRecordRequest(name=record_name(account, record_id))
    return await world.client.consumption.GetUsageRecord(request)


async def listed(world: World, account: str, state: str) -> list[str]:
    """Return the ids of the records in a state, in the order of their names."""
    request = consumption.ListUsageRecordsRequest(parent=account, state=state)
    found = pages(world.client.consumption.ListUsageRecords, request)
    return sorted([one.name.rpartition("/")[2] async for one in found])


async def days(world: World, account: str) -> dict[str, tuple[Decimal, int]]:
    """Return the counted quantity and the number of records of each day that has records."""
    request = summaries.ListUsageSummariesRequest(parent=account, page_size=1000)
    found = pages(world.client.summaries.ListUsageSummaries, request)
    cells = [cell async for cell in found if cell.record_count]
    return {
        str(cell.start_time.ToDatetime().date()): (figure(cell.sum_quantity), cell.record_count)
        for cell in cells
    }


async def used(world: World, account: str, resource: str) -> Decimal:
    return figure((await world.wallet(account, resource)).used_quantity)


def reasons(outcomes: Iterable[Any]) -> list[str]:
    """Return the reason of each refusal, which is in its status; empty for what is not refused."""
    return [
        UsageError.of_status(one.status).reason if one.HasField("status") else ""
        for one in outcomes
    ]
