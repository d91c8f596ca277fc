"""Killed between late usage, its correction and the next close: the figures of an undisturbed twin.

The database is made to hold the program up where it is about to write, which is then killed.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

import asyncpg
import pytest
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import consumption_service_pb2 as consumption

from clients import UsageError
from server.domain.ids import AccountId, TenantId
from server.store.pool import open_pool
from server.store.transaction import read
from server.usecases.access.tenants import tenant_id_of
from server.usecases.billing.verification import verify_account
from tests.logins import as_service
from tests.processes.conftest import Program, Stack
from tests.stories.words import Metered, figure, line, moment, money, stamp, usage
from tests.stories.world import World

pytestmark = pytest.mark.timeout(120)

Outcome = consumption.RecordOutcome
KEPT = {Outcome.ACCEPTED, Outcome.LATE, Outcome.DUPLICATE}
RESOURCES = ("calls", "data")
END = "2024-10-10"

HELD_UP = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = $1::regclass"
# Transactions of the dead end a moment after it.
HAUNTING = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                  AND pid <> pg_backend_pid() AND xact_start < $1)
"""
# What a dead worker had claimed is free after a pause, which is left out.
FREE = "UPDATE jobs SET available_time = NULL WHERE tenant_id = $1 AND state = 'PENDING'"
KEPT_RECORDS = "SELECT count(*) FROM usage_records WHERE tenant_id = $1"
WAITING = """
SELECT EXISTS (SELECT FROM pending_corrections WHERE tenant_id = $1)
    OR EXISTS (SELECT FROM jobs AS j JOIN tenants AS t USING (tenant_id)
                WHERE tenant_id = $1 AND j.state <> 'DONE' AND j.fire_time <= t.clock_time)
"""


async def until(found: Callable[[], Awaitable[object]], *, is_: bool = True) -> None:
    """Ask until something is found, or is not found any more."""
    while True:
        if bool(await found()) is is_:
            return
        await asyncio.sleep(0.01)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Everything that is owed and left, without the order in which it came to be."""

    balances: tuple[object, ...]
    exact: dict[object, Decimal]
    billed: dict[object, Decimal]
    drawn: dict[object, Decimal]


@dataclass(kw_only=True)
class Account:
    """An account of a world, and the database beneath it."""

    world: World
    store: asyncpg.Connection
    tenant_id: TenantId
    asset: object
    sent: int = 0

    def usage(self, month: int, number: int = 3) -> list[consumption.UsageRecordInput]:
        """New usage of the first days of a month."""
        found = []
        for resource in RESOURCES:
            for _ in range(number):
                self.sent += 1
                at, quantity = f"2024-{month:02}-{self.sent % 8 + 1:02}", 3 + self.sent % 7
                found.append(usage(self.asset, resource, at, quantity, f"r{self.sent}"))
        return found

    async def send(self, records: Sequence[consumption.UsageRecordInput]) -> None:
        """Send records until they are acknowledged, as a collector does."""
        while True:
            try:
                outcomes = await self.world.record(records)
            except UsageError:
                await asyncio.sleep(0.05)
                continue
            assert {one.code for one in outcomes} <= KEPT
            return

    async def settled(self) -> None:
        """Wait until nothing is pending and no job is due."""
        async with asyncio.timeout(40):
            await until(lambda: self.store.fetchval(WAITING, self.tenant_id), is_=False)

    async def move(self, to: str) -> None:
        """Begin to move the clock."""
        target = access.AdvanceClockRequest(to_time=stamp(moment(to)))
        await self.world.client.access.AdvanceClock(target)

    async def moved(self, to: str) -> None:
        """Wait until the clock shows a time and everything due is done."""
        async with asyncio.timeout(40):
            while True:
                now = await self.store.fetchval(
                    "SELECT clock_time FROM tenants WHERE tenant_id = $1", self.tenant_id
                )
                if now >= moment(to):
                    break
                await asyncio.sleep(0.02)
        await self.settled()

    async def killed_at(self, table: str, program: Program, act: Callable[[], None]) -> None:
        """Kill a program when it is about to change a table; `act` lets it begin."""
        hold = self.store.transaction()
        await hold.start()
        await self.store.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        act()
        async with asyncio.timeout(20):
            await until(lambda: self.store.fetch(HELD_UP, table))
        program.kill()
        await hold.rollback()
        await self.forget()

    async def forget(self) -> None:
        """Wait until the dead one's transactions are over; its jobs are free at once."""
        killed = await self.store.fetchval("SELECT clock_timestamp()")
        async with asyncio.timeout(20):
            await until(lambda: self.store.fetchval(HAUNTING, killed), is_=False)
        await self.store.execute(FREE, self.tenant_id)

    async def figures(self) -> Figures:
        world, name = self.world, "accounts/ann"
        balances = []
        for resource in RESOURCES:
            wallet = await world.wallet(name, resource)
            balances.append((resource, figure(wallet.balance), figure(wallet.used_quantity)))
            for one in await world.grants(wallet):
                if figure(one.balance):
                    balances.append((resource, one.start_time.seconds, figure(one.balance)))
        exact, billed, drawn = (Counter[object]() for _ in range(3))
        for line_ in await world.ratable(name):
            key = line_.usage_resource, line_.origin_start_time.seconds
            exact[key] += figure(line_.amount)
            drawn[key] += figure(line_.drawn_quantity)
        for owed in await world.liable(name):
            billed[owed.usage_resource, owed.origin_start_time.seconds] += money(owed.amount)
        return Figures(balances=tuple(sorted(balances)), exact=+exact, billed=+billed, drawn=+drawn)


