"""Recording against plain COPY of the same rows, by their owner, into a table of the same shape."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import consumption_service_pb2 as consumption

from tests.bench.stack import Stack, world
from tests.stories.words import line, usage
from tests.stories.world import World

BATCH = 1000
AT_ONCE = 3
START = datetime(2024, 1, 1, tzinfo=UTC)
COLUMNS = (
    "tenant_id",
    "account_id",
    "record_id",
    "usage_summary_id",
    "asset_id",
    "usage_resource_id",
    "quantity",
    "unit_of_measure_id",
    "counted_quantity",
    "usage_time",
    "content_hash",
)
Batch = list[consumption.UsageRecordInput]


async def recording(stack: Stack, batches: int, accounts: int) -> list[dict[str, Any]]:
    """(a) one account a batch, (b) a batch spread over many accounts."""
    async with world(stack) as tenant:
        owned = await _assets(tenant, accounts)
        rows = []
        for name, some in (("(a) one account a batch", owned[:1]), ("(b) many accounts", owned)):
            wanted = _batches(name, some, batches)
            ours = await _record(tenant, wanted)
            theirs = await _copy(stack.dsn, wanted)
            rows.append(
                {
                    "what": f"recording {name}",
                    "value": ours,
                    "unit": "records/s",
                    "yardstick": "COPY",
                    "yardstick_value": theirs,
                    "ratio": ours / theirs,
                    "target": "≥ 20 %" + (", ≥ 30,000/s" if name.startswith("(a)") else ""),
                    "accounts": len(some),
                    "server_mebibytes": round(stack.server_mebibytes()),
                }
            )
    return rows


async def _assets(tenant: World, wanted: int) -> list[assets.Asset]:
    slots = asyncio.Semaphore(8)

    async def one(number: int) -> assets.Asset:
        async with slots:
            account = await tenant.account(f"recorder-{number}")
            [asset] = await tenant.sell(account, line("bench", "2024-01-01"))
            return asset

    return list(await asyncio.gather(*(one(number) for number in range(wanted))))


def _batches(name: str, owned: list[assets.Asset], count: int) -> list[Batch]:
    """Batches of records over two weeks, each record of the next asset in turn."""
    return [
        [
            usage(
                owned[(batch * BATCH + number) % len(owned)],
                "calls",
                START + timedelta(seconds=(batch * BATCH + number) % 1_200_000),
                number % 97 + 1,
                f"{name[1]}-{batch}-{number}",
            )
            for number in range(BATCH)
        ]
        for batch in range(count)
    ]


async def _record(tenant: World, wanted: list[Batch]) -> float:
    waiting = iter(wanted)

    async def one() -> None:
        for batch in waiting:
            outcomes = await tenant.record(batch)
            assert all(o.code == consumption.RecordOutcome.ACCEPTED for o in outcomes), outcomes[0]

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return len(wanted) * BATCH / (time.perf_counter() - started)


async def _copy(dsn: str, wanted: list[Batch]) -> float:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("DROP TABLE IF EXISTS copied")
        await connection.execute("CREATE TABLE copied (LIKE usage_records INCLUDING ALL)")
        tenant = await connection.fetchval("SELECT tenant_id FROM tenants LIMIT 1")
        copies = [[_row(tenant, one) for one in batch] for batch in wanted]
        started = time.perf_counter()
        for rows in copies:
            await connection.copy_records_to_table("copied", records=rows, columns=COLUMNS)
        return len(wanted) * BATCH / (time.perf_counter() - started)
    finally:
        await connection.close()


def _row(tenant: Any, one: consumption.UsageRecordInput) -> tuple[Any, ...]:
    _, account, _, asset = one.asset.split("/")
    quantity = Decimal(one.quantity.value)
    at = one.usage_time.ToDatetime(tzinfo=UTC)
    resource = one.usage_resource.split("/")[1]
    return (
        tenant, account, one.record_id, asset, asset, resource, quantity, "calls-unit", quantity,
        at, b"0" * 32,
    )  # fmt: skip
