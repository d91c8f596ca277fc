"""Two at one settlement group at once: the figures of one after the other, and nothing lost.

Each case has an account of its own.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from usage_management.v1 import asset_service_pb2 as assets

from clients import UsageClient
from server.domain.ids import (
    AssetId,
    derive,
)
from server.store import jobs
from server.store.connection import Transaction
from server.store.pool import open_pool
from server.store.transaction import finish_commits, read
from server.usecases.access.tenants import tenant_id_of
from server.usecases.billing import corrections, slices
from server.usecases.billing.verification import verify_account
from server.usecases.intake.recording import RecordUsage, record
from tests.logins import as_service
from tests.service import add_tenant, serving
from tests.stories.token_words import Credits, described, set_up
from tests.stories.words import line, moment
from tests.stories.world import World
from tests.usecases.correction_shop import OPERATIONS, PAUSE, WAITING, Shop, Work, begin, end


def broken(*_args: Any, **_more: Any) -> None:
    raise RuntimeError("a bug")


def accounts() -> list[str]:
    found = [
        f"{when} {what}" for when in ("twin", "first", "midway", "held") for what in OPERATIONS
    ]
    return [one.replace(" ", "-") for one in found]


@pytest.fixture
async def shop(database: str, request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    sold: dict[str, assets.Asset] = {}
    async with serving(database) as service:
        name, key = await add_tenant(service, moment("2024-01-20"))
        async with UsageClient(service.address, key) as client:
            world = World(client)
            text = described(
                "plan",
                {"calls": "2", "minutes": "3"},
                Credits(price="0.2", grant="100", refresh=True),
            )
            await set_up(world, text)
            for account in request.param:
                [sold[account]] = await world.sell(
                    await world.account(account), line("plan", "2024-01-01")
                )
    owner = await asyncpg.connect(database)
    pool = await open_pool(as_service(database), size=6)
    ids = {account: AssetId(UUID(asset.name.rpartition("/")[2])) for account, asset in sold.items()}
    yield Shop(pool=pool, owner=owner, tenant_id=tenant_id_of(name), sold=ids)
    await finish_commits()
    await pool.close()
    await owner.close()


@dataclass(kw_only=True)
class Pause:
    """A place where a transaction waits until it may go on."""

    reached: asyncio.Event
    go_on: asyncio.Event

    async def here(self) -> None:
        self.reached.set()
        await self.go_on.wait()


async def at_once(shop: Shop, pause: Pause, first: Work, second: Work) -> list[Any]:
    """Begin one thing until it pauses, then the other until that waits for the first."""
    one = asyncio.create_task(shop.run(first))
    await pause.reached.wait()
    other = asyncio.create_task(shop.run(second))
    async with asyncio.timeout(1.5):
        while not await shop.owner.fetchval(WAITING):
            assert not other.done()
            await asyncio.sleep(0.01)
    pause.go_on.set()
    return list(await asyncio.gather(one, other))


def held(pause: Pause, work: Work) -> Work:
    """Return the work, which pauses before it commits."""

    async def slowly(tx: Transaction) -> Any:
        found = await work(tx)
        await pause.here()
        return found

    return slowly


def midway(pause: Pause, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next correction pause when it has computed, and has booked nothing."""
    book = corrections._book

    async def slowly(*arguments: Any) -> None:
        if not pause.reached.is_set():
            await pause.here()
        await book(*arguments)

    monkeypatch.setattr(corrections, "_book", slowly)


@pytest.mark.parametrize("shop", [accounts()], indirect=True, ids=["all"])
async def test_two_at_one_group_have_the_effect_of_one_after_the_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    await begin(shop, accounts())

    for what in OPERATIONS:
        account = f"twin-{what}".replace(" ", "-")
        for one in ("correct calls", what):
            await shop.run(await shop.operation(account, one))
        for when in ("first", "midway", "held"):
            account = f"{when}-{what}".replace(" ", "-")
            correct = await shop.operation(account, "correct calls")
            other = await shop.operation(account, what)
            pause = Pause(reached=asyncio.Event(), go_on=asyncio.Event())
            if when == "first":
                await at_once(shop, pause, held(pause, other), correct)
            elif when == "held":
                await at_once(shop, pause, held(pause, correct), other)
            else:
                with monkeypatch.context() as patch:
                    midway(pause, patch)
                    await at_once(shop, pause, correct, other)
    await end(shop)

    twins = {what: await shop.figures(f"twin-{what}".replace(" ", "-")) for what in OPERATIONS}
    assert len(twins["record"]["billed"]) > 1
    assert twins["close"] == twins["correct calls"] != twins["record"] != twins["void"]
    for account in accounts():
        what = account.partition("-")[2].replace("-", " ")
        assert await shop.figures(account) == twins[what], account
        verified = await read(
            shop.pool,
            shop.tenant_id,
            lambda tx, id_=account: verify_account(tx, id_),
            snapshot=True,
        )
        assert verified.findings == ()


