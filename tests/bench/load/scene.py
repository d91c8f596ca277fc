"""The scene of a load test: a catalog with prices, an asset to record usage of, and questions."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import date, timedelta

import psutil
from usage_management.v1 import rate_service_pb2 as rates

from clients.load import requests
from tests.bench.lookups import CATALOG, ENTRIES, FIRST, PRODUCTS, SPAN
from tests.bench.stack import Stack, fill, world
from tests.stories.words import Metered

PROGRESS_SECONDS = 2.0
SAMPLE_SECONDS = 0.5


async def furnish(stack: Stack) -> None:
    """Make the catalog: 200 products with five rates each, and one whose rates will change."""
    async with world(stack) as tenant:
        await tenant.product("bench", Metered(resource="calls", grant="100", rate="2.5"))
        await tenant.product("changing", Metered(resource="calls", grant="100"))
    await fill(stack, CATALOG, PRODUCTS)


def questions() -> list[rates.RateQuestion]:
    """Return a question about every product in each of its spans: 1,000 different ones."""
    return [
        _question(f"looked{n % PRODUCTS}", FIRST + timedelta(days=n // PRODUCTS * SPAN + 3))
        for n in range(PRODUCTS * ENTRIES)
    ]


def lookups(batch: int) -> list[bytes]:
    """Return requests of `batch` questions each."""
    return requests(questions(), batch)


def about_change(number: int) -> rates.RateQuestion:
    """Return the question that only change `number` makes answerable."""
    return _question("changing", change_day(number))


def change_day(number: int) -> date:
    """Return the day on which the entry of change `number` holds."""
    return FIRST + timedelta(days=number)


def _question(product: str, on: date) -> rates.RateQuestion:
    return rates.RateQuestion(
        price_book="priceBooks/book",
        product=f"products/{product}",
        usage_resource="usageResources/calls",
        currency_code="USD",
        date={"year": on.year, "month": on.month, "day": on.day},
    )


class Memory:
    """Samples what the server processes hold: at the start, at most, at the end."""

    def __init__(self, members: list[psutil.Process]) -> None:
        self._members = members
        self.start = self.peak = self.end = self._mebibytes()

    async def watch(self) -> None:
        """Sample until canceled."""
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            self.sample()

    def sample(self) -> None:
        """Look once."""
        self.end = self._mebibytes()
        self.peak = [max(pair) for pair in zip(self.peak, self.end, strict=True)]

    def _mebibytes(self) -> list[float]:
        return [member.memory_info().rss / 2**20 for member in self._members]


@asynccontextmanager
async def telling(what: str, seconds: float) -> AsyncIterator[None]:
    """Say what is being done, and every two seconds how far it is."""
    print(f"load: {what} …", file=sys.stderr, flush=True)
    started = time.monotonic()

    async def tell() -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            passed = time.monotonic() - started
            print(f"load:   {passed:.0f} of {seconds:.0f} s", file=sys.stderr, flush=True)

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
