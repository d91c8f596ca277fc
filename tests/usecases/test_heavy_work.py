"""Heavy work: in a process of its own, tenants in turn, its errors and its end reported."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from server.domain.errors import InvalidArgument, ResourceExhausted, Unavailable, Violation
from server.domain.ids import TenantId
from server.domain.rating.procedures.waterfall import RatingFailed
from server.runtime import heavy_work
from server.runtime.heavy_work import HeavyWork

ONE, OTHER = TenantId(UUID(int=1)), TenantId(UUID(int=2))


@pytest.fixture
async def work() -> AsyncIterator[HeavyWork]:
    made = HeavyWork()
    yield made
    made.close()


def sleep(seconds: float, name: str) -> str:
    time.sleep(seconds)
    return name


def refuse() -> None:
    raise InvalidArgument.of((Violation("lines[0]", "RANGE", "is wrong"),))


def fail() -> None:
    raise RatingFailed("TIME_LIMIT", "too slow", {"line": "1"}, steps=())


def die_late() -> None:
    time.sleep(0.3)
    die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def test_it_runs_elsewhere_with_lower_priority_while_the_loop_goes_on(work: HeavyWork):
    ticks, done = 0, asyncio.create_task(work.run(ONE, sleep, 0.3, "slept"))
    while not done.done():
        await asyncio.sleep(0.005)
        ticks += 1

    niceness = min(19, os.nice(0) + heavy_work.NICENESS)
    assert (await done, await work.run(ONE, os.nice, 0)) == ("slept", niceness)
    assert await work.run(ONE, os.getpid) != os.getpid()
    assert ticks > 20


async def test_tenants_take_turns_whoever_asks_more(work: HeavyWork):
    ended: list[str] = []

    async def run(tenant_id: TenantId, name: str) -> None:
        ended.append(await work.run(tenant_id, sleep, 0.02, name))

    await asyncio.gather(
        *(run(ONE, f"one-{n}") for n in range(5)), run(OTHER, "other-0"), run(OTHER, "other-1")
    )

    assert ended[:5] == ["one-0", "one-1", "other-0", "one-2", "other-1"]


async def test_a_tenant_waits_for_a_bounded_number_of_turns(work: HeavyWork, monkeypatch):
    monkeypatch.setattr(heavy_work, "MAX_WAITING", 3)
    calls = [asyncio.create_task(work.run(ONE, sleep, 0.02, "slept")) for _ in range(6)]

    ended = await asyncio.gather(*calls, return_exceptions=True)
    other = await work.run(OTHER, sleep, 0, "slept")

    assert [one for one in ended if isinstance(one, str)] == ["slept"] * 4
    assert {one.reason for one in ended if isinstance(one, ResourceExhausted)} == {"TENANT_BUSY"}
    assert other == "slept"


async def test_refusals_come_back_whole(work: HeavyWork):
    with pytest.raises(InvalidArgument) as refused:
        await work.run(ONE, refuse)
    with pytest.raises(RatingFailed) as failed:
        await work.run(ONE, fail)

    assert refused.value.violations == (Violation("lines[0]", "RANGE", "is wrong"),)
    assert (failed.value.reason, failed.value.facts) == ("TIME_LIMIT", {"line": "1"})


async def test_a_process_that_dies_is_reported_and_started_again(work: HeavyWork):
    waiting = asyncio.create_task(work.run(ONE, die))
    with pytest.raises(Unavailable) as lost:
        await waiting

    assert lost.value.reason == "PROCESS_LOST"
    assert await work.run(ONE, sleep, 0, "again") == "again"


async def test_a_process_that_dies_while_nobody_waits_is_started_again(work: HeavyWork):
    """While idle, and behind a call that was given up."""
    os.kill(await work.run(ONE, os.getpid), signal.SIGKILL)
    await asyncio.sleep(0.2)
    assert await work.run(ONE, sleep, 0, "after idle") == "after idle"

    given_up = asyncio.create_task(work.run(ONE, die_late))
    waiting = asyncio.create_task(work.run(OTHER, sleep, 0, "waited"))
    await asyncio.sleep(0.05)
    given_up.cancel()

    assert await waiting == "waited"


async def test_a_call_that_is_given_up_holds_no_place(work: HeavyWork, monkeypatch):
    monkeypatch.setattr(heavy_work, "MAX_WAITING", 3)
    running = asyncio.create_task(work.run(ONE, sleep, 0.5, "running"))
    for _ in range(5):
        waiting = asyncio.create_task(work.run(ONE, sleep, 0, "given up"))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.sleep(0)

    assert await work.run(ONE, sleep, 0, "last") == "last"
    assert await running == "running"


async def test_whoever_gives_up_waiting_leaves_the_turn_to_the_next(work: HeavyWork):
    first = asyncio.create_task(work.run(ONE, sleep, 0.2, "first"))
    second = asyncio.create_task(work.run(ONE, sleep, 0, "second"))
    third = asyncio.create_task(work.run(OTHER, sleep, 0, "third"))
    await asyncio.sleep(0.01)
    first.cancel()
    second.cancel()

    assert await third == "third"
    assert first.cancelled()
    assert second.cancelled()