@pytest.mark.parametrize("shop", [["ann"]], indirect=True)
async def test_late_usage_that_waited_for_a_correction_has_a_job_of_its_own(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    await begin(shop, ["ann"])
    pause = Pause(reached=asyncio.Event(), go_on=asyncio.Event())
    midway(pause, monkeypatch)
    works = [await shop.operation("ann", one) for one in ("correct calls", "record")]

    _, [outcome] = await at_once(shop, pause, *works)

    calls = await shop.wallet("ann", "calls")
    pending = "SELECT wallet_id, start_time, cause FROM pending_corrections"
    assert [tuple(row) for row in await shop.owner.fetch(pending)] == [
        (calls, moment("2024-01-01"), "LATE")
    ]
    assert outcome.code == "LATE"
    waiting = await shop.owner.fetch(
        "SELECT job_id, payload ->> 'wallet_id' AS wallet FROM jobs"
        " WHERE kind = 'correct_usage' AND state = 'PENDING' ORDER BY create_time"
    )
    # Those of both wallets, of which the correction took everything, and one that has work to do.
    assert waiting[-1]["wallet"] == str(calls)
    assert waiting[-1]["job_id"] == derive(calls, "correct", 1)
    assert len(waiting) == 3
    await end(shop)


@pytest.mark.parametrize("shop", [["ann", "bob"]], indirect=True)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_happens_at_once_nothing_is_lost(shop: Shop, seed: int):
    """Senders, voids, corrections and closes meet as they may, many times."""
    account, twin = "ann", "bob"
    await begin(shop, [account, twin])
    chance = random.Random(seed)

    def works(name: str) -> list[Work]:
        chosen = random.Random(seed)
        found: list[Work] = []
        for number in range(30):
            at = f"2024-0{chosen.randint(1, 2)}-{chosen.randint(1, 28):02}"
            resource = chosen.choice(["calls", "minutes"])
            one = shop.usage(name, f"x{number}", resource, at, chosen.randint(1, 9))
            found.append(lambda tx, one=one: record(tx, RecordUsage(records=(one,))))
        return found

    for work in works(twin):
        await shop.run(work)
    await shop.run(await shop.operation(twin, "void"))
    mixed = works(account) + [
        await shop.operation(account, what)
        for what in (*OPERATIONS * 3, "void")
        if what != "record"
    ]
    chance.shuffle(mixed)
    for start in range(0, len(mixed), 5):
        await asyncio.gather(*(shop.run(work) for work in mixed[start : start + 5]))
    await end(shop)

    assert await shop.figures(account) == await shop.figures(twin)


@pytest.mark.parametrize("shop", [["ann", "bob"]], indirect=True)
async def test_a_correction_that_fails_holds_up_only_its_account_until_it_is_in_quarantine(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    await begin(shop, ["ann", "bob"])
    await shop.run(await shop.operation("bob", "correct calls"))
    await shop.owner.execute("UPDATE jobs SET available_time = NULL")
    pauses = []
    with monkeypatch.context() as patch:
        patch.setattr(slices, "correction", broken)
        await shop.run_slowly()
        # The close of March comes after the correction.
        await shop.move("2024-04-10")
        await shop.run_slowly()
        # Each time its pause is over, until it is given up.
        while (left := await shop.owner.fetchval(PAUSE)) is not None:
            pauses.append(left.total_seconds())
            assert await shop.march() == {("ann", "OPEN"), ("bob", "FINAL")}
            await shop.owner.execute("UPDATE jobs SET available_time = NULL")
            await shop.run_slowly()
    quarantined = await shop.owner.fetchval(
        "SELECT count(*) FROM jobs WHERE state = 'QUARANTINED' AND kind = 'correct_usage'"
    )
    # Then closes go on, without what the correction would have changed.
    states = await shop.march()
    for [job_id] in await shop.owner.fetch("SELECT job_id FROM jobs WHERE state = 'QUARANTINED'"):
        assert await shop.run(lambda tx, job_id=job_id: jobs.retry(tx, job_id))
    await end(shop)

    assert quarantined == 2
    assert len(pauses) > 3
    assert sum(pauses) < 60
    assert states == {("ann", "FINAL"), ("bob", "FINAL")}
    assert await shop.figures("ann") == await shop.figures("bob")
