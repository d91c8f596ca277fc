"""Killed in the middle of things: after a restart the same figures, nothing lost or doubled."""

import asyncio
import random
from collections.abc import Sequence

import pytest
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import consumption_service_pb2 as consumption

from clients import UsageError
from tests.processes.conftest import Stack
from tests.stories.bill_words import owed
from tests.stories.words import Metered, figure, line, moment, stamp, usage
from tests.stories.world import World

pytestmark = pytest.mark.timeout(120)

BATCHES, BATCH = 24, 250
Batch = Sequence[consumption.UsageRecordInput]


async def sold(world: World, **how) -> tuple[str, object]:
    plan = Metered(resource="calls", grant="1000", refresh="MONTH", rate="0.01", **how)
    await world.product("plan", plan)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    return account, asset


async def send(world: World, batches: list[Batch]) -> None:
    """Send each batch until it is acknowledged, as a collector does."""
    for batch in batches:
        while True:
            try:
                outcomes = await world.record(batch)
            except UsageError:
                await asyncio.sleep(0.05)
                continue
            assert {one.code for one in outcomes} <= {
                consumption.RecordOutcome.ACCEPTED,
                consumption.RecordOutcome.DUPLICATE,
            }
            break


async def test_a_server_killed_while_recording_loses_and_doubles_nothing(stack: Stack):
    async with stack.world(moment("2024-01-31")) as world:
        account, asset = await sold(world)
        batches = [
            [
                usage(asset, "calls", f"2024-01-{number % 28 + 1:02}", 3, f"kill-{batch}-{number}")
                for number in range(BATCH)
            ]
            for batch in range(BATCHES)
        ]

        senders = [
            asyncio.create_task(send(world, random.Random(seed).sample(batches, BATCHES)))
            for seed in (1, 2)
        ]
        for _ in range(3):
            await asyncio.sleep(0.4)
            stack.server.kill()
            await stack.serve()
        await asyncio.gather(*senders)

        wallet = await world.wallet(account, "calls")
        await world.advance("2024-02-04")
        assert figure(wallet.used_quantity) == BATCHES * BATCH * 3 == 18_000
        assert await owed(world, account) == {"calls": (17_000, 170)}


async def year(world: World, *, disturb) -> list[tuple[int, str]]:
    """A year of usage, settled by one run; the answer is the ledger."""
    account, asset = await sold(world, max_rollovers=1)
    for month in range(1, 13):
        await world.advance(f"2024-{month:02}-15")
        await world.use(asset, "calls", f"2024-{month:02}-10", 300 * month)
    run = await world.client.access.AdvanceClock(
        access.AdvanceClockRequest(to_time=stamp(moment("2025-02-10")))
    )
    await disturb()
    while run.state == access.Run.RUNNING:
        await asyncio.sleep(0.05)
        run = await world.client.access.GetRun(access.GetRunRequest(name=run.name))
    assert run.state == access.Run.DONE, run
    entries = await world.entries(await world.wallet(account, "calls"))
    return [(entry.kind, entry.amount.value) for entry in entries]


async def test_a_worker_killed_in_the_middle_of_a_run_changes_no_figure(stack: Stack):
    async def leave_alone() -> None:
        """The yardstick."""

    async def kill_twice() -> None:
        for pause in (0.03, 0.1):
            await asyncio.sleep(pause)
            stack.worker.kill()
            stack.worker.start()

    async with stack.world(moment("2024-01-01")) as world:
        undisturbed = await year(world, disturb=leave_alone)
    async with stack.world(moment("2024-01-01")) as world:
        disturbed = await year(world, disturb=kill_twice)

    assert len(undisturbed) > 30
    assert sorted(disturbed) == sorted(undisturbed)


async def test_a_hundred_thousand_records_fit_in_little_memory(stack: Stack):
    async with stack.world(moment("2024-01-31")) as world:
        account, asset = await sold(world)
        for batch in range(100):
            records = [
                usage(asset, "calls", f"2024-01-{n % 28 + 1:02}", 1, f"mem-{batch}-{n}")
                for n in range(1000)
            ]
            await world.record(records)
        await world.advance("2024-02-04")

        used = stack.server.mebibytes(), stack.worker.mebibytes()
        assert figure((await world.liable(account))[0].used_quantity) == 100_000
        assert max(used) < 300, f"server and worker hold {used} MiB"
