"""Orders: what activating one brings about; twice, at once, back-dated, ahead of time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest

from server.domain.errors import Aborted, FailedPrecondition, UsageError
from server.domain.modeling.roles import Binding
from server.domain.selling.sales import Order, OrderState
from server.store.selling.assets import AssetFilter
from server.store.selling.orders import OrderFilter
from server.store.transaction import read, transact
from server.usecases.lifecycle.order_activation import ActivateOrder, activate_order
from server.usecases.selling import assets, orders
from server.usecases.selling.orders import CreateOrder
from tests.usecases.selling import (
    ACME,
    JANUARY,
    TENANT,
    change,
    line,
    order,
    quote,
    rows,
    set_clock,
    shop,
)

GRANTS = """
SELECT w.usage_resource_id, g.kind, g.issue_index, g.quantity, g.balance, g.start_time,
       g.expire_time
  FROM grants AS g JOIN wallets AS w USING (tenant_id, account_id, wallet_id)
 ORDER BY w.usage_resource_id, g.start_time, g.quantity
"""
PERIODS = """
SELECT w.usage_resource_id, p.start_time, p.end_time, p.freeze_time
  FROM rating_periods AS p JOIN wallets AS w USING (tenant_id, account_id, wallet_id)
 ORDER BY w.usage_resource_id, p.start_time
"""
JOBS = "SELECT kind, fire_time, payload FROM jobs ORDER BY kind, fire_time, job_id"


def berlin(year: int, month: int, day: int, hour: int = 23) -> datetime:
    """An hour of a day, UTC: in winter Berlin's midnight is 23 hours of the day before."""
    return datetime(year, month, day, hour, tzinfo=UTC)


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    async with shop(database) as pool:
        yield pool


async def activate(pool: asyncpg.Pool, draft: Order, revision: int | None = None) -> Order:
    command = ActivateOrder(account_id=ACME, order_id=draft.id, revision=revision)
    return await transact(pool, TENANT, lambda tx: activate_order(tx, command))


async def reason(work) -> tuple[str, dict[str, str]]:
    with pytest.raises(UsageError) as caught:
        await work
    return caught.value.reason, caught.value.facts


async def bought(pool: asyncpg.Pool) -> list:
    return await read(
        pool,
        TENANT,
        lambda tx: assets.list_assets(tx, ACME, AssetFilter(), after=None, limit=100),
    )


async def test_an_order_has_the_lines_of_its_quote_and_uses_it_up(pool):
    made = await quote(pool, line(quantity=3), line("pager"))
    command = CreateOrder(account_id=ACME, quote_id=made.id)

    draft = await transact(pool, TENANT, lambda tx: orders.create(tx, command))

    assert (draft.state, draft.quote_id, draft.lines) == (OrderState.DRAFT, made.id, made.lines)
    assert await rows(pool, "SELECT state, revision FROM quotes") == [("ORDERED", 2)]
    again = transact(pool, TENANT, lambda tx: orders.create(tx, command))
    assert await reason(again) == ("QUOTE_STATE", {"state": "ORDERED"})


async def test_a_quote_that_two_order_at_once_makes_one_order(pool):
    made = await quote(pool, line())
    command = CreateOrder(account_id=ACME, quote_id=made.id)

    async def try_it() -> str:
        try:
            await transact(pool, TENANT, lambda tx: orders.create(tx, command))
        except FailedPrecondition as error:
            return error.reason
        return "OK"

    assert sorted(await asyncio.gather(*(try_it() for _ in range(4)))) == [
        "OK",
        "QUOTE_STATE",
        "QUOTE_STATE",
        "QUOTE_STATE",
    ]
    assert await rows(pool, "SELECT count(*) FROM orders") == [(1,)]


async def test_orders_are_listed_newest_first_a_page_at_a_time(pool):
    made = [await order(pool, line()) for _ in range(3)]

    async def page(after):
        return await read(
            pool,
            TENANT,
            lambda tx: orders.list_orders(tx, ACME, OrderFilter(), after=after, limit=2),
        )

    first = await page(None)
    rest = await page((first[-1].audit.create_time, first[-1].id))

    assert [each.id for each in [*first, *rest]] == [each.id for each in reversed(made)]


