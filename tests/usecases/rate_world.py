"""A tenant with a product of two resources, and short words for its rates."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import asyncpg

from server.api import calls
from server.config import Config
from server.domain.calendar import PolicyPeriod, local_midnight
from server.domain.ids import CredentialId, RateEntryId, TenantId, UnitId
from server.domain.modeling.catalog import StoredRecord
from server.domain.modeling.policies import (
    AggregationMethod,
    AggregationPolicy,
    Combination,
    LatePolicy,
    OveragePolicy,
    RatingFrequency,
)
from server.domain.modeling.sold_policies import SoldPolicies, WalletPolicies
from server.domain.rating.rate_cards import PriceBook, RateCard, RateCardEntry, RateCardType
from server.domain.rating.rates import Adjustment, AdjustmentKind, Rate, RateTerms, Tier
from server.env import Env
from server.runtime.job_signal import JobSignal
from server.runtime.token_seal import TokenSeal
from server.store.connection import Transaction
from server.store.pool import open_pool
from server.store.rating.rate_documents import TERMS
from server.store.rating.rate_entries import RATE_ENTRY
from server.store.rating.rates import PRICE_BOOK, RATE_CARD
from server.store.selling.assets import POLICIES as SOLD_POLICIES
from server.store.transaction import finish_commits, read, transact
from server.usecases.modeling.records import create
from server.usecases.rating.rate_entries import check_entry
from server.usecases.rating.rates import check_book
from tests.logins import as_service
from tests.usecases.recorders import run

NOW = datetime(2024, 1, 15, 12, tzinfo=UTC)
TODAY = NOW.date()

CATALOG = (
    "INSERT INTO tenants (tenant_id, id, clock_start_time, clock_time) VALUES ($1, $2, $3, $3)",
    "INSERT INTO unit_classes (tenant_id, unit_class_id, kind, default_unit_id)"
    " VALUES ($1, 'count', 'USAGE', 'each')",
    "INSERT INTO units_of_measure (tenant_id, unit_of_measure_id, unit_class_id, scale)"
    " VALUES ($1, 'each', 'count', 0), ($1, 'cents', 'count', 2)",
    "INSERT INTO usage_resources (tenant_id, usage_resource_id, category, unit_class_id,"
    " unit_of_measure_id) VALUES ($1, 'sms', 'USAGE', 'count', NULL),"
    " ($1, 'data', 'USAGE', 'count', 'cents')",
    "INSERT INTO products (tenant_id, product_id, usage_model_type) VALUES ($1, 'plan', 'ANCHOR')",
    "INSERT INTO product_usage_resources (tenant_id, product_id, product_usage_resource_id,"
    " usage_resource_id) VALUES ($1, 'plan', 'sms', 'sms'), ($1, 'plan', 'data', 'data')",
)

SALE = """
INSERT INTO account_codes (tenant_id, folded, account_id) VALUES ($1, 'acme', 'acme');
INSERT INTO accounts (tenant_id, account_id, time_zone, currency_code, billing_anchor_day)
    VALUES ($1, 'acme', 'Asia/Tokyo', 'USD', 1);
INSERT INTO quotes (tenant_id, account_id, quote_id, state, price_book_id, currency_code)
    VALUES ($1, 'acme', $2, 'ORDERED', 'book', 'USD');
INSERT INTO orders (tenant_id, account_id, order_id, quote_id, state, price_book_id, currency_code)
    VALUES ($1, 'acme', $2, $2, 'ACTIVE', 'book', 'USD');
INSERT INTO order_lines (tenant_id, account_id, order_id, position, asset_id, product_id, quantity,
                         start_date, binding, resources)
    VALUES ($1, 'acme', $2, 1, $3, 'plan', 1, '2024-01-01', 'SELF', '[]');
INSERT INTO assets (tenant_id, account_id, asset_id, line_version, number, product_id, quantity,
                    start_date)
    VALUES ($1, 'acme', $3, 1, 1, 'plan', 1, '2024-01-01');
INSERT INTO entitlement_accounts (tenant_id, account_id, entitlement_account_id, target_kind,
                                  target_id, time_zone, currency_code, anchor_date,
                                  start_date)
    VALUES ($1, 'acme', $2, 'ASSET', '', 'Asia/Tokyo', 'USD', '2024-01-01', '2024-01-01');
INSERT INTO wallets (tenant_id, account_id, wallet_id, entitlement_account_id, usage_resource_id,
                     unit_of_measure_id, aggregation_method, aggregation_period,
                     aggregation_combine, rating_period, waiting_days, late_policy, drawdown_order)
    VALUES ($1, 'acme', $2, $2, 'sms', 'each', 'SUM', 'DAY', 'TOTAL', 'MONTH', 3, 'NEXT_PERIOD',
            'EXPIRING_FIRST');
INSERT INTO asset_resources (tenant_id, account_id, asset_id, usage_resource_id, wallet_id,
                             overage, start_time, policies, is_fixed)
    VALUES ($1, 'acme', $3, 'sms', $2, 'CHARGE', $4, $5, true);
INSERT INTO asset_rates (tenant_id, account_id, asset_rate_id, asset_id, usage_resource_id,
                         start_time, terms)
    VALUES ($1, 'acme', $2, $3, 'sms', $4, $6);
