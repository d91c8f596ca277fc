"""A steady load: lookups at half the capacity, while the catalog changes and usage is recorded."""

import asyncio
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import consumption_service_pb2 as consumption

from clients import UsageError
from clients.load import Figures, Plan
from tests.bench.load.driver import Drivers, drivers
from tests.bench.load.scene import Memory, furnish, lookups, telling
from tests.bench.load.staleness import Changes, connected_to_each
from tests.bench.stack import Stack, world
from tests.stories.words import line, usage
from tests.stories.world import World

MILLISECOND = 1_000_000
CONNECTIONS, CLOSED_IN_FLIGHT, OPEN_IN_FLIGHT = 8, 8, 64
PERCENTILES = {"p50": Fraction(1, 2), "p99": Fraction(99, 100), "p99.9": Fraction(999, 1000)}
RECORDS, BATCHES_A_SECOND = 100, 5
START = datetime(2024, 1, 1, tzinfo=UTC)


async def capacity(
    address: str, key: str, driver: Drivers, asked: list[bytes], seconds: float
) -> Figures:
    """Ask as fast as it answers."""
    plan = Plan(
        address=address,
        key=key,
        seconds=seconds,
        connections=CONNECTIONS,
        in_flight=CLOSED_IN_FLIGHT,
    )
    return await driver.run(plan, asked)


async def steady(stack: Stack, seconds: float, rate: float | None) -> dict[str, Any]:
    """Load the stack for so long; the figures."""
    await furnish(stack)
    brief = min(5.0, seconds)
    async with (
        drivers(1) as driver,
        world(stack) as tenant,
        connected_to_each(stack) as channels,
    ):
        tenant.has_book = True
        account = await tenant.account("loaded")
        [asset] = await tenant.sell(account, line("bench", "2024-01-01"))
        asked = lookups(1)
        async with telling("the capacity, in a closed loop", 2 * brief + 2):
            most = await capacity(stack.address, stack.key, driver, asked, brief)
            echo = await capacity(stack.yardsticks, stack.key, driver, asked, brief)
        a_second = most.calls_in_time / brief
        offered = rate or a_second / 2
        plan = Plan(
            address=stack.address,
            key=stack.key,
            seconds=seconds,
            connections=CONNECTIONS,
            in_flight=OPEN_IN_FLIGHT,
            rate=offered,
        )
        memory = Memory(stack.members())
        changes = Changes(tenant, channels, stack.key)
        recording = Recording(tenant, asset)
        watching = asyncio.create_task(memory.watch())
        doing = telling(f"{offered:,.0f} lookups/s", seconds + plan.warmup_seconds)
        async with doing, asyncio.TaskGroup() as group:
            load = group.create_task(driver.run(plan, asked))
            group.create_task(changes.run(seconds))
            group.create_task(recording.run(seconds))
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        memory.sample()
    return {
        "seconds": seconds,
        "capacity_calls_per_second": a_second,
        "echo_calls_per_second": echo.calls_in_time / brief,
        "capacity_to_echo": most.calls_in_time / echo.calls_in_time,
        "offered_calls_per_second": offered,
        **figures_of(load.result(), seconds),
        "changes": {
            "count": changes.count,
            "failed_count": changes.failed_changes,
            "unseen_count": changes.unseen,
            "staleness_ms": [spread(found) for found in changes.staleness.values()],
        },
        "recording": {
            "records_per_second": recording.records / seconds,
            "errors": counted(recording.errors),
            "ms": spread(recording.took),
        },
        "server_mebibytes": [
            {"start": start, "peak": peak, "end": end}
            for start, peak, end in zip(memory.start, memory.peak, memory.end, strict=True)
        ],
    }


class Recording:
    """Records usage at a steady rate."""

    def __init__(self, tenant: World, asset: assets.Asset) -> None:
        self._tenant, self._asset = tenant, asset
        self.records = 0
        self.errors: Counter[tuple[str, str]] = Counter()
        self.took: list[float] = []

    async def run(self, seconds: float) -> None:
        """Begin a batch whenever one is due."""
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for turn in range(int(seconds * BATCHES_A_SECOND)):
                due = started + turn / BATCHES_A_SECOND
                await asyncio.sleep(max(due - time.perf_counter(), 0))
                group.create_task(self._record(turn, due))

    async def _record(self, turn: int, due: float) -> None:
        records = [
            usage(
                self._asset,
                "calls",
                START + timedelta(seconds=turn * RECORDS + n),
                1,
                f"load-{turn}-{n}",
            )
            for n in range(RECORDS)
        ]
        try:
            outcomes = await self._tenant.record(records)
        except UsageError as error:
            self.errors[error.code.name, error.reason] += 1
            return
        self.took.append(time.perf_counter() - due)
        self.records += sum(o.code == consumption.RecordOutcome.ACCEPTED for o in outcomes)


def figures_of(figures: Figures, seconds: float) -> dict[str, Any]:
    """Return what programs are told of a load."""
    return {
        "calls_per_second": figures.calls_in_time / seconds,
        "latency_ms": {
            name: figures.latencies.percentile(share) / MILLISECOND
            for name, share in PERCENTILES.items()
        },
        "errors": counted(figures.errors),
        "unanswered": counted(figures.unanswered),
        "not_begun_count": figures.not_begun_count,
        "driver_delay_p99_ms": figures.delays.percentile(PERCENTILES["p99"]) / MILLISECOND,
    }


def counted(errors: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return errors by code and reason, the most frequent first."""
    return [
        {"code": code, "reason": reason, "count": count}
        for (code, reason), count in errors.most_common()
    ]


def spread(seconds: list[float]) -> dict[str, float]:
    """Return the median, the 99th percentile and the most, in milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return {"count": 0, "p50": 0.0, "p99": 0.0, "max": 0.0}
    return {
        "count": len(ordered),
        "p50": ordered[len(ordered) // 2] * 1000,
        "p99": ordered[int(len(ordered) * 0.99)] * 1000,
        "max": ordered[-1] * 1000,
    }
