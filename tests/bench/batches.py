"""Batches of 100 and of 1,000 questions side by side: a larger one must not cost more an answer."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from typing import Any

import asyncpg
import grpc
from usage.v1 import rate_service_pb2 as rates

from clients.load import METHOD
from tests.bench.load.scene import questions as plain
from tests.bench.lookups import method, rate_of
from tests.bench.stack import Stack

SIZES = (100, 1_000)
# With 32, rated batches of 1,000 wait for more than two seconds, and the transport gives them up.
AT_ONCE = 8
CHANGE = "UPDATE tenants SET catalogue_revision = catalogue_revision + 1 WHERE id = 'bench'"


async def batches_of_all(stack: Stack, seconds: float) -> list[dict[str, Any]]:
    """Plain questions, and with a quantity, whose answers are not kept; after `lookups`."""
    rated = plain()
    for number, question in enumerate(rated):
        question.quantity.value = str(number + 1)
    return await _compared(stack, {"plain": plain(), "with an amount": rated}, seconds)


async def _compared(
    stack: Stack, asked: dict[str, list[rates.RateQuestion]], seconds: float
) -> list[dict[str, Any]]:
    """Each kind of question in batches of both sizes, while the catalog changes every second."""
    changing = asyncio.create_task(_change(stack.dsn))
    found = []
    try:
        async with grpc.aio.insecure_channel(stack.address) as channel:
            types = (rates.DiscoverRatesRequest, rates.DiscoverRatesResponse)
            discover = method(channel, METHOD, *types, stack.key)
            for what, questions in asked.items():
                cost: dict[int, float] = {}
                for size in SIZES:
                    requests = cycle(_requests(questions, size))
                    used = stack.server_seconds()
                    calls = await rate_of(
                        lambda requests=requests: discover(next(requests)), seconds, at_once=AT_ONCE
                    )
                    answers = calls * size * seconds
                    cost[size] = (stack.server_seconds() - used) / answers * 1e6
                few, many = cost[SIZES[0]], cost[SIZES[1]]
                found.append(
                    {
                        "what": f"an answer in batches of {SIZES[1]:,}, {what}, catalog changing",
                        "value": many,
                        "unit": "µs of a core",
                        "yardstick": f"in batches of {SIZES[0]}",
                        "yardstick_value": few,
                        "ratio": many / few,
                        "target": "≤ 100 %",
                    }
                )
    finally:
        changing.cancel()
        with suppress(asyncio.CancelledError):
            await changing
    return found


def _requests(
    questions: list[rates.RateQuestion], size: int
) -> Iterator[rates.DiscoverRatesRequest]:
    for first in range(0, len(questions), size):
        yield rates.DiscoverRatesRequest(questions=questions[first : first + size])


async def _change(dsn: str) -> None:
    """Change the catalog every second, so that no answer is kept for longer."""
    connection = await asyncpg.connect(dsn)
    try:
        while True:
            await connection.execute(CHANGE)
            await asyncio.sleep(1)
    finally:
        await connection.close()
