"""Usage around a rebinding comes to the same, whenever it arrives and whenever the act is made.

Two accounts have the same assets and the same usage, and bind the same asset to the same target
from the same day on. One records everything in time; the other records late, in another order, and
makes the act at another time. In the end both have the same balance in each grant and owe the same.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.stories.bindings.rebind_words import moves, rebind, target_kind
from tests.stories.sale_words import bind
from tests.stories.words import Metered, figure, line
from tests.stories.world import World

FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 6, 20, tzinfo=UTC)
USED_UNTIL = datetime(2024, 4, 20, tzinfo=UTC)
DAY = timedelta(days=1)

RATED = (
    {"rate": "2"},
    {"rate": "2", "rating": "DAY", "waiting_days": 2},
    {"tiers": (("0", "60", "3"), ("60", None, "1"))},
)
ROLLED: tuple[dict[str, Any], ...] = (
    {"max_rollovers": 0},
    {"max_rollovers": 1, "cap": "25"},
    {"max_rollovers": 2},
    {},
)


@dataclass(kw_only=True)
class Tale:
    """A random life: what is used when, and from which day on the asset is bound elsewhere."""

    metered: Metered
    target: str
    day: datetime
    used: list[tuple[int, datetime, int]] = field(default_factory=list)

    @classmethod
    def of(cls, seed: int) -> "Tale":
        dice = random.Random(seed)
        rated = RATED[seed % 3]
        metered = Metered(
            resource="calls",
            grant="40",
            refresh="WEEK" if seed % 5 == 4 else "MONTH",
            order=dice.choice(["GRANTED_FIRST", "GRANTED_LAST", "EXPIRING_FIRST"]),
            **rated,
            **ROLLED[seed % 4],
        )
        # Tiers are counted by the whole rating period.
        date = 1 if "tiers" in rated else dice.choice([1, 1, 7, 22])
        found = cls(
            metered=metered,
            target=("account", "custom", "self")[seed % 3 if seed % 2 else 0],
            day=datetime(2024, dice.choice([2, 3]), date, tzinfo=UTC),
        )
        days = (USED_UNTIL - FIRST).days
        for _ in range(22):
            at = FIRST + dice.randrange(days) * DAY + timedelta(hours=dice.randrange(24))
            found.used.append((dice.randrange(3), at, dice.randrange(1, 30)))
        return found


@dataclass(kw_only=True)
class Buyer:
    """One of both accounts, with three assets of which the first one is bound elsewhere."""

    world: World
    account: str
    tale: Tale
    assets: list[Any] = field(default_factory=list)

    async def begin(self) -> None:
        """The first asset shares the account's pool if it goes to itself later, like the last."""
        bound = ("ACCOUNT" if self.tale.target == "self" else "SELF", "SELF", "ACCOUNT")
        lines = [line("plan", "2024-01-01", binding=binding) for binding in bound]
        self.assets = await self.world.sell(self.account, *lines)
        if self.tale.target == "custom":
            await bind(self.world, self.account, "team", "CUSTOM")

    async def rebind(self) -> None:
        to: dict[str, Any] = {
            "account": {"binding": "ACCOUNT"},
            "self": {"binding": "SELF"},
            "custom": {"binding_target": f"{self.account}/bindingTargets/team"},
        }[self.tale.target]
        await rebind(self.world, self.assets[0], f"{self.tale.day.date()}", **to)

    async def use(self, place: int, at: datetime, quantity: int) -> None:
        await self.world.use(self.assets[place], "calls", at, quantity)

    async def left(self) -> dict[tuple[str, int, int, int], Decimal]:
        """The balances that are left, by the kind of target, and the window of the grant."""
        found: dict[tuple[str, int, int, int], Decimal] = {}
        for wallet in await self.world.wallets(self.account):
            kind = target_kind(self.account, wallet)
            own = int(wallet.target == self.assets[0].name)
            for grant in await self.world.grants(wallet):
                key = (kind, own, grant.start_time.seconds, grant.expire_time.seconds)
                found[key] = found.get(key, Decimal()) + figure(grant.balance)
        return {key: balance for key, balance in found.items() if balance}

    async def owed(self) -> Decimal:
        lines = await self.world.liable(self.account)
        return sum((figure(one.exact_amount) for one in lines), Decimal())

    async def moved(self) -> list[Decimal]:
        found = []
        for wallet in await self.world.wallets(self.account):
            found += [amount for _, amount, _ in await moves(self.world, wallet)]
        return found


def timeline(buyer: Buyer, seed: int, *, in_time: bool) -> Iterator[tuple[datetime, Any]]:
    """Yield what a buyer does, and when."""
    dice = random.Random(seed + 1_000)
    tale = buyer.tale
    for place, at, quantity in tale.used:
        late = 0 if in_time else dice.choice([0, 1, 4, 20, 45])
        yield at + late * DAY, lambda p=place, a=at, q=quantity: buyer.use(p, a, q)
    # Both acts are made while the rating period before the day is not final, or has just become so.
    hours = [1, 30, 60]
    if tale.metered.rating == "MONTH" and tale.day.day == 1:
        hours += [100, 300]
    yield tale.day + timedelta(hours=1 if in_time else dice.choice(hours)), buyer.rebind


@pytest.mark.capability("M74.rebind")
@pytest.mark.parametrize("seed", range(12))
async def test_late_usage_and_a_late_act_come_to_the_same(sandbox, seed):
    world: World = await sandbox("2024-01-01")
    tale = Tale.of(seed)
    await world.product("plan", tale.metered)
    both = [
        Buyer(world=world, account=await world.account(name), tale=tale) for name in ("ann", "ben")
    ]
    for buyer in both:
        await buyer.begin()
    acts = [*timeline(both[0], seed, in_time=True), *timeline(both[1], seed, in_time=False)]
    for at, act in sorted(acts, key=lambda one: one[0]):
        await world.advance(max(at, FIRST + timedelta(hours=1)))
        await act()

    live = [await buyer.left() for buyer in both]
    await world.advance(LAST)
    final = [await buyer.left() for buyer in both]
    owed = [await buyer.owed() for buyer in both]

    assert live[0] == live[1]
    assert final[0] == final[1]
    assert owed[0] == owed[1]
    for buyer in both:
        assert sum(await buyer.moved(), Decimal()) == 0
