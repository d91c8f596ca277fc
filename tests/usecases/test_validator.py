"""Setups as they are read: in a constant number of queries, with the states of what is beneath."""

import asyncio
from datetime import UTC, date, datetime
from uuid import uuid4

import asyncpg
import pytest

from server.domain.errors import InvalidArgument, NotFound
from server.domain.ids import ProductId, TenantId
from server.domain.validation import Parent, validate
from server.store.connection import Transaction
from server.usecases.validation.validator import ValidateProducts, load_setups
from tests.usecases.recorders import run

NOW = datetime(2024, 1, 15, 12, tzinfo=UTC)
MANY = 10
# $1 tenant_id, $2 now
CATALOG = """
INSERT INTO tenants (tenant_id, id, clock_start_time, clock_time) VALUES ($1, 'v', $2, $2);
INSERT INTO unit_classes (tenant_id, unit_class_id, kind, default_unit_id, state)
    VALUES ($1, 'count', 'USAGE', 'each', 'ACTIVE'), ($1, 'size', 'USAGE', 'byte', 'ACTIVE'),
           ($1, 'money', 'CURRENCY', 'DOLLAR', 'ACTIVE');
INSERT INTO units_of_measure (tenant_id, unit_of_measure_id, unit_class_id, scale, state)
    VALUES ($1, 'each', 'count', 0, 'DRAFT'), ($1, 'byte', 'size', 0, 'ACTIVE'),
           ($1, 'DOLLAR', 'money', 2, 'ACTIVE');
INSERT INTO refresh_policies (tenant_id, policy_id, interval_unit, interval_count, state)
    VALUES ($1, 'monthly', 'MONTH', 1, 'INACTIVE');
INSERT INTO usage_resources (tenant_id, usage_resource_id, category, unit_class_id, state)
    VALUES ($1, 'calls', 'USAGE', 'count', 'ACTIVE'),
           ($1, 'cash', 'CURRENCY', 'money', 'ACTIVE');
INSERT INTO rate_cards (tenant_id, rate_card_id, type) VALUES ($1, 'base', 'BASE');
INSERT INTO price_books (tenant_id, price_book_id) VALUES ($1, 'book');
INSERT INTO price_book_rate_cards (tenant_id, price_book_id, type, rate_card_id)
    VALUES ($1, 'book', 'BASE', 'base');
"""
# $1 tenant_id, $2 product_id, $3 the id of an entry that was withdrawn
PRODUCT = """
INSERT INTO products (tenant_id, product_id, usage_model_type, state)
    VALUES ($1, $2, 'ANCHOR', 'ACTIVE');
INSERT INTO product_usage_resources (tenant_id, product_id, product_usage_resource_id,
                                     usage_resource_id, state)
    VALUES ($1, $2, 'calls', 'calls', 'ACTIVE'), ($1, $2, 'cash', 'cash', 'INACTIVE');
INSERT INTO product_usage_grants (tenant_id, product_id, grant_id, product_usage_resource_id,
                                  quantity, unit_of_measure_id, refresh_policy_id, state)
    VALUES ($1, $2, 'some', 'calls', 5, 'byte', 'monthly', 'ACTIVE'),
           ($1, $2, 'cash', 'cash', 5, NULL, NULL, 'ACTIVE');
INSERT INTO rate_card_entries (tenant_id, rate_card_id, entry_id, product_id, usage_resource_id,
                               rate_unit_id, rate_value, state)
    VALUES ($1, 'base', $2, $2, 'calls', 'USD', 1, 'ACTIVE'),
           ($1, 'base', $3, $2, 'calls', 'USD', 1, 'INACTIVE');
"""


@pytest.fixture
async def tenant_id(owner: asyncpg.Connection) -> TenantId:
    """A tenant with many products of two resources, whose parents are not all in force."""
    tenant_id = TenantId(uuid4())
    await run(owner, CATALOG, tenant_id, NOW)
    for number in range(MANY):
        await run(owner, PRODUCT, tenant_id, f"p{number}", f"old{number}")
    return tenant_id


def asked(*ids: str, start: date | None = None, end: date | None = None) -> ValidateProducts:
    product_ids = tuple(map(ProductId, ids))
    return ValidateProducts(product_ids=product_ids, start=start, end=end, with_drafts=False)


async def test_ten_products_take_as_many_queries_as_one(owner: asyncpg.Connection, tenant_id):
    counts: list[int] = []
    seen: list[object] = []
    # A new connection reads the types of the rows first.
    await load_setups(Transaction(owner, tenant_id), asked("p0"))
    owner.add_query_logger(seen.append)
    for ids in (["p0"], [f"p{number}" for number in range(MANY)]):
        seen.clear()
        setups = await load_setups(Transaction(owner, tenant_id), asked(*ids))
        await asyncio.sleep(0)  # the logger is told a turn later
        counts.append(len(seen))
        assert [setup.product.content.id for setup in setups] == ids
        for setup in setups:
            own = setup.product.content.id
            assert [entry.key for entry in setup.entries] == [f"base/{own}"]
            assert {one.held.content.product_id for one in setup.resources} == {own}
            assert {one.grant.content.product_id for one in setup.grants} == {own}

    assert counts[0] == counts[1]


async def test_what_is_beneath_is_named_with_its_state(owner: asyncpg.Connection, tenant_id):
    [setup] = await load_setups(Transaction(owner, tenant_id), asked("p0"))
    found = {one.rule.id: [f.records for f in one.findings] for one in validate(setup).results}

    assert setup.scope.days.start == NOW.date()
    assert Parent("unitsOfMeasure/each", "DRAFT") in setup.resources[0].parents
    calls, some = "products/p0/usageResources/calls", "products/p0/grants/some"
    assert found["PARENT_NOT_ACTIVE"] == [
        ("unitsOfMeasure/each", calls),
        ("refreshPolicies/monthly", some),
    ]
    assert found["GRANT_UNIT_CLASS"] == [(some, "unitsOfMeasure/byte", calls)]
    assert found["RESOURCE_NOT_ACTIVE"] == [
        ("products/p0/usageResources/cash", "products/p0/grants/cash")
    ]


async def test_a_unit_of_money_is_looked_up(owner: asyncpg.Connection, tenant_id):
    await owner.execute(
        "UPDATE product_usage_resources SET state = 'ACTIVE' WHERE tenant_id = $1", tenant_id
    )
    [setup] = await load_setups(Transaction(owner, tenant_id), asked("p0"))
    found = {one.rule.id: [f.records for f in one.findings] for one in validate(setup).results}

    assert found["CURRENCY_UNIT"] == [("unitsOfMeasure/DOLLAR", "products/p0/usageResources/cash")]


async def test_other_tenants_products_and_empty_spans_are_refused(owner, tenant_id):
    other = TenantId(uuid4())
    await run(owner, CATALOG.replace("'v'", "'w'"), other, NOW)
    with pytest.raises(NotFound):
        await load_setups(Transaction(owner, other), asked("p0", start=NOW.date()))
    with pytest.raises(NotFound, match="p99"):
        await load_setups(Transaction(owner, tenant_id), asked("p0", "p99"))
    with pytest.raises(InvalidArgument) as upside_down:
        await load_setups(Transaction(owner, tenant_id), asked("p0", end=NOW.date()))
    assert upside_down.value.reason == "INTERVAL_INVALID"
