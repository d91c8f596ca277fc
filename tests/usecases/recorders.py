"""Accounts that were sold a phone, written by SQL alone, and what is recorded of their calls."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from server.domain.consumption.recording import Outcome, Usage
from server.domain.errors import UsageError
from server.domain.ids import AccountId, AssetId, RecordId, ResourceId, TenantId, UnitId, derive
from server.store.transaction import transact
from server.usecases.intake.recording import RecordUsage, record

TENANT = TenantId(UUID(int=1))
ACME = AccountId("acme")
CALLS = ResourceId("calls")
NOW = datetime(2024, 3, 2, 12, tzinfo=UTC)
JANUARY = datetime(2024, 1, 1, tzinfo=UTC)
FEBRUARY = datetime(2024, 2, 1, tzinfo=UTC)
MARCH = datetime(2024, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

CATALOG = """
INSERT INTO tenants (tenant_id, id, clock_start_time, clock_time) VALUES ($1, 't', $2, $2);
INSERT INTO unit_classes (tenant_id, unit_class_id, kind, state) VALUES
    ($1, 'count', 'USAGE', 'ACTIVE'), ($1, 'mass', 'USAGE', 'ACTIVE');
INSERT INTO units_of_measure (tenant_id, unit_of_measure_id, unit_class_id, factor, scale,
                              state) VALUES
    ($1, 'each', 'count', 1, 3, 'ACTIVE'), ($1, 'dozen', 'count', 12, 0, 'ACTIVE'),
    ($1, 'gross', 'count', 144, 0, 'INACTIVE'), ($1, 'gram', 'mass', 1, 0, 'ACTIVE');
INSERT INTO usage_resources (tenant_id, usage_resource_id, category, unit_class_id) VALUES
    ($1, 'calls', 'USAGE', 'count');
INSERT INTO products (tenant_id, product_id, usage_model_type) VALUES ($1, 'phone', 'ANCHOR');
INSERT INTO price_books (tenant_id, price_book_id) VALUES ($1, 'list');
"""
SALE = """
INSERT INTO account_codes (tenant_id, folded, account_id) VALUES ($1, lower($2), $2);
INSERT INTO accounts (tenant_id, account_id, time_zone, currency_code, billing_anchor_day)
    VALUES ($1, $2, 'UTC', 'USD', 1);
INSERT INTO quotes (tenant_id, account_id, quote_id, state, price_book_id, currency_code)
    VALUES ($1, $2, $3, 'ORDERED', 'list', 'USD');
INSERT INTO orders (tenant_id, account_id, order_id, quote_id, state, price_book_id, currency_code)
    VALUES ($1, $2, $3, $3, 'ACTIVE', 'list', 'USD');
INSERT INTO order_lines (tenant_id, account_id, order_id, position, asset_id, product_id, quantity,
                         start_date, binding, resources)
    VALUES ($1, $2, $3, 1, $4, 'phone', 1, '2024-01-01', 'ASSET', '[]');
INSERT INTO assets (tenant_id, account_id, asset_id, line_version, number, product_id, quantity,
                    start_date)
    VALUES ($1, $2, $4, 1, 1, 'phone', 1, '2024-01-01');
INSERT INTO entitlement_accounts (tenant_id, account_id, entitlement_account_id, target_kind,
                                  target_id, time_zone, currency_code, anchor_date,
                                  start_date)
    VALUES ($1, $2, $3, 'ASSET', '', 'UTC', 'USD', '2024-01-01', '2024-01-01');
INSERT INTO wallets (tenant_id, account_id, wallet_id, entitlement_account_id, usage_resource_id,
                     unit_of_measure_id, aggregation_method, aggregation_period,
                     aggregation_combine, rating_period, waiting_days, late_policy, drawdown_order)
    VALUES ($1, $2, $5, $3, 'calls', 'each', 'SUM', 'DAY', 'TOTAL', 'MONTH', 3, $6,
            'EXPIRING_FIRST');
INSERT INTO asset_resources (tenant_id, account_id, asset_id, usage_resource_id, wallet_id,
                             overage, start_time, policies, is_fixed)
    VALUES ($1, $2, $4, 'calls', $5, 'CHARGE', '2024-01-01T00:00Z', '{}', false);
