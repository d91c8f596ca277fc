"""At any moment, what is invoiced, ready, not billed and estimated is what the records cost."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any

import pytest
from usage_management.v1 import summary_service_pb2 as summaries
from usage_management.v1 import wallet_service_pb2 as wallets

from clients import UsageError
from tests.stories.bill_words import mark
from tests.stories.consumption.amend_words import amend, void
from tests.stories.consumption.loading_words import end, start
from tests.stories.correction_words import corrections, pending
from tests.stories.token_words import Credits, described, set_up
from tests.stories.words import Metered, figure, line, moment, usage
from tests.stories.world import World

INCLUDED, RATE = 10, Decimal("0.333")


@dataclass(frozen=True)
class Parts:
    """The amounts that a wallet owes, by where they are."""

    billed: Decimal
    unbilled: Decimal
    estimated: Decimal

    @property
    def total(self) -> Decimal:
        return self.billed + self.unbilled + self.estimated


@dataclass
class Shop:
    """An account that uses a resource, and the records that count of it, by id.

    `wallet` is the resource whose wallet owes for it, `rate` what a unit costs beyond the first.
    """

    world: World
    account: str
    asset: Any
    resource: str = "calls"
    wallet: str = "calls"
    rate: Decimal = RATE
    records: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def cost(self) -> Decimal:
        """Return the cost of the records; some calls of each month are included."""
        months: dict[str, int] = {}
        for day, quantity in self.records.values():
            months[day[:7]] = months.get(day[:7], 0) + quantity
        return sum((self.rate * max(0, used - INCLUDED) for used in months.values()), Decimal(0))

    async def record(self, record_id: str, day: str, quantity: int) -> None:
        await self.world.record([usage(self.asset, self.resource, day, quantity, record_id)])
        self.records[record_id] = day, quantity

    async def amend(self, record_id: str, day: str, quantity: int) -> None:
        await amend(self.world, usage(self.asset, self.resource, day, quantity, record_id))
        self.records[record_id] = day, quantity

    async def void(self, record_id: str) -> None:
        await void(self.world, self.account, record_id)
        del self.records[record_id]

    async def corrected(self) -> None:
        async with asyncio.timeout(20):
            while await pending(self.world, self.account):  # noqa: ASYNC110 - a worker does it
                await asyncio.sleep(0.02)

    async def check(self) -> Parts:
        """Return the parts, which add up to what the records cost."""
        found = await parts(self.world, self.account, self.wallet)
        assert found.total == self.cost, (found, self.records)
        return found


async def parts(world: World, account: str, resource: str) -> Parts:
    """Read what a wallet owes, at one moment: a worker may move it between the calls."""
    while True:
        before = await world.wallet(account, resource)
        lines = [one for one in await world.liable(account) if one.wallet == before.name]
        after = await world.wallet(account, resource)
        if _still(before) == _still(after):
            billed = sum((figure(one.exact_amount) for one in lines), Decimal(0))
            return Parts(billed, figure(before.unbilled_amount), figure(before.estimated_amount))


def _still(wallet: wallets.Wallet) -> tuple[Decimal, ...]:
    return tuple(map(figure, (wallet.unbilled_amount, wallet.estimated_amount, wallet.balance)))


async def shop(sandbox: Any, **more: object) -> Shop:
    world = await sandbox("2024-01-31")
    words = {"grant": str(INCLUDED), "refresh": "MONTH", "rate": str(RATE)}
    await world.product("plan", Metered(resource="calls", **(words | more)))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    return Shop(world, account, asset)


@pytest.mark.capability("M160.moments")
@pytest.mark.parametrize("rating", ["MONTH", "DAY"])
@pytest.mark.parametrize("late", ["NEXT_PERIOD", "REOPEN"])
async def test_what_is_owed_adds_up_after_every_step(sandbox, late, rating):
    """Late, voided and amended usage: before and after its correction, and when it is billed."""
    told = await shop(sandbox, late=late, rating=rating)
    world, account = told.world, told.account
    for number, day in enumerate(("2024-01-10", "2024-01-20", "2024-01-30")):
        await told.record(f"r{number}", day, 7)
        await told.check()

    # The month is over, and nobody has billed it.
    await world.advance("2024-02-01T00:00:01")
    over = await told.check()
    assert (over.billed, over.unbilled, over.estimated) == (0, 11 * RATE, 0)
    await told.record("r3", "2024-02-01", 12)
    await told.check()
    await world.advance("2024-02-10")
    closed = await told.check()
    # The first of February is over too, if each day is rated.
    rated = 2 * RATE if rating == "DAY" else Decimal(0)
    assert closed == Parts(11 * RATE, rated, 2 * RATE - rated)

    # Corrections wait as long as usage is loaded.
    loading = await start(world, account, "2024-02-15")
    for step in (
        told.record("late", "2024-01-11", 5),
        told.amend("r0", "2024-01-12", 1),
        told.void("r1"),
        told.record("more", "2024-01-25", 30),
    ):
        await step
        waiting = await told.check()
        assert await pending(world, account)
        assert waiting.billed == 11 * RATE
    assert waiting.unbilled == (1 + 7 + 5 + 30 - 10) * RATE - 11 * RATE + rated
    await end(world, loading)
    await told.corrected()
    booked = await told.check()
    assert await corrections(world, account)
    assert booked.unbilled == (waiting.unbilled if late == "NEXT_PERIOD" else rated)

    # An invoiced line is not replaced any more: what is credited waits for the next bill.
    await mark(world, *[one.name for one in await world.liable(account)])
    await told.check()
    await told.void("more")
    await told.check()
    await told.corrected()
    credited = await told.check()
    assert credited.unbilled < 0
    await told.record("r4", "2024-02-09", 3)
    await told.check()

    # The next bill has all of it.
    await world.advance("2024-03-01T00:00:01")
    await told.check()
    await world.advance("2024-03-10")
    ended = await told.check()
    assert ended == Parts(told.cost, Decimal(0), Decimal(0))
    states = {one.state for one in await world.liable(account)}
    assert states == {summaries.LiableSummary.INVOICED, summaries.LiableSummary.READY_FOR_INVOICING}


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_owed_adds_up_whatever_happens_in_whatever_order(sandbox, seed):
    """Forty steps, and nobody waits for the corrections."""
    chance = Random(seed)
    late, rating = chance.choice(["NEXT_PERIOD", "REOPEN"]), chance.choice(["MONTH", "WEEK", "DAY"])
    told = await shop(sandbox, late=late, rating=rating)
    now, made = moment("2024-01-31"), count()

    def a_day() -> str:
        return f"{now - timedelta(days=chance.randrange(1, 30)):%F}"

    for _ in range(40):
        act = chance.choice(["record", "record", "amend", "void", "advance", "mark"])
        if act == "record":
            await told.record(f"r{next(made)}", a_day(), chance.randrange(9))
        elif act == "amend" and told.records:
            await told.amend(chance.choice(list(told.records)), a_day(), chance.randrange(9))
        elif act == "void" and told.records:
            await told.void(chance.choice(list(told.records)))
        elif act == "advance":
            now += timedelta(days=chance.randrange(1, 12))
            await told.world.advance(f"{now:%F}")
        elif act == "mark" and (lines := await told.world.liable(told.account)):
            etags = {one.name: one.etag for one in lines}
            with suppress(UsageError):
                await mark(told.world, *etags, etags=etags)
        await told.check()
    await told.world.advance(f"{now + timedelta(days=40):%F}")
    assert (await told.check()).billed == told.cost


@pytest.mark.capability("M160.moments")
async def test_what_is_owed_for_tokens_adds_up_in_their_wallet(sandbox):
    """A unit costs 2 credits, of which 20 are included and each more costs 0.20."""
    world = await sandbox("2024-01-31")
    credits = Credits(price="0.20", grant="20", refresh=True)
    await set_up(world, described("plan", {"data": "2"}, credits))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    told = Shop(world, account, asset, "data", "credits", Decimal("0.40"))

    await told.record("r0", "2024-01-10", 14)
    await told.record("r1", "2024-01-20", 4)
    await told.check()
    await world.advance("2024-02-01T00:00:01")
    over = await told.check()
    assert over.unbilled == told.cost
    await world.advance("2024-02-10")
    closed = await told.check()
    assert closed.billed == told.cost

    loading = await start(world, account, "2024-02-15")
    await told.record("late", "2024-01-11", 5)
    await told.check()
    await told.void("r0")
    await told.check()
    await told.amend("r1", "2024-02-02", 40)
    waiting = await told.check()
    assert (waiting.unbilled, waiting.estimated) == (-closed.billed, told.cost)
    await end(world, loading)
    await told.corrected()
    assert await told.check() == waiting
    # The wallet of the data owes nothing: its tokens do.
    assert await parts(world, account, "data") == Parts(
        Decimal(0), Decimal(0), figure((await world.wallet(account, "data")).estimated_amount)
    )
    await world.advance("2024-03-10")
    assert await told.check() == Parts(told.cost, Decimal(0), Decimal(0))


async def test_one_wallet_and_a_list_say_the_same(sandbox):
    told = await shop(sandbox)
    await told.record("r0", "2024-01-10", 17)
    await told.world.advance("2024-02-02")

    listed = await told.world.wallet(told.account, "calls")
    get = wallets.GetWalletRequest(name=listed.name)
    read = await told.world.client.wallets.GetWallet(get)

    assert figure(read.unbilled_amount) == figure(listed.unbilled_amount) == 7 * RATE
    assert (figure(read.estimated_amount), read.currency_code) == (0, "USD")
