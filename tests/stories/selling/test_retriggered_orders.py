"""Retriggering an order: what was lost of its activation is created again, once."""

from typing import Any

import asyncpg
import pytest
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import order_service_pb2 as orders

from server.usecases.access.tenants import tenant_id_of
from tests.stories.bindings.rebind_words import moves, rebind, shop, wallet_of
from tests.stories.words import Metered, figure, line, refusal
from tests.stories.world import World

CALLS = Metered(resource="calls", grant="100", refresh="MONTH", rate="1")

LOSSES = """
DELETE FROM jobs WHERE tenant_id = $1 AND kind IN ('refresh_grants', 'close_period');
DELETE FROM rating_periods WHERE tenant_id = $1 AND state = 'OPEN';
"""


async def lose(world: World, database: str) -> None:
    """Lose the jobs and the open rating periods of a tenant, as a careless restore might."""
    tenant = await world.client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    tenant_id = tenant_id_of(tenant.name.partition("/")[2])
    superuser = await asyncpg.connect(database)
    for loss in filter(None, map(str.strip, LOSSES.split(";"))):
        await superuser.execute(loss, tenant_id)
    await superuser.close()


async def retrigger(world: World, order: str) -> tuple[int, int, int]:
    answer = await world.client.orders.RetriggerOrder(orders.RetriggerOrderRequest(name=order))
    return answer.issue_count, answer.rating_period_count, answer.job_count


async def sold(sandbox: Any) -> tuple[World, str, Any]:
    world = await sandbox("2024-01-10")
    await world.product("plan", CALLS)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    return world, account, asset


@pytest.mark.capability("M81.retrigger")
async def test_what_was_lost_of_an_activation_is_created_again_once(sandbox, story_database):
    world, account, asset = await sold(sandbox)
    whole = await retrigger(world, asset.order)

    await lose(world, story_database)
    await world.advance("2024-02-02")
    before = await world.grants(await world.wallet(account, "calls"))
    first = await retrigger(world, asset.order)
    second = await retrigger(world, asset.order)
    await world.use(asset, "calls", "2024-02-02", 150)
    await world.advance("2024-03-10")

    assert whole == (0, 0, 0)
    # The issue of February is computed, and not in the ledger.
    assert figure(before[1].posted_balance) == 0
    # The issue of February; the periods of both months; the job that books the issue of March.
    assert (first, second) == ((1, 2, 1), (0, 0, 0))
    lines = await world.liable(account)
    assert [figure(one.overage_quantity) for one in lines if one.used_quantity.value != "0"] == [50]
    assert len(await world.grants(await world.wallet(account, "calls"))) == 3


@pytest.mark.capability("M81.retrigger")
async def test_what_was_lost_of_an_asset_that_is_bound_otherwise_is_created_in_both_wallets(
    sandbox, story_database
):
    """The 100 of January roll over, and move with the 100 of February."""
    world, account, asset = await shop(sandbox)
    await world.advance("2024-02-01T10:00")
    await rebind(world, asset, None, binding="ACCOUNT")
    whole = await retrigger(world, asset.order)

    await lose(world, story_database)
    first = await retrigger(world, asset.order)
    second = await retrigger(world, asset.order)
    await world.advance("2024-02-20")

    assert (whole, second) == ((0, 0, 0), (0, 0, 0))
    # January in the wallet before, and February in the one after, with the job of March's issue.
    assert first[1:] == (2, 1)
    old, new = [await wallet_of(world, account, kind) for kind in ("assets", "account")]
    assert [amount for _, amount, _ in await moves(world, old)] == [-100, -100]
    assert figure(new.posted_balance) == 200


@pytest.mark.capability("M81.retrigger")
async def test_a_draft_is_not_retriggered(sandbox):
    world, account, _ = await sold(sandbox)
    quote = await world.quote(account, line("plan", "2024-01-01"))
    order = await world.client.orders.CreateOrder(orders.CreateOrderRequest(quote=quote.name))

    refused = await refusal(retrigger(world, order.name))
    await world.client.orders.ActivateOrder(orders.ActivateOrderRequest(name=order.name))

    assert (refused.reason, "ActivateOrder" in refused.message) == ("ORDER_NOT_ACTIVE", True)
    assert await retrigger(world, order.name) == (0, 0, 0)
