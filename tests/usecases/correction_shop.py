"""A tenant whose accounts wait for corrections: calls and minutes cost tokens of one wallet."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import asyncpg

from server.domain.consumption.recording import Usage
from server.domain.ids import (
    AccountId,
    AssetId,
    RecordId,
    ResourceId,
    TenantId,
    UnitId,
    WalletId,
)
from server.store import jobs
from server.store.connection import Transaction
from server.store.shares import SharedPool
from server.store.transaction import transact
from server.usecases.billing.closing import ClosePeriod, close_period
from server.usecases.billing.corrections import CorrectUsage, correct_usage
from server.usecases.intake.recording import RecordUsage, record
from server.usecases.intake.voiding import VoidUsage, void
from tests.stories.words import moment
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
UNDONE = """
SELECT account_id, kind, state, fire_time, error FROM jobs
 WHERE state <> 'DONE' AND fire_time <= '2024-05-10'
"""
MARCH = "SELECT account_id, state FROM rating_periods WHERE start_time = '2024-03-01'"
PAUSE = """
SELECT max(available_time - clock_timestamp()) FROM jobs
 WHERE kind = 'correct_usage' AND state = 'PENDING'
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

    async def run_slowly(self) -> None:
        """Run what is due, one by one; it may fail."""
        idle = 0
        # A claim that puts a job in quarantine is none, and others may be due after it.
        while idle < 3:
            claims = await self.run(lambda tx: jobs.claim(tx, kinds=TASKS, at_most=1))
            idle = 0 if claims else idle + 1
            for one in claims:
                await run_job(self.pool, TASKS, self.tenant_id, one)

    async def march(self) -> set[tuple[str, str]]:
        """Return the accounts and the states of their Marches."""
        return {(row["account_id"], row["state"]) for row in await self.owner.fetch(MARCH)}

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


async def begin(shop: Shop, names: list[str]) -> None:
    """Usage of January and February, and in March some of January that is late."""

    async def send(clock: str, *records: tuple[str, str, str, int]) -> None:
        await shop.move(clock)
        await shop.run_due()
        for account in names:
            found = tuple(shop.usage(account, *one) for one in records)
            outcomes = await shop.run(
                lambda tx, found=found: record(tx, RecordUsage(records=found))
            )
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
    assert await shop.owner.fetch(UNDONE) == []
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await shop.owner.fetchval(deadlocks) == 0
