"""Orders without a quote, orders that are only validated, and refusals that name their line."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import quote_service_pb2 as quotes

from clients import UsageError
from clients.values import enum_name
from tests.stories.bill_words import owed
from tests.stories.catalog_words import move as put_in_state
from tests.stories.quote_words import grant, rate
from tests.stories.rate_words import INACTIVE
from tests.stories.words import Metered, figure, line, refusal
from tests.stories.world import World

CALLS = Metered(resource="calls", grant="100", rate="1", max_increase="10")


async def shop(sandbox: Any, *metered: Metered) -> tuple[World, str]:
    world = await sandbox("2024-01-31")
    await world.product("plan", *(metered or (CALLS,)))
    return world, await world.account("ann")


async def create(world: World, account: str, *lines: Any, **more: Any) -> orders.Order:
    asked = orders.Order(price_book="priceBooks/book", lines=lines)
    request = orders.CreateOrderRequest(parent=account, order=asked, **more)
    return await world.client.orders.CreateOrder(request)


async def activate(world: World, order: orders.Order, **more: Any) -> orders.Order:
    request = orders.ActivateOrderRequest(name=order.name, **more)
    return await world.client.orders.ActivateOrder(request)


async def test_an_order_without_a_quote_freezes_the_catalog_and_what_was_negotiated(sandbox):
    world, account = await shop(sandbox)
    asked = line("plan", "2024-01-01", negotiated=[rate("0.50")])
    asked.negotiated_grants.append(grant(110))

    draft = await create(world, account, asked, line("plan", "2024-01-01"))
    quoted = await world.quote(account, asked, line("plan", "2024-01-01"))
    active = await activate(world, draft)
    found = await world.client.assets.GetAsset(assets.GetAssetRequest(name=active.assets[0]))
    await world.use(found, "calls", "2024-01-05", 120)
    await world.advance("2024-02-10")

    assert (draft.quote, enum_name(draft, "state")) == ("", "DRAFT")
    assert list(draft.lines) == list(quoted.lines)
    assert len(active.assets) == 2
    assert found.order == draft.name
    assert await owed(world, account) == {"calls": (10, 5)}


@pytest.mark.capability("M72.records")
async def test_an_order_is_created_and_activated_in_one_call_or_not_at_all(sandbox):
    """Directly and from a quote; what cannot be activated is not ordered either."""
    daily = Metered(resource="calls", grant="100", rate="1", rating="DAY")
    world, account = await shop(sandbox, daily)
    plan = line("plan", "2024-01-01")
    early = line("plan", "1990-01-01")
    late = await world.quote(account, early)
    quote = await world.quote(account, plan)

    tried = await create(world, account, plan, activate=True, validate_only=True)
    none = await world.wallets(account)
    direct = await create(world, account, plan, activate=True)
    of_quote = await world.client.orders.CreateOrder(
        orders.CreateOrderRequest(quote=quote.name, activate=True)
    )
    before = await world.client.orders.ListOrders(orders.ListOrdersRequest(parent=account))
    refused = [
        await refusal(create(world, account, plan, early, activate=True)),
        await refusal(
            world.client.orders.CreateOrder(
                orders.CreateOrderRequest(quote=late.name, activate=True)
            )
        ),
    ]
    after = await world.client.orders.ListOrders(orders.ListOrdersRequest(parent=account))
    unchanged = await world.client.quotes.GetQuote(quotes.GetQuoteRequest(name=late.name))

    assert (enum_name(tried, "state"), len(none)) == ("ACTIVE", 0)
    assert [enum_name(one, "state") for one in (direct, of_quote)] == ["ACTIVE", "ACTIVE"]
    assert [len(one.assets) for one in (direct, of_quote)] == [1, 1]
    assert [one.reason for one in refused] == ["BACKDATED_TOO_FAR", "BACKDATED_TOO_FAR"]
    assert [one.facts["line"] for one in refused] == ["1", "0"]
    assert list(after.orders) == list(before.orders)
    assert enum_name(unchanged, "state") == "DRAFT"


async def test_a_direct_order_stays_within_the_limits_of_the_catalog(sandbox):
    world, account = await shop(sandbox)
    asked = line("plan", "2024-01-01")
    asked.negotiated_grants.append(grant(111))

    refused = await refusal(create(world, account, line("plan", "2024-01-01"), asked))

    assert (refused.code.name, refused.reason) == ("FAILED_PRECONDITION", "APPROVAL_REQUIRED")
    assert refused.facts["line"] == "1"
    assert "create a quote" in refused.message
    assert await world.quote(account, line("plan", "2024-01-01"), asked)
    listed = await world.client.orders.ListOrders(orders.ListOrdersRequest(parent=account))
    assert not listed.orders


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (orders.CreateOrderRequest(), "quote"),
        (orders.CreateOrderRequest(order=orders.Order(price_book="priceBooks/book")), "parent"),
        (
            orders.CreateOrderRequest(
                parent="accounts/ann", order=orders.Order(price_book="priceBooks/book")
            ),
            "order.lines",
        ),
        (
            orders.CreateOrderRequest(
                parent="accounts/ann", order=orders.Order(lines=[line("plan", "2024-01-01")])
            ),
            "order.price_book",
        ),
    ],
)
async def test_a_direct_order_needs_an_account_a_price_book_and_lines(sandbox, request_, field):
    world, _ = await shop(sandbox)

    refused = await refusal(world.client.orders.CreateOrder(request_))

    assert (field, "FIELD_REQUIRED") in [(one.field, one.reason) for one in refused.violations]


async def test_wrong_terms_of_a_direct_order_name_their_field(sandbox):
    world, account = await shop(sandbox)
    asked = line("plan", "2024-01-01", negotiated=[rate("1", resource="none")])

    refused = await refusal(create(world, account, line("plan", "2024-01-01"), asked))

    assert refused.reason == "RESOURCE_NOT_IN_PRODUCT"
    assert refused.violations[0].field == "order.lines[1].negotiated_rates[0].usage_resource"


async def test_what_is_only_validated_changes_nothing(sandbox):
    world, account = await shop(sandbox)
    quote = await world.quote(account, line("plan", "2024-01-01"))

    tried = await create(world, account, line("plan", "2024-01-01"), validate_only=True)
    of_quote = await world.client.orders.CreateOrder(
        orders.CreateOrderRequest(quote=quote.name, validate_only=True)
    )
    order = await world.client.orders.CreateOrder(orders.CreateOrderRequest(quote=quote.name))
    active = await activate(world, order, validate_only=True)
    after = await world.client.orders.GetOrder(orders.GetOrderRequest(name=order.name))

    assert enum_name(tried, "state") == enum_name(of_quote, "state") == "DRAFT"
    assert (enum_name(active, "state"), len(active.assets)) == ("ACTIVE", 1)
    assert after == order
    listed = await world.client.orders.ListOrders(orders.ListOrdersRequest(parent=account))
    assert [one.name for one in listed.orders] == [order.name]
    assert await world.wallets(account) == []
    assert len((await activate(world, order)).assets) == 1


@pytest.mark.parametrize("validate_only", [True, False])
async def test_an_activation_that_is_refused_names_the_line(sandbox, validate_only):
    """The third of four lines: its product was withdrawn, or its counting differs in a pool."""
    world, account = await shop(sandbox)
    await world.product("other", Metered(resource="texts", rate="1"))
    withdrawn = await create(
        world, account, *(line(one, "2024-01-01") for one in ("plan", "plan", "other", "plan"))
    )
    far = line("plan", "1999-01-01")
    daily = Metered(resource="pages", rate="1", rating="DAY", window="HOUR", waiting_days=0)
    await world.product("daily", daily)
    old = line("daily", "1999-01-01")
    back = await create(world, account, far, line("plan", "2024-01-01"), old)
    await put_in_state(world, INACTIVE, "products/other/usageResources/texts")

    found = [
        await refusal(activate(world, order, validate_only=validate_only))
        for order in (withdrawn, back)
    ]

    assert [one.reason for one in found] == ["RESOURCE_INACTIVE", "BACKDATED_TOO_FAR"]
    assert [one.facts["line"] for one in found] == ["2", "2"]
    assert all(one.message.startswith("line 3: ") for one in found)
    assert await world.wallets(account) == []


@pytest.mark.capability("M72.records")
async def test_an_activation_creates_all_that_was_sold_or_nothing(sandbox):
    """Assets, entitlements, wallets with their first grants, entries and rating periods."""
    world, account = await shop(
        sandbox, Metered(resource="calls", grant="100", refresh="MONTH", rate="1")
    )
    draft = await create(world, account, line("plan", "2024-01-01", quantity=2))
    before = await world.wallets(account)

    active = await activate(world, draft)
    again = await refusal(activate(world, draft))

    [asset] = [
        await world.client.assets.GetAsset(assets.GetAssetRequest(name=name))
        for name in active.assets
    ]
    [resource] = asset.resources
    [wallet] = await world.wallets(account)
    [issue] = await world.grants(wallet)
    [entry] = await world.entries(wallet)
    assert before == []
    assert (asset.order, resource.wallet) == (draft.name, wallet.name)
    assert [figure(one.quantity) for one in resource.entitlements] == [200]
    assert (figure(issue.quantity), figure(wallet.balance)) == (200, 200)
    assert (enum_name(entry, "kind"), figure(entry.amount)) == ("GRANT", 200)
    assert wallet.period_start_time.ToDatetime().isoformat() == "2024-01-01T00:00:00"
    assert (again.reason, again.facts["state"]) == ("ORDER_ALREADY_ACTIVE", "ACTIVE")
    assert active.activate_time.ToDatetime().isoformat() == "2024-01-31T00:00:00"


async def test_two_hundred_lines_are_activated_at_once(sandbox):
    world, account = await shop(sandbox)
    lines = [line("plan", "2024-01-01") for _ in range(200)]

    active = await activate(world, await create(world, account, *lines))
    more = await refusal(create(world, account, *lines, line("plan", "2024-01-01")))

    assert len(set(active.assets)) == 200
    assert more.reason == "TOO_MANY_ITEMS"
    assert isinstance(active.lines[0], quotes.SaleLine)


@pytest.mark.capability("M72.once")
async def test_fifty_activations_at_once_create_one_set_of_records(sandbox):
    """Two callers, 25 times each; one activation is answered, the others find it active."""
    world, account = await shop(sandbox)
    draft = await create(world, account, line("plan", "2024-01-01"), line("plan", "2024-01-01"))

    async def once(number: int) -> str:
        try:
            await activate(world, draft, request_id=f"caller-{number % 2}")
        except UsageError as refused:
            return refused.reason
        return "activated"

    found = await asyncio.gather(*map(once, range(50)))
    listed = await world.client.assets.ListAssets(assets.ListAssetsRequest(parent=account))

    # All 25 calls of the caller that came first have its request id, and so its answer.
    assert Counter(found) == {"activated": 25, "ORDER_ALREADY_ACTIVE": 25}
    assert len(listed.assets) == 2
    assert [len(await world.grants(one)) for one in await world.wallets(account)] == [1, 1]