async def test_activation_books_the_promise_times_the_quantity_and_opens_the_month(pool):
    draft = await order(pool, line(quantity=3))

    active = await activate(pool, draft)

    midnight, february = berlin(2023, 12, 31), berlin(2024, 1, 31)
    assert (active.state, active.activate_time, len(active.asset_ids)) == (
        OrderState.ACTIVE,
        JANUARY,
        1,
    )
    assert active.revision == draft.revision + 1
    assert await rows(pool, GRANTS) == [
        ("sms", "SALE", 0, Decimal(12_000), Decimal(12_000), midnight, february),
        ("storage", "SALE", 0, Decimal(30), Decimal(30), midnight, None),
    ]
    frozen = berlin(2024, 2, 3)
    assert await rows(pool, PERIODS) == [
        ("sms", midnight, february, frozen),
        ("storage", midnight, february, frozen),
    ]
    assert [(kind, at) for kind, at, _ in await rows(pool, JOBS)] == [
        ("close_period", frozen),
        ("close_period", frozen),
        ("refresh_grants", february),
    ]
    assert await rows(pool, "SELECT rate_revision FROM accounts") == [(2,)]


async def test_an_asset_shows_what_it_was_sold_with(pool):
    active = await activate(pool, await order(pool, line(quantity=2, end=date(2025, 1, 1))))

    (asset,) = await bought(pool)

    assert (asset.id, asset.number, asset.quantity) == (active.asset_ids[0], 1, Decimal(2))
    sms, storage = asset.resources
    assert (sms.resource_id, storage.resource_id) == ("sms", "storage")
    assert sms.terms == active.lines[0].resources[0].terms
    assert sms.policies == active.lines[0].resources[0].policies
    assert storage.terms is None
    (texts,), (disk,) = sms.entitlements, storage.entitlements
    assert (texts.entitlement.quantity, texts.entitlement.next_index) == (Decimal(8000), 1)
    assert (disk.entitlement.quantity, disk.entitlement.next_index) == (Decimal(20), 1)
    assert texts.entitlement.rollover is not None
    assert (texts.entitlement.number, disk.entitlement.number) == (1, 2)
    assert sms.end_time == berlin(2024, 12, 31)


async def test_a_month_that_is_sold_in_part_is_granted_in_part(pool):
    # 20 July to 6 August: 17 of the 31 days until 20 August.
    sold = line(start=date(2023, 7, 20), end=date(2023, 8, 6))
    await activate(pool, await order(pool, sold))

    granted = await rows(pool, GRANTS)

    assert granted[0][3] == Decimal(2193)
    assert granted[0][6] == datetime(2023, 8, 5, 22, tzinfo=UTC)


async def test_an_order_that_many_activate_at_once_takes_effect_once(pool):
    draft = await order(pool, line())

    async def try_it() -> tuple[str, dict[str, str]]:
        try:
            await activate(pool, draft)
        except FailedPrecondition as error:
            return error.reason, error.facts
        return "OK", {}

    outcomes = await asyncio.gather(*(try_it() for _ in range(4)))

    assert outcomes.count(("OK", {})) == 1
    assert outcomes.count(("ORDER_ALREADY_ACTIVE", {"state": "ACTIVE"})) == 3
    assert await rows(pool, "SELECT count(*) FROM assets") == [(1,)]
    assert await rows(pool, "SELECT count(*) FROM wallet_entries") == [(2,)]


async def test_orders_of_one_account_that_are_activated_at_once_count_without_a_gap(pool):
    drafts = [await order(pool, line(), line("pager")) for _ in range(4)]

    await asyncio.gather(*(activate(pool, draft) for draft in drafts))

    assert [asset.number for asset in await bought(pool)] == list(range(1, 9))
    numbers = await rows(pool, "SELECT number FROM entitlements ORDER BY number")
    assert numbers == [(number,) for number in range(1, 9)]


async def test_an_etag_that_is_out_of_date_stops_the_activation(pool):
    draft = await order(pool, line())

    with pytest.raises(Aborted, match="read it again") as caught:
        await activate(pool, draft, revision=draft.revision + 1)

    assert caught.value.reason == "ETAG_MISMATCH"
    assert (await activate(pool, draft, revision=draft.revision)).state is OrderState.ACTIVE


async def test_what_was_withdrawn_since_the_order_is_not_sold(pool):
    draft = await order(pool, line())
    await change(
        pool, "UPDATE usage_resources SET state = 'INACTIVE' WHERE usage_resource_id = 'storage'"
    )

    found = await reason(activate(pool, draft))

    facts = {"product": "phone", "usage_resource": "storage", "line": "0"}
    assert found == ("RESOURCE_INACTIVE", facts)


async def test_an_activation_that_fails_leaves_nothing_behind(pool):
    shared = {"binding": Binding.ACCOUNT}
    draft = await order(pool, line(), line(**shared), line("pager", **shared))

    found, facts = await reason(activate(pool, draft))

    assert (found, facts) == (
        "POLICY_CONFLICT",
        {"usage_resource": "sms", "differences": "rating", "line": "2"},
    )
    for table in ("assets", "wallets", "grants", "rating_periods", "entitlements", "jobs"):
        assert await rows(pool, f"SELECT count(*) FROM {table}") == [(0,)]
    assert await rows(pool, "SELECT state FROM orders") == [("DRAFT",)]


