"""Overload: three times as many lookups as can be answered, and what becomes of them."""

import asyncio
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from clients.load import OPTIONS, Figures, Plan
from tests.bench.load.driver import Drivers, drivers
from tests.bench.load.scene import Memory, furnish, lookups, telling
from tests.bench.load.steady import MILLISECOND, PERCENTILES, capacity, counted, figures_of, spread
from tests.bench.stack import Stack

TIMES = 3
CALL_SECONDS = 2.0  # how long a caller waits
CONNECTIONS = 8
CHECK_SECONDS, CHECK_PATIENCE = 0.1, 2.0
CHECK = "/grpc.health.v1.Health/Check"
# The probe of half the capacity, and how much worse than before is as before.
PROBE_SECONDS, SLACK_SHARE, SLACK_MS = 1.0, 1.5, 10.0
GIVE_UP_SECONDS = 30.0


async def overload(stack: Stack, seconds: float) -> dict[str, Any]:
    """Load the stack with single questions, then with batches; the figures of each."""
    await furnish(stack)
    async with drivers(1, wire=True) as crowd:
        found = {}
        for name, batch in (("unary", 1), ("batches of 1,000", 1_000)):
            found[name] = await _overloaded(stack, crowd, name, lookups(batch), seconds)
    return {"seconds": seconds, "times": TIMES, "overload": found}


async def _overloaded(
    stack: Stack, crowd: Drivers, name: str, asked: list[bytes], seconds: float
) -> dict[str, Any]:
    brief = min(5.0, seconds)
    async with telling(f"{name}: the capacity, in a closed loop", brief + 1):
        most = await capacity(stack.address, stack.key, crowd, asked, brief)
    a_second = most.calls_in_time / brief
    async with telling(f"{name}: half of it", brief + 1):
        before = await _open(stack, crowd, asked, a_second / 2, brief)
    usual = before.latencies.percentile(PERCENTILES["p99"]) / MILLISECOND
    memory, health = Memory(stack.members()), Health(stack.address)
    tasks = [asyncio.create_task(memory.watch()), asyncio.create_task(health.watch())]
    async with telling(f"{name}: {TIMES * a_second:,.0f} calls/s", seconds + CALL_SECONDS):
        figures = await _open(stack, crowd, asked, TIMES * a_second, seconds)
    async with telling(f"{name}: until it is as before", GIVE_UP_SECONDS):
        recovered = await _recovery(stack, crowd, asked, a_second / 2, usual)
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    memory.sample()
    told = figures_of(figures, seconds)
    return {
        "capacity_calls_per_second": a_second,
        "offered_calls_per_second": figures.begun_count / seconds,
        "goodput": figures.calls_in_time / seconds / a_second,
        **told,
        "health": {
            "answers": len(health.took),
            "failures": counted(health.failures),
            "ms": spread(health.took),
        },
        "usual_p99_ms": usual,
        "seconds_until_as_before": recovered,
        "server_mebibytes": [
            {"start": start, "peak": peak, "end": end}
            for start, peak, end in zip(memory.start, memory.peak, memory.end, strict=True)
        ],
    }


async def _open(
    stack: Stack, crowd: Drivers, asked: list[bytes], rate: float, seconds: float
) -> Figures:
    """Offer a rate, whatever the answers; as many calls may wait as two seconds bring."""
    in_flight = max(16, round(rate * (CALL_SECONDS + 0.5) / CONNECTIONS))
    plan = Plan(
        address=stack.address,
        key=stack.key,
        seconds=seconds,
        connections=CONNECTIONS,
        in_flight=in_flight,
        rate=rate,
        warmup_seconds=0.2,
        call_seconds=CALL_SECONDS,
    )
    return await crowd.run(plan, asked)


async def _recovery(
    stack: Stack, crowd: Drivers, asked: list[bytes], rate: float, usual: float
) -> float | None:
    """Seconds until p99 at this rate is what it was; None when it never is."""
    ended = time.perf_counter()
    while time.perf_counter() - ended < GIVE_UP_SECONDS:
        began = time.perf_counter()
        figures = await _open(stack, crowd, asked, rate, PROBE_SECONDS)
        p99 = figures.latencies.percentile(PERCENTILES["p99"]) / MILLISECOND
        if not figures.errors and p99 <= max(usual * SLACK_SHARE, usual + SLACK_MS):
            return began - ended
    return None


class Health:
    """Asks for the health of the service, on a connection of its own."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.took: list[float] = []
        self.failures: Counter[tuple[str, str]] = Counter()

    async def watch(self) -> None:
        """Ask every tenth of a second until canceled."""
        async with grpc.aio.insecure_channel(self._address, options=OPTIONS) as channel:
            check = channel.unary_unary(
                CHECK,
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            async with asyncio.TaskGroup() as group:
                while True:
                    group.create_task(self._ask(check))
                    await asyncio.sleep(CHECK_SECONDS)

    async def _ask(self, check: Any) -> None:
        started = time.perf_counter()
        try:
            answer = await check(health_pb2.HealthCheckRequest(), timeout=CHECK_PATIENCE)
        except grpc.aio.AioRpcError as error:
            self.failures[error.code().name, error.details() or ""] += 1
            return
        self.took.append(time.perf_counter() - started)
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            self.failures["OK", "NOT_SERVING"] += 1
