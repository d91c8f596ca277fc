"""Two at one settlement group at once: one effect, nothing lost, the figures of one after the other.

Calls and minutes cost tokens of one wallet. Each case has an account of its own.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from usage_management.v1 import asset_service_pb2 as assets

from clients import UsageClient
from server.domain.consumption.recording import Usage
from server.domain.ids import (
    AccountId,
    AssetId,
    RecordId,
    ResourceId,
    TenantId,
    UnitId,
    WalletId,
    derive,
)
from server.store import jobs
from server.store.connection import Transaction
from server.store.pool import open_pool
from server.store.shares import SharedPool
from server.store.transaction import finish_commits, read, transact
from server.usecases.access.tenants import tenant_id_of
from server.usecases.billing import corrections
from server.usecases.billing.closing import ClosePeriod, close_period
from server.usecases.billing.corrections import CorrectUsage, correct_usage
from server.usecases.billing.verification import verify_account
from server.usecases.intake.recording import RecordUsage, record
from server.usecases.intake.voiding import VoidUsage, void
from tests.logins import as_service
from tests.service import add_tenant, serving
from tests.stories.token_words import Credits, described, set_up
from tests.stories.words import line, moment
from tests.stories.world import World
from workers.run import run_job
from workers.tasks.registry import TASKS

Work = Callable[[Transaction], Awaitable[Any]]

WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
MOVE = "UPDATE tenants SET clock_time = $1 WHERE tenant_id = $2"
UNCARED_FOR = """
SELECT count(*) FROM pending_corrections AS p
 WHERE NOT EXISTS (SELECT FROM jobs AS j
                    WHERE j.tenant_id = p.tenant_id AND j.account_id = p.account_id
                      AND j.kind = 'correct_usage' AND j.state = 'PENDING'
                      AND j.payload ->> 'wallet_id' = p.wallet_id::text)
"""
OPERATIONS = ("correct calls", "correct minutes", "close", "record", "void")


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A tenant in March, its accounts with final Januaries and usage in February."""

    pool: SharedPool
    owner: asyncpg.Connection
    tenant_id: TenantId
    sold: dict[str, AssetId]

    async def run(self, work: Work) -> Any:
        return await transact(self.pool, self.tenant_id, work)

    async def wallet(self, account: str, resource: str) -> WalletId:
        query = "SELECT wallet_id FROM wallets WHERE account_id = $1 AND usage_resource_id = $2"
        return WalletId(await self.owner.fetchval(query, account, resource))

    def usage(self, account: str, name: str, resource: str, at: str, quantity: int) -> Usage:
        return Usage(
            AccountId(account),
            RecordId(name),
            self.sold[account],
            ResourceId(resource),
            Decimal(quantity),
            UnitId(""),
            moment(at),
            None,
        )

    async def operation(self, account: str, what: str) -> Work:
        """Return one of the things that may happen at once with a correction."""
        account_id, [kind, *of] = AccountId(account), what.split()
        wallet_id = await self.wallet(account, *(of or ["calls"]))
        if kind == "correct":
            correct = CorrectUsage(account_id=account_id, wallet_id=wallet_id)
            return lambda tx: correct_usage(tx, correct)
        if kind == "close":
            start = moment("2024-02-01")
            close = ClosePeriod(account_id=account_id, wallet_id=wallet_id, start=start)
            return lambda tx: close_period(tx, close)
        if kind == "void":
            voiding = VoidUsage(records=((account_id, RecordId("in time")),), reason="")
            return lambda tx: void(tx, voiding)
        late = self.usage(account, "later", "calls", "2024-01-20", 31)
        return lambda tx: record(tx, RecordUsage(records=(late,)))

    async def run_due(self) -> None:
        """Run due jobs, two at a time, until none is left."""

        async def claim(tx: Transaction) -> list[jobs.Claim]:
            return await jobs.claim(tx, kinds=TASKS, at_most=2)

        while claims := await self.run(claim):
            done = [run_job(self.pool, TASKS, self.tenant_id, one) for one in claims]
            assert all(await asyncio.gather(*done))

    async def move(self, to: str) -> None:
        await self.owner.execute(MOVE, moment(to), self.tenant_id)

    async def figures(self, account: str) -> dict[str, list[tuple[Any, ...]]]:
        return {
            name: [tuple(row) for row in await self.owner.fetch(query, account)]
            for name, query in FIGURES.items()
        }