@asynccontextmanager
async def sold(stack: Stack, durable: str) -> AsyncIterator[Account]:
    """An account with usage in time; what leaves it is verified."""
    async with stack.world(moment("2024-01-15")) as world:
        metered = (
            Metered(
                resource=resource,
                grant="20",
                refresh="MONTH",
                max_rollovers=1,
                tiers=(("0", "30", "0.333"), ("30", None, "0.2")),
                late=late,
            )
            for resource, late in zip(RESOURCES, ("NEXT_PERIOD", "REOPEN"), strict=True)
        )
        await world.product("plan", *metered)
        [asset] = await world.sell(await world.account("ann"), line("plan", "2024-01-01"))
        tenant = await world.client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
        tenant_id = tenant_id_of(tenant.name.partition("/")[2])
        store = await asyncpg.connect(durable)
        try:
            account = Account(world=world, store=store, tenant_id=tenant_id, asset=asset)
            await account.send(account.usage(1))
            await account.move("2024-02-10")
            await account.moved("2024-02-10")
            yield account
        finally:
            await store.close()
        pool = await open_pool(as_service(durable), size=1)
        verified = await read(
            pool, tenant_id, lambda tx: verify_account(tx, AccountId("ann")), snapshot=True
        )
        await pool.close()
        assert verified.findings == ()
        assert verified.records == account.sent


Records = Sequence[consumption.UsageRecordInput]
Steps = Callable[[Account], Awaitable[None]]


async def played(stack: Stack, durable: str, steps: Steps) -> Figures:
    async with sold(stack, durable) as account:
        await steps(account)
        await account.settled()
        # What was left for the next bill is billed too.
        await account.move(END)
        await account.moved(END)
        return await account.figures()


async def month(
    account: Account,
    number: int,
    *,
    record: Callable[[Records], Awaitable[None]] | None = None,
    correct: Callable[[], Awaitable[None]] | None = None,
    close: Callable[[str], Awaitable[None]] | None = None,
) -> None:
    """Usage in time, usage late for the month before and for January, the next close."""
    await account.send(account.usage(number + 1))
    await (record or account.send)(account.usage(number) + account.usage(1, 1))
    await (correct or account.settled)()
    to = f"2024-{number + 2:02}-10"
    await (close or account.move)(to)
    await account.moved(to)


