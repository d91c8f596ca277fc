"""A load of `DiscoverRates`: so many calls at once over so many connections, for so long.

In a closed loop a call follows the answer to the one before. In an open loop calls are due at a
steady rate, whatever the answers, and a latency counts from the moment a call was due: while the
service stalls, what should have been asked counts as waiting. Times are whole nanoseconds.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count, cycle
from math import ceil, gcd
from typing import Any

import grpc
from usage_management.v1 import rate_service_pb2 as rates

from clients.errors import UsageError
from clients.histogram import Histogram
from clients.tls import Tls, open_channel

METHOD = "/usage_management.v1.RateService/DiscoverRates"
SECOND = 1_000_000_000
CALL_SECONDS = 10.0
PAUSE_SECONDS = 0.01  # after a call that failed, so that a dead service is not asked in a frenzy
TICK_SECONDS = 0.2
CLOSE_SECONDS = 0.0005  # a timer may be late by a millisecond; what is left is waited for actively
MOST_PREPARED = 20_000
OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # Else channels to one address share a connection.
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The target, rate and duration of a load."""

    address: str
    key: str
    seconds: float
    connections: int = 1
    in_flight: int = 1
    rate: float | None = None
    warmup_seconds: float = 1.0
    tls: Tls | None = None
    call_seconds: float = CALL_SECONDS


@dataclass(slots=True)
class Figures:
    """The results of the calls that were due; in time means before the end.

    `latencies` are those of answered calls, and of those whose time ran out: these took at least as
    long. `delays` say how late the driver itself was with calls that somebody was free to make.
    """

    latencies: Histogram = field(default_factory=Histogram)
    delays: Histogram = field(default_factory=Histogram)
    begun_count: int = 0
    call_count: int = 0
    answer_count: int = 0
    calls_in_time: int = 0
    answers_in_time: int = 0
    not_begun_count: int = 0
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    unanswered: Counter[tuple[str, str]] = field(default_factory=Counter)


def requests(questions: Sequence[rates.RateQuestion], batch: int) -> list[bytes]:
    """Requests of `batch` questions each that ask all of them in turn, as far as memory goes."""
    different = len(questions) // gcd(len(questions), batch)
    turn = cycle(questions)
    return [
        rates.DiscoverRatesRequest(questions=[next(turn) for _ in range(batch)]).SerializeToString()
        for _ in range(max(1, min(different, MOST_PREPARED // batch)))
    ]


class Load:
    """One run of a plan."""

    def __init__(self, plan: Plan, asked: Sequence[bytes]) -> None:
        self.figures = Figures()
        self._plan = plan
        self._asked: Iterator[bytes] = cycle(asked)
        self._places = count()
        self._metadata = (("authorization", f"Bearer {plan.key}"),)
        self._start = self._until = 0

    async def run(self, tick: Callable[[float], None]) -> Figures:
        """Warm up, then load the service; `tick` hears every while how many seconds have passed.

        Raises TimeoutError when there is no connection.
        """
        plan = self._plan
        async with AsyncExitStack() as stack:
            channels = [
                await stack.enter_async_context(open_channel(plan.address, plan.tls, OPTIONS))
                for _ in range(plan.connections)
            ]
            async with asyncio.timeout(CALL_SECONDS):
                for channel in channels:
                    await channel.channel_ready()
            await self._phase(channels, plan.warmup_seconds, tick)
            await self._phase(
                channels, plan.seconds, lambda passed: tick(plan.warmup_seconds + passed)
            )
        return self.figures

    async def _phase(
        self, channels: Sequence[grpc.aio.Channel], seconds: float, tick: Callable[[float], None]
    ) -> None:
        """Begin calls for so long and wait for their answers, with figures of their own."""
        self.figures = Figures()
        self._places = count()
        self._start = time.perf_counter_ns()
        self._until = self._start + round(seconds * SECOND)
        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(self._tick(tick))
            async with asyncio.TaskGroup() as work:
                for channel in channels:
                    for _ in range(self._plan.in_flight):
                        work.create_task(self._work(_call_of(channel)))
            ticking.cancel()
        if self._plan.rate is not None:
            due = ceil(seconds * self._plan.rate)
            self.figures.not_begun_count = max(due - self.figures.begun_count, 0)

    async def _work(self, call: Callable[..., Any]) -> None:
        """Call, one after the other, until the time is up."""
        figures = self.figures
        while True:
            due = await self._turn()
            begun = time.perf_counter_ns()
            if max(due, begun) >= self._until:
                return
            figures.begun_count += 1
            try:
                answer = await call(
                    next(self._asked), timeout=self._plan.call_seconds, metadata=self._metadata
                )
            except grpc.aio.AioRpcError as failure:
                self._count_failure(failure, time.perf_counter_ns() - due)
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                self._count(answer, due, time.perf_counter_ns())

    async def _turn(self) -> int:
        """Wait for the next call: at once, or by the rate."""
        now = time.perf_counter_ns()
        if self._plan.rate is None:
            return now
        due = self._start + round(next(self._places) * SECOND / self._plan.rate)
        if due <= now:
            return due
        if due >= self._until:
            return self._until
        await asyncio.sleep(max((due - now) / SECOND - CLOSE_SECONDS, 0))
        # The loop's timers are a millisecond coarse, so the last moments are waited out by the
        # clock, while others have their turn.
        while (now := time.perf_counter_ns()) < due:  # noqa: ASYNC110 - no event tells the time
            await asyncio.sleep(0)
        self.figures.delays.record(now - due)
        return due

    def _count(self, answer: rates.DiscoverRatesResponse, due: int, ended: int) -> None:
        figures = self.figures
        refused = [one.status for one in answer.answers if one.HasField("status")]
        answered = len(answer.answers) - len(refused)
        figures.latencies.record(ended - due)
        figures.call_count += 1
        figures.answer_count += answered
        if ended < self._until:
            figures.calls_in_time += 1
            figures.answers_in_time += answered
        for status in refused:
            error = UsageError.of_status(status)
            figures.unanswered[error.code.name, error.reason] += 1

    def _count_failure(self, failure: grpc.aio.AioRpcError, nanos: int) -> None:
        error = UsageError.of_call(failure)
        self.figures.errors[error.code.name, error.reason] += 1
        if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self.figures.latencies.record(nanos)

    async def _tick(self, tick: Callable[[float], None]) -> None:
        while True:
            tick((time.perf_counter_ns() - self._start) / SECOND)
            await asyncio.sleep(TICK_SECONDS)


def _call_of(channel: grpc.aio.Channel) -> Callable[..., Any]:
    """The bare method, without retries: a load is not to be made gentler."""
    return channel.unary_unary(METHOD, response_deserializer=rates.DiscoverRatesResponse.FromString)
