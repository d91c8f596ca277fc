"""A shortfall does not depend on when usage arrives, is voided, or a commitment is linked."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import quote_service_pb2 as quotes

from tests.stories.selling.spend_words import expired, spending
from tests.stories.token_words import set_up
from tests.stories.words import Metered, day, figure, line, number, usage

CALLS = Metered(resource="calls", rate="1", grant="100", refresh="MONTH", scale=3)
MONTHS = ["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01"]
PROMISED, CAP = 500, 700


@pytest.mark.capability("M70.spend")
@pytest.mark.parametrize("seed", range(6))
async def test_any_order_of_usage_voids_and_the_link_owes_the_same(sandbox, seed):
    """Compared with what the records that count cost: 100 are included, the rest costs 0.80."""
    chance = random.Random(seed)
    world = await sandbox(MONTHS[0])
    await world.product("plan", CALLS)
    await set_up(world, spending(str(PROMISED), cap=str(CAP)))
    account = await world.account("ann")
    [anchor] = await world.sell(account, line("plan", MONTHS[0]))
    alone = quotes.SaleLine(product="products/spend", quantity=number(1), start_date=day(MONTHS[0]))
    [commit] = await world.sell(account, alone)
    first, now = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)
    linked_at = chance.randint(0, 11)
    counted: dict[str, tuple[datetime, int]] = {}

    for step in range(12):
        now += timedelta(days=10)
        await world.advance(now)
        if step == linked_at:
            request = assets.LinkCommitmentRequest(name=commit.name, anchor=anchor.name)
            await world.client.assets.LinkCommitment(request)
        for _ in range(chance.randint(1, 3)):
            at = first + timedelta(
                hours=chance.randint(0, int((now - first).total_seconds()) // 3600)
            )
            quantity = chance.randint(1, 400)
            [record] = await world.record([usage(anchor, "calls", at, quantity)])
            counted[record.usage_record] = at, quantity
        if chance.random() < 0.4:
            gone = chance.choice(list(counted))
            counted.pop(gone)
            await world.client.consumption.VoidUsage(
                consumption.VoidUsageRequest(usage_records=[gone])
            )
    await world.advance("2024-05-10")

    costs = []
    for start, end in pairwise(MONTHS):
        used = sum(n for at, n in counted.values() if start <= at.date().isoformat() < end)
        costs.append(max(used - 100, 0) * Decimal("0.8"))
        left = await expired(world, account, end)
        assert left == -max(PROMISED - costs[-1], 0), (start, used)
    lines = await world.liable(account)
    assert sum(figure(one.exact_amount) for one in lines) == sum(costs)