async def two_months(account: Account) -> None:
    await month(account, 1)
    await month(account, 2)


async def test_a_worker_killed_while_it_corrects_changes_no_figure(stack: Stack, durable: str):
    async def killed(account: Account) -> None:
        async def record(records: Records) -> None:
            stack.worker.kill()
            await account.forget()
            await account.send(records)

        async def correct() -> None:
            for table in ("wallets", "usage_summaries", "wallet_entries", "ratable_summaries"):
                await account.killed_at(table, stack.worker, stack.worker.start)
                assert await account.store.fetchval(WAITING, account.tenant_id)
            stack.worker.start()
            await account.settled()

        await month(account, 1, record=record, correct=correct)
        await month(account, 2)

    assert await played(stack, durable, killed) == await played(stack, durable, two_months)


async def test_a_worker_killed_in_the_close_that_follows_changes_no_figure(
    stack: Stack, durable: str
):
    """Usage that is late for two months comes while nobody works."""

    async def more(account: Account) -> None:
        await account.send(account.usage(1, 2) + account.usage(2, 1))

    async def plain(account: Account) -> None:
        await month(account, 1)
        await more(account)
        await month(account, 2)

    async def killed(account: Account) -> None:
        async def close(to: str) -> None:
            stack.worker.kill()
            await account.forget()
            await account.move(to)
            for table in ("rating_periods", "wallet_entries", "ratable_summaries"):
                await account.killed_at(table, stack.worker, stack.worker.start)
            await more(account)
            await account.killed_at("liable_summaries", stack.worker, stack.worker.start)
            stack.worker.start()

        await month(account, 1, close=close)
        await month(account, 2)

    assert await played(stack, durable, killed) == await played(stack, durable, plain)


async def test_a_server_killed_while_it_takes_late_usage_changes_no_figure(
    stack: Stack, durable: str
):
    async def killed(account: Account) -> None:
        async def record(records: Records) -> None:
            kept = await account.store.fetchval(KEPT_RECORDS, account.tenant_id)
            for table in ("usage_records", "pending_corrections", "jobs", "usage_summaries"):
                sending: list[asyncio.Task[None]] = []
                await account.killed_at(
                    table,
                    stack.server,
                    lambda to=sending: to.append(asyncio.create_task(account.send(records))),
                )
                assert sending[0].cancel()
                assert await account.store.fetchval(KEPT_RECORDS, account.tenant_id) == kept
                await stack.serve()
            await account.send(records)

        await month(account, 1, record=record)
        await month(account, 2)

    assert await played(stack, durable, killed) == await played(stack, durable, two_months)


async def test_both_killed_again_and_again_at_any_moment_change_no_figure(
    stack: Stack, durable: str
):
    def batches(account: Account) -> list[Records]:
        return [account.usage(number, 2) for number in range(1, 7) for _ in range(4)]

    async def begun(account: Account) -> list[Records]:
        for number in range(2, 7):
            await account.send(account.usage(number))
            await account.move(f"2024-{number + 1:02}-10")
            await account.moved(f"2024-{number + 1:02}-10")
        return batches(account)

    async def plain(account: Account) -> None:
        for batch in await begun(account):
            await account.send(batch)

    async def killed(account: Account) -> None:
        late = await begun(account)

        async def send(seed: int) -> None:
            for batch in random.Random(seed).sample(late, len(late)):
                await account.send(batch)

        senders = [asyncio.create_task(send(seed)) for seed in (1, 2)]
        chance = random.Random(3)
        for turn in range(6):
            await asyncio.sleep(chance.uniform(0.02, 0.5))
            if turn % 3:
                stack.worker.kill()
                stack.worker.start()
            else:
                stack.server.kill()
                await stack.serve()
            await account.forget()
        await asyncio.gather(*senders)
        await account.move("2024-08-10")
        stack.worker.kill()
        stack.worker.start()
        await account.forget()
        await account.moved("2024-08-10")

    assert await played(stack, durable, killed) == await played(stack, durable, plain)