"""
POLICIES = SoldPolicies(
    wallet=WalletPolicies(
        unit_id=UnitId("each"),
        aggregation=AggregationPolicy(
            method=AggregationMethod.SUM, period=PolicyPeriod.DAY, combine=Combination.TOTAL
        ),
        rating=RatingFrequency(period=PolicyPeriod.MONTH),
        late=LatePolicy.NEXT_PERIOD,
    ),
    overage=OveragePolicy.CHARGE,
)


async def create_card(tx: Transaction, card: RateCard) -> StoredRecord[RateCard]:
    return await create(tx, RATE_CARD, card)


async def create_book(tx: Transaction, book: PriceBook) -> StoredRecord[PriceBook]:
    return await create(tx, PRICE_BOOK, await check_book(tx, book))


async def create_entry(tx: Transaction, wanted: RateCardEntry) -> StoredRecord[RateCardEntry]:
    return await create(tx, RATE_ENTRY, await check_entry(tx, wanted))


@dataclass(frozen=True)
class RateWorld:
    """The tenant, and the pool it is reached by."""

    pool: asyncpg.Pool
    tenant_id: TenantId

    async def do(self, work: Callable[..., Awaitable[Any]], *args: object, **more: object) -> Any:
        """Run a use case in a transaction of its own."""
        return await transact(self.pool, self.tenant_id, lambda tx: work(tx, *args, **more))

    async def revision(self) -> int:
        query = "SELECT catalog_revision FROM tenants"
        return await read(self.pool, self.tenant_id, lambda tx: tx.fetchval(query))

    async def book(self) -> None:
        """A book of a base card and a tier card."""
        for card in ("base", "tier"):
            await self.do(create_card, RateCard(id=card, type=RateCardType(card.upper())))
        await self.do(create_book, PriceBook(id="book", card_ids=("base", "tier")))

    async def activate(self) -> None:
        """Activate the product and its entries, as the activation of a product does."""

        async def work(tx: asyncpg.Connection) -> None:
            await tx.execute("UPDATE tenants SET catalog_revision = catalog_revision + 1")
            for table in ("usage_resources", "products", "product_usage_resources"):
                await tx.execute(f"UPDATE {table} SET state = 'ACTIVE' WHERE state = 'DRAFT'")
            await tx.execute(
                "UPDATE rate_card_entries SET state = 'ACTIVE', catalog_revision ="
                " (SELECT catalog_revision FROM tenants) WHERE state = 'DRAFT'"
            )

        await transact(self.pool, self.tenant_id, work)

    async def rate(self, value: str, **more: Any) -> None:
        """A base rate, in force at once."""
        await self.do(create_entry, entry(value, **more))
        await self.activate()


@asynccontextmanager
async def rate_world(database: str) -> AsyncIterator[RateWorld]:
    pool = await open_pool(as_service(database), size=4)
    try:
        yield RateWorld(pool, await add_tenant(pool))
    finally:
        await finish_commits()
        await pool.close()


async def add_tenant(pool: asyncpg.Pool) -> TenantId:
    tenant_id = TenantId(uuid4())

    async def work(tx: asyncpg.Connection) -> None:
        first, *rest = CATALOG
        await tx.execute(first, tenant_id, f"t-{tenant_id.hex[:8]}", NOW)
        for statement in rest:
            await tx.execute(statement, tenant_id)

    await transact(pool, tenant_id, work)
    return tenant_id


def begin_call(world: RateWorld) -> None:
    """Begin a call, as the interceptors do before a servicer's method."""
    calls.begin(
        calls.Caller(
            tenant_id=world.tenant_id,
            credential_id=CredentialId(uuid4()),
            permissions=frozenset(),
            method="",
            number=1,
            deadline=time.monotonic() + 10,
        )
    )


def env_of(world: RateWorld) -> Env:
    """Return the environment that a servicer's method needs."""
    config = Config(database_url="unused")
    return Env(world.pool, config, JobSignal.silent(), TokenSeal((bytes(32),)))


def entry(value: str | None = None, **more: Any) -> RateCardEntry:
    """A base entry when there is a value, else a tier entry."""
    currency = more.pop("currency", "USD")
    per = Decimal(more.pop("per", "1"))
    rate = None if value is None else Rate(value=Decimal(value), per=per, unit=currency)
    resource = more.pop("resource", "sms")
    return RateCardEntry(
        id=more.pop("id", f"{resource}-{currency}"),
        card_id=more.pop("card_id", "tier" if value is None else "base"),
        product_id=more.pop("product", "plan"),
        resource_id=resource,
        currency_code=currency,
        rate=rate,
        **more,
    )


def tier(lower: str, upper: str | None, value: str, kind: str = "OVERRIDE") -> Tier:
    return Tier(
        lower=Decimal(lower),
        upper=None if upper is None else Decimal(upper),
        adjustment=Adjustment(kind=AdjustmentKind(kind), value=Decimal(value)),
    )


async def sell(world: RateWorld, value: str, start: str = "2024-01-01") -> str:
    """An asset of `acme` in Tokyo, its SMS at this rate from local midnight on; its name."""
    asset_id = uuid4()
    since = local_midnight("Asia/Tokyo", date.fromisoformat(start))
    rate = Rate(value=Decimal(value), unit=UnitId("USD"))
    terms = TERMS.encode(RateTerms(unit=UnitId("USD"), rate=rate, base_entry=RateEntryId("base/x")))
    policies = SOLD_POLICIES.encode(POLICIES)
    ids = (world.tenant_id, uuid4(), asset_id, since, policies, terms)
    await transact(world.pool, world.tenant_id, lambda tx: run(tx, SALE, *ids))
    return f"accounts/acme/assets/{asset_id}"
