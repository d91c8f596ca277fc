"""A real day of an LLM service through the public API: recorded twice, shuffled, by two at once."""

import asyncio
import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import summary_service_pb2 as summaries

from clients.pages import pages
from tests.stories.words import Metered, figure, line, money, usage
from tests.trace import trace_rows

COLUMNS = {"prompt": "ContextTokens", "generated": "GeneratedTokens"}
BATCH = 1000
Code = consumption.RecordOutcome


def records(asset, rows) -> list[consumption.UsageRecordInput]:
    """Two records for each row; their ids are the file's own lines."""
    return [
        usage(asset, resource, at, row[column], f"trace-{number}-{resource}")
        for number, row in enumerate(rows, start=2)
        for at in (datetime.fromisoformat(row["TIMESTAMP"][:26]).replace(tzinfo=UTC),)
        for resource, column in COLUMNS.items()
    ]


async def record_all(world, wanted, *, seed: int, size: int = BATCH) -> list[int]:
    shuffled = random.Random(seed).sample(wanted, len(wanted))
    codes = []
    for start in range(0, len(shuffled), size):
        outcomes = await world.record(shuffled[start : start + size])
        codes += [outcome.code for outcome in outcomes]
    return codes


@pytest.mark.capability("M85")
@pytest.mark.timeout(180)
async def test_a_real_day_becomes_two_lines_however_it_is_sent(sandbox):
    world = await sandbox("2023-11-01")
    await world.product(
        "llm",
        Metered(resource="prompt", grant="15000000", refresh="MONTH", rate="2.50", per="1000000"),
        Metered(resource="generated", grant="200000", refresh="MONTH", rate="10", per="1000000"),
    )
    account = await world.account("lab")
    [asset] = await world.sell(account, line("llm", "2023-11-01"))
    wanted = records(asset, trace_rows())
    await world.advance("2023-11-16T20:00")

    one_by_one = await record_all(world, wanted[:1000], seed=1, size=1)
    twice = await asyncio.gather(
        record_all(world, wanted, seed=2), record_all(world, wanted, seed=3)
    )
    codes = [*one_by_one, *twice[0], *twice[1]]
    before = {name: await world.wallet(account, name) for name in COLUMNS}
    await world.advance("2023-12-04")
    lines = {one.usage_resource.partition("/")[2]: one for one in await world.liable(account)}

    assert codes.count(Code.ACCEPTED) == len(wanted) == 17_638
    assert codes.count(Code.DUPLICATE) == len(codes) - len(wanted)
    assert figure(before["prompt"].used_quantity) == 18_059_974
    assert figure(before["generated"].used_quantity) == 245_896
    assert figure(before["prompt"].estimated_amount) == Decimal("7.649935")
    assert {name: figure(one.used_quantity) for name, one in lines.items()} == {
        "prompt": 18_059_974,
        "generated": 245_896,
    }
    assert {name: figure(one.overage_quantity) for name, one in lines.items()} == {
        "prompt": 3_059_974,
        "generated": 45_896,
    }
    assert {name: figure(one.exact_amount) for name, one in lines.items()} == {
        "prompt": Decimal("7.649935"),
        "generated": Decimal("0.45896"),
    }
    assert {name: money(one.amount) for name, one in lines.items()} == {
        "prompt": Decimal("7.65"),
        "generated": Decimal("0.46"),
    }
    for name, one in lines.items():
        await check_trace(world, account, one, wanted, name)


async def check_trace(world, account, one: summaries.LiableSummary, wanted, name: str) -> None:
    """The line adds up to the ratable summaries, the cells, the records."""
    trace = await world.trace(one)
    cells = [cell.usage_summary for source in trace.sources for cell in source.usage_summaries]
    found: list[consumption.UsageRecord] = []
    for cell in cells:
        request = consumption.ListUsageRecordsRequest(
            parent=account, usage_summary=cell.name, page_size=1000
        )
        found += [r async for r in pages(world.client.consumption.ListUsageRecords, request)]
    sent = {r.record_id for r in wanted if r.usage_resource.endswith(f"/{name}")}

    assert sum(figure(source.ratable_summary.amount) for source in trace.sources) == figure(
        one.exact_amount
    )
    assert sum(figure(cell.quantity) for cell in cells) == figure(one.used_quantity)
    assert sum(figure(record.quantity) for record in found) == figure(one.used_quantity)
    assert {record.name.rpartition("/")[2] for record in found} == sent
