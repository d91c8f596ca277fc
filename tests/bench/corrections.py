"""The work of a correction, and reads of a wallet that waits for one.

The account has daily usage, on a stack of its own: the clock moves by years.
"""

import statistics
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import grpc
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import wallet_service_pb2 as wallets

from server.app import tune_garbage_collector
from server.domain.ids import AccountId, RecordId, TenantId, WalletId
from server.store.connection import Transaction
from server.store.pool import open_pool
from server.store.shares import SharedPool
from server.store.transaction import transact
from server.usecases.billing.corrections import CorrectUsage, correct_usage
from server.usecases.intake.voiding import VoidUsage, void
from tests.bench.lookups import method
from tests.bench.stack import Stack, stack, world
from tests.logins import as_service
from tests.stories.words import Metered, line, usage
from tests.stories.world import World

ACCOUNT = AccountId("late")
FIRST_YEAR = 2024
READS, ROUNDS = 100, 15
PLAN = Metered(
    resource="calls",
    grant="100",
    refresh="MONTH",
    max_rollovers=1,
    tiers=(("0", "50", "0.333"), ("50", None, "0.2")),
)
PEND = "INSERT INTO pending_corrections VALUES ($1, $2, $3, $4, 'LATE')"
SETTLE = "DELETE FROM pending_corrections"


class _UndoneError(Exception):
    """Ends a transaction whose effects are not wanted."""


async def corrections(months: int) -> list[dict[str, Any]]:
    """Rows for an account with so many final months, at least 13."""
    async with stack() as running:
        async with world(running) as tenant:
            wallet = await _used(tenant, months)
        owner = await asyncpg.connect(running.dsn)
        pool = await open_pool(as_service(running.dsn), size=2)
        try:
            await owner.execute("ANALYZE")
            # As in a worker, which corrects.
            tune_garbage_collector()
            return await _measure(running, owner, pool, wallet, months)
        finally:
            await pool.close()
            await owner.close()


async def _used(tenant: World, months: int) -> wallets.Wallet:
    """Sell a plan, and use it on every day of some months, which become final."""
    await tenant.product("late", PLAN)
    account = await tenant.account(ACCOUNT)
    [asset] = await tenant.sell(account, line("late", f"{FIRST_YEAR}-01-01"))
    for number in range(months):
        await tenant.advance(_start(number + 1))
        await tenant.record(_daily(asset, number))
    await tenant.advance(_start(months).replace(day=10))
    return await tenant.wallet(account, "calls")


def _daily(asset: assets.Asset, number: int) -> list[Any]:
    start = _start(number)
    days = (_start(number + 1) - start).days
    return [
        usage(asset, "calls", start.replace(day=day), 3 + day % 5, f"{start.date()}-{day}")
        for day in range(1, days + 1)
    ]


def _start(number: int) -> datetime:
    return datetime(FIRST_YEAR + number // 12, number % 12 + 1, 1, tzinfo=UTC)


async def _measure(
    running: Stack,
    owner: asyncpg.Connection,
    pool: SharedPool,
    wallet: wallets.Wallet,
    months: int,
) -> list[dict[str, Any]]:
    tenant_id = TenantId(await owner.fetchval("SELECT tenant_id FROM tenants WHERE id = 'bench'"))
    wallet_id = WalletId(await owner.fetchval("SELECT wallet_id FROM wallets LIMIT 1"))
    usual = await _read(running, wallet)
    rows = [_row("wallet read, nothing pending", usual, usual, "–")]
    for back, target in ((1, "< 200 %"), (12, "< 30 ms"), (months, "–")):
        await owner.execute(PEND, tenant_id, ACCOUNT, wallet_id, _start(months - back))
        took = await _read(running, wallet)
        await owner.execute(SETTLE)
        rows.append(_row(f"wallet read, {back} months back pending", took, usual, target))
    for back in (1, 12, months):
        first = _start(months - back).date()
        took = await _correct(pool, tenant_id, wallet_id, first)
        rows.append(_row(f"correction from {back} months back", took, usual, "< 50 ms"))
    return rows


async def _read(running: Stack, wallet: wallets.Wallet) -> float:
    """The median of the milliseconds of a read."""
    request = wallets.GetWalletRequest(name=wallet.name)
    path = "/usage_management.v1.WalletService/GetWallet"
    took = []
    async with grpc.aio.insecure_channel(running.address) as channel:
        get = method(channel, path, wallets.GetWalletRequest, wallets.Wallet, running.key)
        for _ in range(READS):
            started = time.perf_counter()
            answer = await get(request)
            took.append((time.perf_counter() - started) * 1000)
            # What is pending changes nothing, as no usage came.
            assert Decimal(answer.balance.value) == Decimal(wallet.balance.value)
    return statistics.median(took)


async def _correct(
    pool: SharedPool, tenant_id: TenantId, wallet_id: WalletId, month: date
) -> float:
    """The median of the milliseconds of a correction after a record of a month is voided."""
    took: list[float] = []
    record = (ACCOUNT, RecordId(f"{month}-7"))

    async def work(tx: Transaction) -> None:
        await void(tx, VoidUsage(records=(record,), reason=""))
        started = time.perf_counter()
        await correct_usage(tx, CorrectUsage(account_id=ACCOUNT, wallet_id=wallet_id))
        took.append((time.perf_counter() - started) * 1000)
        booked = await tx.fetchval("SELECT count(*) FROM corrections")
        assert booked == 1, booked
        raise _UndoneError

    for _ in range(ROUNDS):
        try:
            await transact(pool, tenant_id, work)
        except _UndoneError:
            continue
    return statistics.median(took)


def _row(what: str, value: float, usual: float, target: str) -> dict[str, Any]:
    return {
        "what": what,
        "value": value,
        "unit": "ms",
        "yardstick": "usual wallet read, ms",
        "yardstick_value": usual,
        "ratio": value / usual,
        "target": target,
    }