"""


async def run(connection: Any, script: str, *values: object) -> None:
    """Run statements one by one, each with those of the values it names."""
    for statement in filter(str.strip, script.split(";")):
        used = [n for n in range(1, len(values) + 1) if f"${n}" in statement]
        for place, n in enumerate(used, 1):
            statement = statement.replace(f"${n}", f"${place}")  # noqa: PLW2901
        await connection.execute(statement, *(values[n - 1] for n in used))


def asset_of(account: str) -> AssetId:
    return AssetId(derive(UUID(int=2), account, "asset"))


def wallet_of(account: str) -> UUID:
    return derive(UUID(int=2), account, "wallet")


async def sell(owner: Any, account: str, late_policy: str = "NEXT_PERIOD") -> None:
    order = derive(UUID(int=2), account, "order")
    ids = (TENANT, account, order, asset_of(account), wallet_of(account), late_policy)
    await run(owner, SALE, *ids)


def usage(
    name: object = "r",
    quantity: int | str = 1,
    time: datetime = NOW - HOUR,
    **more: Any,
) -> Usage:
    account = AccountId(more.get("account", "acme"))
    return Usage(
        account,
        RecordId(str(name)),
        more.get("asset", asset_of(account)),
        ResourceId(more.get("resource", "calls")),
        Decimal(quantity),
        UnitId(more.get("unit", "")),
        time,
        more.get("labels"),
    )


async def send(pool: asyncpg.Pool, *items: Usage | UsageError) -> list[Outcome]:
    command = RecordUsage(records=items)
    return list(await transact(pool, TENANT, lambda tx: record(tx, command)))


async def codes(pool: asyncpg.Pool, *items: Usage | UsageError) -> list[str]:
    return [outcome.code.value for outcome in await send(pool, *items)]


async def reason(pool: asyncpg.Pool, item: Usage) -> str:
    [outcome] = await send(pool, item)
    assert outcome.error is not None, outcome
    return outcome.error.reason


CELLS = """
SELECT account_id, start_time, period_start_time, record_count, sum_quantity, max_quantity,
       min_quantity, last_quantity, last_time, last_record_id
  FROM usage_summaries ORDER BY account_id, start_time, usage_summary_id
"""
RECOUNTED = """
SELECT s.account_id, s.start_time, s.period_start_time, count(*),
       sum(r.counted_quantity), max(r.counted_quantity), min(r.counted_quantity),
       (array_agg(r.counted_quantity ORDER BY r.usage_time DESC, r.record_id DESC))[1],
       max(r.usage_time),
       (array_agg(r.record_id::text ORDER BY r.usage_time DESC, r.record_id DESC))[1]
  FROM usage_records AS r
  JOIN usage_summaries AS s USING (tenant_id, account_id, usage_summary_id)
 WHERE r.usage_time >= s.start_time AND r.usage_time < s.end_time
 GROUP BY s.tenant_id, s.account_id, s.usage_summary_id
 ORDER BY s.account_id, s.start_time, s.usage_summary_id
"""
CLOSE = """
INSERT INTO rating_periods (tenant_id, account_id, wallet_id, start_time, end_time, freeze_time,
                            state)
VALUES ($1, $2, $3, $4, $5, $5, 'FINAL')
    ON CONFLICT (tenant_id, account_id, wallet_id, start_time) DO UPDATE SET state = 'FINAL'
"""


async def cells(owner) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await owner.fetch(CELLS)]


async def recounted(owner) -> list[tuple[Any, ...]]:
    """The cells as their records say they must be."""
    return [tuple(row) for row in await owner.fetch(RECOUNTED)]


async def close(owner, *starts: datetime, account: str = "acme") -> None:
    for start in starts:
        end = (start + timedelta(days=31)).replace(day=1)
        await owner.execute(CLOSE, TENANT, account, wallet_of(account), start, end)


def many(count: int, accounts: Iterable[str] = ("acme",), seed: int = 1) -> list[Usage]:
    """Records over two months, a few of them with labels."""
    chance = random.Random(seed)
    names = list(accounts)
    return [
        usage(
            f"r{number}",
            chance.randint(1, 9),
            NOW - timedelta(minutes=chance.randint(0, 60 * 24 * 40)),
            account=names[number % len(names)],
            labels={"n": str(number)} if number % 5 == 0 else None,
        )
        for number in range(count)
    ]
