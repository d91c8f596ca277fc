"""A small catalog and an account, so that a story of selling can begin."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import asyncpg

from server.domain.ids import AccountId, PriceBookId, ProductId, ResourceId, TenantId
from server.domain.modeling.roles import Binding
from server.domain.selling.bindings import AskedBinding
from server.domain.selling.quoting import AskedLine
from server.domain.selling.sales import Order
from server.store.pool import open_pool
from server.store.transaction import finish_commits, read, transact
from server.usecases.selling import orders, quotes
from server.usecases.selling.orders import CreateOrder
from server.usecases.selling.quotes import CreateQuote
from tests.logins import as_service

TENANT = TenantId(UUID(int=0xA11CE))
ACME = AccountId("acme")
BOOK = PriceBookId("list")
PHONE = ProductId("phone")
SMS, STORAGE = ResourceId("sms"), ResourceId("storage")
JANUARY = datetime(2024, 1, 1, tzinfo=UTC)

# A phone plan: 4,000 SMS a month, 0.75 each beyond that; 10 GB once, free beyond that.
CATALOG = """
INSERT INTO unit_classes (tenant_id, unit_class_id, kind, default_unit_id, state)
VALUES ($1, 'messages', 'USAGE', 'MESSAGE', 'ACTIVE'), ($1, 'data', 'USAGE', 'GB', 'ACTIVE');
INSERT INTO units_of_measure (tenant_id, unit_of_measure_id, unit_class_id, factor, scale, state)
VALUES ($1, 'MESSAGE', 'messages', 1, 0, 'ACTIVE'), ($1, 'GB', 'data', 1, 3, 'ACTIVE'),
       ($1, 'TB', 'data', 1000, 3, 'ACTIVE');
INSERT INTO rating_frequency_policies
    (tenant_id, policy_id, period, waiting_days, late_policy, state)
VALUES ($1, 'monthly', 'MONTH', 3, 'NEXT_PERIOD', 'ACTIVE'),
       ($1, 'daily', 'DAY', 0, 'NEXT_PERIOD', 'ACTIVE');
INSERT INTO overage_policies (tenant_id, policy_id, overage, state)
VALUES ($1, 'free', 'FREE', 'ACTIVE');
INSERT INTO refresh_policies (tenant_id, policy_id, interval_unit, interval_count, state)
VALUES ($1, 'each-month', 'MONTH', 1, 'ACTIVE');
INSERT INTO rollover_policies (tenant_id, policy_id, max_rollovers, state)
VALUES ($1, 'once', 1, 'ACTIVE');
INSERT INTO usage_resources
    (tenant_id, usage_resource_id, category, unit_class_id, unit_of_measure_id,
     rating_frequency_policy_id, overage_policy_id, state)
VALUES ($1, 'sms', 'USAGE', 'messages', 'MESSAGE', 'monthly', NULL, 'ACTIVE'),
       ($1, 'storage', 'USAGE', 'data', 'GB', 'monthly', 'free', 'ACTIVE');
INSERT INTO products (tenant_id, product_id, usage_model_type, state)
VALUES ($1, 'phone', 'ANCHOR', 'ACTIVE'), ($1, 'pager', 'ANCHOR', 'ACTIVE');
INSERT INTO product_usage_resources (tenant_id, product_id, product_usage_resource_id,
                                     usage_resource_id, rating_frequency_policy_id, state)
VALUES ($1, 'phone', 'sms', 'sms', NULL, 'ACTIVE'),
       ($1, 'phone', 'storage', 'storage', NULL, 'ACTIVE'),
       ($1, 'pager', 'sms', 'sms', 'daily', 'ACTIVE');
INSERT INTO product_usage_grants (tenant_id, product_id, grant_id, product_usage_resource_id,
                                  quantity, unit_of_measure_id, refresh_policy_id,
                                  rollover_policy_id, state)
VALUES ($1, 'phone', 'texts', 'sms', 4000, NULL, 'each-month', 'once', 'ACTIVE'),
       ($1, 'phone', 'disk', 'storage', 0.01, 'TB', NULL, NULL, 'ACTIVE');
INSERT INTO rate_cards (tenant_id, rate_card_id, type) VALUES ($1, 'base', 'BASE');
INSERT INTO price_books (tenant_id, price_book_id) VALUES ($1, 'list');
INSERT INTO price_book_rate_cards (tenant_id, price_book_id, type, rate_card_id)
VALUES ($1, 'list', 'BASE', 'base');
INSERT INTO rate_card_entries (tenant_id, rate_card_id, entry_id, product_id, usage_resource_id,
                               rate_unit_id, rate_value, is_negotiable, start_date, state)
VALUES ($1, 'base', 'phone-sms', 'phone', 'sms', 'USD', 0.75, true, '2020-01-01', 'ACTIVE'),
       ($1, 'base', 'pager-sms', 'pager', 'sms', 'USD', 0.5, false, '2020-01-01', 'ACTIVE');
INSERT INTO account_codes (tenant_id, folded, account_id) VALUES ($1, 'acme', 'acme');
INSERT INTO accounts (tenant_id, account_id, time_zone, currency_code, billing_anchor_day)
VALUES ($1, 'acme', 'Europe/Berlin', 'USD', 1);
"""


@asynccontextmanager
async def shop(database: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool on a database with the catalog, one account, and a clock that stands at January."""
    pool = await open_pool(as_service(database), size=4)

    async def add(tx) -> None:
        await tx.execute(
            "INSERT INTO tenants (tenant_id, id, clock_start_time, clock_time)"
            " VALUES ($1, 'shop', '2020-01-01', $2)",
            TENANT,
            JANUARY,
        )
        for statement in CATALOG.split(";\n"):
            if statement.strip():
                await tx.execute(statement, TENANT)

    await transact(pool, TENANT, add)
    yield pool
    await finish_commits()
    await pool.close()


async def rows(pool: asyncpg.Pool, query: str, *arguments) -> list[tuple]:
    """Return the rows of a query, as tuples."""

    async def find(tx) -> list[tuple]:
        return [tuple(row) for row in await tx.fetch(query, *arguments)]

    return await read(pool, TENANT, find)


async def change(pool: asyncpg.Pool, statement: str, *arguments) -> None:
    """Change the catalog, or the clock."""
    await transact(pool, TENANT, lambda tx: tx.execute(statement, *arguments))


async def set_clock(pool: asyncpg.Pool, instant: datetime) -> None:
    """Move the tenant's clock."""
    await change(pool, "UPDATE tenants SET clock_time = $1", instant)


def line(
    product: str = PHONE,
    quantity: int = 1,
    start: date = date(2024, 1, 1),
    *,
    end: date | None = None,
    binding: Binding = Binding.SELF,
    negotiated=(),
) -> AskedLine:
    """A line of so many of a product."""
    return AskedLine(
        product_id=ProductId(product),
        quantity=Decimal(quantity),
        start_date=start,
        end_date=end,
        binding=AskedBinding(binding=binding),
        negotiated=tuple(negotiated),
    )


async def quote(pool: asyncpg.Pool, *lines: AskedLine):
    """A draft quote of the lines."""
    command = CreateQuote(account_id=ACME, price_book_id=BOOK, lines=lines)
    return await transact(pool, TENANT, lambda tx: quotes.create(tx, command))


async def order(pool: asyncpg.Pool, *lines: AskedLine) -> Order:
    """A draft order of the lines."""
    made = await quote(pool, *lines)
    command = CreateOrder(account_id=ACME, quote_id=made.id)
    return await transact(pool, TENANT, lambda tx: orders.create(tx, command))