FIGURES = {
    "balances": """
        SELECT w.usage_resource_id, w.balance, g.start_time, g.balance AS left_of_it
          FROM wallets AS w LEFT JOIN grants AS g USING (tenant_id, account_id, wallet_id)
         WHERE w.account_id = $1 AND g.balance IS DISTINCT FROM 0 ORDER BY 1, 2, 3, 4""",
    "rated": """
        SELECT usage_resource_id, origin_start_time, sum(used_quantity) AS used,
               sum(drawn_quantity) AS drawn, sum(amount) AS amount
          FROM ratable_summaries WHERE account_id = $1 GROUP BY 1, 2 ORDER BY 1, 2""",
    "billed": """
        SELECT usage_resource_id, origin_start_time, sum(exact_amount) AS exact,
               sum(amount) AS amount
          FROM liable_summaries WHERE account_id = $1 GROUP BY 1, 2
        HAVING sum(amount) <> 0 ORDER BY 1, 2""",
}


def accounts() -> list[str]:
    found = [f"{when} {what}" for when in ("twin", "first", "midway", "held") for what in OPERATIONS]
    return [one.replace(" ", "-") for one in found]


@pytest.fixture
async def shop(database: str, request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    sold: dict[str, assets.Asset] = {}
    async with serving(database) as service:
        name, key = await add_tenant(service, moment("2024-01-20"))
        async with UsageClient(service.address, key) as client:
            world = World(client)
            text = described(
                "plan", {"calls": "2", "minutes": "3"}, Credits(price="0.2", grant="100", refresh=True)
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


async def begin(shop: Shop, names: list[str]) -> None:
    """Usage of January and February, and in March some of January that is late."""

    async def send(clock: str, *records: tuple[str, str, str, int]) -> None:
        await shop.move(clock)
        await shop.run_due()
        for account in names:
            found = tuple(shop.usage(account, *one) for one in records)
            outcomes = await shop.run(lambda tx, found=found: record(tx, RecordUsage(records=found)))
            assert not any(one.error for one in outcomes), outcomes

    await send(
        "2024-01-20",
        ("in time", "calls", "2024-01-10", 15),
        ("m", "minutes", "2024-01-11", 10),
    )
    await send("2024-02-10", ("a", "calls", "2024-02-05", 60), ("b", "minutes", "2024-02-06", 5))
    # The closes of February are due, and nobody does them yet.
    await shop.move("2024-03-10")
    await shop.owner.execute("UPDATE jobs SET available_time = now() + interval '1 hour'")
    late = (("l", "calls", "2024-01-12", 9), ("lm", "minutes", "2024-01-12", 4))
    for account in names:
        found = tuple(shop.usage(account, *one) for one in late)
        await shop.run(lambda tx, found=found: record(tx, RecordUsage(records=found)))


async def end(shop: Shop) -> None:
    """Do everything that is due by May, and see that nothing was left or failed."""
    assert await shop.owner.fetchval(UNCARED_FOR) == 0
    await shop.owner.execute("UPDATE jobs SET available_time = NULL")
    for clock in ("2024-03-10", "2024-05-10"):
        await shop.move(clock)
        await shop.run_due()
    assert await shop.owner.fetchval("SELECT count(*) FROM pending_corrections") == 0
    late = "SELECT count(*) FROM jobs WHERE state <> 'DONE' AND fire_time <= '2024-05-10'"
    assert await shop.owner.fetchval(late) == 0
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await shop.owner.fetchval(deadlocks) == 0


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
            shop.pool, shop.tenant_id, lambda tx, id_=account: verify_account(tx, id_), snapshot=True
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
        await shop.operation(account, what) for what in (*OPERATIONS * 3, "void") if what != "record"
    ]
    chance.shuffle(mixed)
    for start in range(0, len(mixed), 5):
        await asyncio.gather(*(shop.run(work) for work in mixed[start : start + 5]))
    await end(shop)

    assert await shop.figures(account) == await shop.figures(twin)