async def test_assets_that_are_bound_to_the_account_share_a_wallet(pool):
    first = line(binding=Binding.ACCOUNT, end=date(2024, 7, 1))
    await activate(pool, await order(pool, first))
    await set_clock(pool, datetime(2024, 2, 14, 12, tzinfo=UTC))
    second = line(quantity=2, start=date(2023, 12, 15), binding=Binding.ACCOUNT)
    await activate(pool, await order(pool, second))

    assert await rows(
        pool, "SELECT usage_resource_id, balance, head_seq FROM wallets ORDER BY 1"
    ) == [("sms", Decimal(4000 + 2 * 8000), 3), ("storage", Decimal(30), 2)]
    assert await rows(pool, "SELECT start_date, end_date FROM entitlement_accounts") == [
        (date(2023, 12, 15), None)
    ]
    periods = await rows(pool, PERIODS)
    assert [start for resource, start, _, _ in periods if resource == "sms"] == [
        berlin(2023, 11, 30),
        berlin(2023, 12, 31),
        berlin(2024, 1, 31),
    ]


async def test_an_order_dated_back_books_every_issue_and_opens_every_period_since(pool):
    await set_clock(pool, datetime(2024, 3, 10, 9, tzinfo=UTC))
    await activate(pool, await order(pool, line(start=date(2024, 1, 15))))

    granted = [row[1:7] for row in await rows(pool, GRANTS) if row[0] == "sms"]

    quantity = Decimal(4000)
    starts = [berlin(2024, 1, 14), berlin(2024, 2, 14), berlin(2024, 3, 14)]
    assert granted == [
        ("SALE", 0, quantity, quantity, starts[0], starts[1]),
        ("REFRESH", 1, quantity, quantity, starts[1], starts[2]),
    ]
    waited = datetime(2024, 3, 12, 23, tzinfo=UTC)  # three days from the sale
    assert [row[1:] for row in await rows(pool, PERIODS) if row[0] == "sms"] == [
        (berlin(2023, 12, 31), berlin(2024, 1, 31), waited),
        (berlin(2024, 1, 31), berlin(2024, 2, 29), waited + timedelta(microseconds=1)),
        (berlin(2024, 2, 29), berlin(2024, 3, 31, 22), berlin(2024, 4, 3, 22)),
    ]
    refreshes = [at for kind, at, _ in await rows(pool, JOBS) if kind == "refresh_grants"]
    assert refreshes == [starts[2]]
    entries = await rows(
        pool,
        "SELECT kind, amount, effective_time FROM wallet_entries WHERE amount = 4000 ORDER BY seq",
    )
    assert entries == [("GRANT", quantity, starts[0]), ("REFRESH", quantity, starts[1])]


async def test_daily_rating_goes_back_four_hundred_days_and_no_further(pool):
    far = await order(pool, line("pager", start=date(2022, 11, 25)))
    near = await order(pool, line("pager", start=date(2022, 11, 27)))

    found, facts = await reason(activate(pool, far))
    await activate(pool, near)

    assert (found, facts["limit"]) == ("BACKDATED_TOO_FAR", "400")
    assert await rows(pool, "SELECT count(*) FROM rating_periods") == [(401,)]


async def test_an_order_ahead_of_its_day_grants_nothing_yet_and_opens_its_first_period(pool):
    await activate(pool, await order(pool, line(start=date(2024, 5, 10))))

    first = datetime(2024, 5, 9, 22, tzinfo=UTC)
    assert await rows(pool, GRANTS) == []
    assert await rows(pool, "SELECT DISTINCT next_index FROM entitlements") == [(None,)]
    assert [row[1:3] for row in await rows(pool, PERIODS)] == 2 * [
        (berlin(2024, 4, 30, 22), berlin(2024, 5, 31, 22))
    ]
    refreshes = [at for kind, at, _ in await rows(pool, JOBS) if kind == "refresh_grants"]
    assert refreshes == [first, first]


async def test_numbers_and_wallets_go_on_where_they_stopped(pool):
    await activate(pool, await order(pool, line(binding=Binding.ACCOUNT)))
    await activate(pool, await order(pool, line(), line(binding=Binding.ACCOUNT)))

    assert [asset.number for asset in await bought(pool)] == [1, 2, 3]
    shared = await rows(
        pool,
        "SELECT usage_resource_id, head_seq, balance FROM wallets JOIN entitlement_accounts"
        " USING (tenant_id, account_id, entitlement_account_id) WHERE target_kind = 'ACCOUNT'"
        " ORDER BY 1",
    )
    assert shared == [("sms", 2, Decimal(8000)), ("storage", 2, Decimal(20))]
