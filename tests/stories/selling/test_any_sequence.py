"""Any sequence of quotes, sales, packs and links comes to what its sales alone come to.

A random sequence happens to one account: sales that are late, bound to themselves, to the account
or to a team, quotes that are changed, withdrawn or repriced, commitments that are linked long after
their start, usage in between. Another account buys the same at the start of each sale, with
everything linked at once, and uses the same in time.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import quote_service_pb2 as quotes

from clients.values import enum_name
from tests.stories.quote_words import act, activate, rate, update
from tests.stories.sale_words import bind, linked, to
from tests.stories.token_words import Credits, commitment, described, pack, set_up
from tests.stories.words import day, figure, line, number, usage
from tests.stories.world import World

FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 5, 10, tzinfo=UTC)
STEPS = 20
BINDINGS = ("SELF", "ACCOUNT", "CUSTOM")


@dataclass(kw_only=True)
class Sale:
    """One thing that was sold: `about` is the place of the anchor of a pack or a commitment."""

    product: str
    start: datetime
    price: str | None = None
    about: int | None = None
    binding: str = "SELF"
    asset: Any = None
    is_linked: bool = True


@dataclass(kw_only=True)
class Buyer:
    """An account, everything that it bought, in order, and its usage."""

    world: World
    account: str
    sales: list[Sale] = field(default_factory=list)
    used: list[tuple[int, datetime, int]] = field(default_factory=list)

    def line(self, sale: Sale) -> quotes.SaleLine:
        """The line of a sale; a commitment that is not linked has no anchor."""
        start = sale.start.date().isoformat()
        anchor = None if sale.about is None else self.sales[sale.about].asset
        if sale.product == "more":
            return to(anchor.name, "more", start)
        if sale.product == "commit":
            alone = quotes.SaleLine(
                product="products/commit", quantity=number(1), start_date=day(start), nested=True
            )
            return linked("commit", start, anchor, nested=True) if sale.is_linked else alone
        agreed = [rate(sale.price, "credits")] if sale.price else ()
        made = line("plan", start, negotiated=agreed, binding=sale.binding)
        if sale.binding == "CUSTOM":
            made.binding_target = f"{self.account}/bindingTargets/team"
        return made

    async def buy(self, sale: Sale) -> None:
        [sale.asset] = await self.world.sell(self.account, self.line(sale))
        self.sales.append(sale)

    async def use(self, place: int, at: datetime, quantity: int) -> None:
        record = usage(self.sales[place].asset, "minutes", at, quantity)
        [outcome] = await self.world.record([record])
        assert enum_name(outcome, "code") in ("ACCEPTED", "ACCEPTED_LATE", "LATE"), outcome
        self.used.append((place, at, quantity))

    async def left(self) -> dict[tuple[str, int, str], Decimal]:
        """The balances that are left, by the target, the start and the quantity of the grant."""
        found: dict[tuple[str, int, str], Decimal] = {}
        names = {sale.asset.name: place for place, sale in enumerate(self.sales)}
        for wallet in await self.world.wallets(self.account):
            where = f"{wallet.usage_resource} of {names.get(wallet.target, wallet.target)}"
            for grant in await self.world.grants(wallet):
                key = (where, grant.start_time.seconds, grant.quantity.value)
                found[key] = found.get(key, Decimal()) + figure(grant.balance)
        return {key: balance for key, balance in found.items() if balance}

    async def owed(self) -> Decimal:
        lines = await self.world.liable(self.account)
        return sum((figure(one.exact_amount) for one in lines), Decimal())


async def opened(world: World) -> Buyer:
    """A buyer with a team, which plans can be bound to."""
    account = await world.account("ann")
    await bind(world, account, "team", "CUSTOM")
    return Buyer(world=world, account=account)


async def shop(sandbox: Any) -> World:
    """Minutes at 5 tokens; 40 tokens a month, then 0.50; packs of 25; commitments of 80."""
    world: World = await sandbox(FIRST.isoformat())
    await set_up(
        world, described("plan", {"minutes": "5"}, Credits(price="0.50", grant="40", refresh=True))
    )
    await set_up(world, pack("more", "credits", grant="25"))
    await set_up(world, commitment("commit", "credits", "80", discount="20"))
    return world


class Life:
    """A random life of an account."""

    def __init__(self, buyer: Buyer, seed: int) -> None:
        self.buyer, self.random, self.now = buyer, random.Random(seed), FIRST
        self.world, self.account = buyer.world, buyer.account

    async def live(self) -> None:
        await self.buyer.buy(Sale(product="plan", start=FIRST))
        acts: list[Callable[[], Awaitable[None]]] = [
            self.sell_plan,
            self.sell_pack,
            self.commit,
            self.link,
            self.haggle,
            self.record,
            self.record,
            self.wait,
        ]
        for _ in range(STEPS):
            await self.random.choice(acts)()
        for place, sale in enumerate(self.buyer.sales):
            if not sale.is_linked:
                await self._link(place)
        await self.world.advance(LAST)

    def past(self, since: datetime = FIRST) -> datetime:
        """A midnight between a time and now."""
        days = (self.now - since).days
        return since + timedelta(days=self.random.randint(0, max(0, days)))

    def anchor(self) -> int:
        places = [place for place, one in enumerate(self.buyer.sales) if one.product == "plan"]
        return self.random.choice(places)

    async def sell_plan(self) -> None:
        price = self.random.choice([None, "0.40", "0.30"])
        binding = self.random.choice(BINDINGS)
        await self.buyer.buy(Sale(product="plan", start=self.past(), price=price, binding=binding))

    async def sell_pack(self) -> None:
        place = self.anchor()
        start = self.past(self.buyer.sales[place].start)
        await self.buyer.buy(Sale(product="more", start=start, about=place))

    async def commit(self) -> None:
        place = self.anchor()
        taken = {one.start for one in self.buyer.sales if one.product == "commit"}
        start = self.past(self.buyer.sales[place].start)
        if start in taken:
            return
        sale = Sale(product="commit", start=start, about=place)
        sale.is_linked = self.random.random() < 0.4
        await self.buyer.buy(sale)

    async def link(self) -> None:
        open_ = [place for place, one in enumerate(self.buyer.sales) if not one.is_linked]
        if open_:
            await self._link(self.random.choice(open_))

    async def _link(self, place: int) -> None:
        sale = self.buyer.sales[place]
        anchor = self.buyer.sales[sale.about or 0].asset
        request = assets.LinkCommitmentRequest(name=sale.asset.name, anchor=anchor.name)
        await self.world.client.assets.LinkCommitment(request)
        sale.is_linked = True

    async def haggle(self) -> None:
        """A quote that is changed, repriced, and then withdrawn or sold."""
        sale = Sale(product="plan", start=self.past(), binding=self.random.choice(BINDINGS))
        quote = await self.world.quote(self.account, self.buyer.line(sale))
        sale.price = self.random.choice(["0.45", "0.35"])
        quote = await update(self.world, quote, self.buyer.line(sale))
        quote = await act(self.world, "Reprice", quote)
        if self.random.random() < 0.5:
            await act(self.world, "Withdraw", quote)
            return
        [sale.asset] = await activate(self.world, quote)
        self.buyer.sales.append(sale)

    async def record(self) -> None:
        place = self.anchor()
        at = self.past(self.buyer.sales[place].start) + timedelta(hours=self.random.randint(0, 23))
        if at <= self.now:
            await self.buyer.use(place, at, self.random.randint(1, 60))

    async def wait(self) -> None:
        self.now += timedelta(days=self.random.randint(5, 30))
        await self.world.advance(self.now)


@pytest.mark.capability("M82")
@pytest.mark.parametrize("seed", range(12))
async def test_any_sequence_comes_to_what_its_sales_come_to(sandbox: Any, seed: int) -> None:
    world = await shop(sandbox)
    buyer = await opened(world)
    await Life(buyer, seed).live()

    again = await shop(sandbox)
    twin = await opened(again)
    for sale in buyer.sales:
        await twin.buy(replace(sale, asset=None, is_linked=True))
    await again.advance(LAST)
    for place, at, quantity in sorted(buyer.used, key=lambda one: one[1]):
        await twin.use(place, at, quantity)
    await again.advance(LAST + timedelta(days=35))
    await world.advance(LAST + timedelta(days=35))

    prices = [
        [resource.terms.rate.value.value for resource in one.resources]
        for buyer_ in (buyer, twin)
        for one in [
            await buyer_.world.client.assets.GetAsset(assets.GetAssetRequest(name=sale.asset.name))
            for sale in buyer_.sales
        ]
    ]
    half = len(prices) // 2
    assert prices[:half] == prices[half:]
    assert await buyer.left() == await twin.left()
    assert await buyer.owed() == await twin.owed()
