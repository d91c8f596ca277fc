"""A shortfall does not depend on when usage arrives, is voided, or a commitment is linked."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import quote_service_pb2 as quotes

from server.domain.calendar import Cadence, CadenceUnit
from tests.stories.selling.spend_words import expired, spending
from tests.stories.token_words import set_up
from tests.stories.words import Metered, day, figure, line, number, usage
from tests.stories.world import World

FIRST, LAST = date(2024, 1, 1), date(2024, 5, 1)
MONTH = Cadence(CadenceUnit.MONTH)
INCLUDED, PROMISED = 100, 620


@dataclass
class Story:
    """A plan, perhaps shared by two assets, with a promise that is linked at some time."""

    world: World
    chance: random.Random
    account: str
    anchors: list[Any]
    start: date
    end: date | None
    commit: Any = None
    counted: dict[str, tuple[datetime, int]] = field(default_factory=dict)

    async def link(self) -> None:
        anchor = self.chance.choice(self.anchors)
        request = assets.LinkCommitmentRequest(name=self.commit.name, anchor=anchor.name)
        await self.world.client.assets.LinkCommitment(request)

    async def use(self, now: datetime) -> None:
        first = datetime(2024, 1, 1, tzinfo=UTC)
        hours = int((now - first).total_seconds()) // 3600
        at = first + timedelta(hours=self.chance.randint(0, hours))
        quantity = self.chance.randint(1, 400)
        anchor = self.chance.choice(self.anchors)
        [record] = await self.world.record([usage(anchor, "calls", at, quantity)])
        self.counted[record.usage_record] = at, quantity

    async def void(self) -> None:
        gone = self.chance.choice(list(self.counted))
        self.counted.pop(gone)
        request = consumption.VoidUsageRequest(usage_records=[gone])
        await self.world.client.consumption.VoidUsage(request)

    def costs(self) -> Iterator[tuple[date, Decimal]]:
        """Return the cost of the usage of each day: 100 of an asset are included in a month."""
        today, left = FIRST, 0
        while today < LAST:
            if today.day == 1:
                left = INCLUDED * len(self.anchors)
            used = sum(n for at, n in self.counted.values() if at.date() == today)
            over = max(0, used - left)
            left -= used - over
            yield today, over * (Decimal("0.8") if self.is_promised(today) else Decimal(1))
            today += timedelta(days=1)

    def is_promised(self, today: date) -> bool:
        return self.start <= today and (self.end is None or today < self.end)


async def story_of(sandbox: Any, seed: int) -> Story:
    chance = random.Random(seed)
    world = await sandbox(FIRST.isoformat())
    late = chance.choice(["NEXT_PERIOD", "REOPEN"])
    calls = Metered(
        resource="calls", rate="1", grant=str(INCLUDED), refresh="MONTH", scale=3, late=late
    )
    await world.product("plan", calls)
    await set_up(world, spending(str(PROMISED)))
    account = await world.account("ann")
    binding, count = chance.choice([("SELF", 1), ("ACCOUNT", 2)])
    plan = line("plan", FIRST.isoformat(), binding=binding)
    start, end = chance.choice([1, 16]), chance.choice([None, date(2024, 4, 1)])
    story = Story(
        world=world,
        chance=chance,
        account=account,
        anchors=await world.sell(account, *[plan] * count),
        start=FIRST.replace(day=start),
        end=end,
    )
    alone = quotes.SaleLine(
        product="products/spend",
        quantity=number(1),
        start_date=day(story.start.isoformat()),
        end_date=None if end is None else day(end.isoformat()),
    )
    [story.commit] = await world.sell(account, alone)
    return story


@pytest.mark.capability("M70.spend")
@pytest.mark.parametrize("seed", range(8))
async def test_any_order_of_usage_voids_and_the_link_owes_the_same(sandbox, seed):
    """Compared with a model that knows only the records that count."""
    story = await story_of(sandbox, seed)
    linked_at, now = story.chance.randint(0, 11), datetime(2024, 1, 1, tzinfo=UTC)
    for step in range(12):
        now += timedelta(days=10)
        await story.world.advance(now)
        if step == linked_at:
            await story.link()
        for _ in range(story.chance.randint(1, 3)):
            await story.use(now)
        if story.chance.random() < 0.4:
            await story.void()
    await story.world.advance("2024-06-10")

    costs = dict(story.costs())
    for index in range(4):
        begins, ends = (MONTH.nth(story.start, one) for one in (index, index + 1))
        until = ends if story.end is None else min(ends, story.end)
        if begins >= until or until > LAST:
            continue
        # The last issue is prorated by days, and truncated at the scale of money.
        share = Decimal(PROMISED * (until - begins).days) / (ends - begins).days
        promised = share.quantize(Decimal("0.01"), ROUND_DOWN)
        cost = sum(amount for on, amount in costs.items() if begins <= on < until)
        left = await expired(story.world, story.account, until.isoformat())
        assert left == -max(promised - cost, Decimal(0)), (begins, until)
    lines = await story.world.liable(story.account)
    assert sum(figure(one.exact_amount) for one in lines) == sum(costs.values())
