"""Replays of what was rated in tokens, by packs and by commitments, drawn again where need be."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from usage_management.v1 import preview_service_pb2 as pb

from tests.stories.bill_words import draft, figures, next_book, replay
from tests.stories.preview_words import rows
from tests.stories.rate_words import priced, put
from tests.stories.sale_words import linked, platform, to
from tests.stories.token_words import Credits, commitment, described, pack, set_up
from tests.stories.words import figure, line
from tests.stories.world import World


async def rated_in_credits(sandbox: Any, costs: str = "10") -> tuple[World, str]:
    """8 units of data at `costs` credits each; 5 credits are included, one costs 2."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": costs}, Credits(price="2", grant="5")))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "data", "2024-01-05", 8)
    await world.advance("2024-02-10")
    await next_book(world)
    return world, account


def by_resource(answer: pb.ReplayRatesResponse) -> dict[str, tuple[Decimal, ...]]:
    """Return the overage and the amount, as billed and as replayed."""
    return {
        one.usage_resource.removeprefix("usageResources/"): tuple(
            map(
                figure,
                (
                    one.overage_quantity,
                    one.replayed_overage_quantity,
                    one.rated_amount,
                    one.replayed_amount,
                ),
            )
        )
        for one in answer.summaries
    }


async def cost(world: World, resource: str, price: str, product: str = "plan", **more: Any) -> None:
    """Set the price of a resource of a product in the other book."""
    entry = priced(resource, price, product=product, **more)
    await put(world, f"next-base/{product}-{resource}", entry)


CREDIT = {"currency": "unitsOfMeasure/credit"}


async def test_another_price_of_a_token_prices_what_is_left_of_them(sandbox: Any) -> None:
    world, account = await rated_in_credits(sandbox)
    await cost(world, "data", "10", **CREDIT)
    await cost(world, "credits", "3")

    answer = await replay(world, account)
    same = await replay(world, account, price_book="priceBooks/book")

    assert by_resource(answer) == {"data": (8, 8, 80, 80), "credits": (75, 75, 150, 225)}
    assert {difference for _, _, difference in figures(same)} == {0}
    assert (len(same.summaries), answer.left_out_count) == (2, 0)
    totals = {(one.currency_code, one.token_unit): one.difference for one in answer.totals}
    assert figure(totals["USD", ""]) == 75
    assert figure(totals["", "unitsOfMeasure/credit"]) == 0


async def test_other_costs_in_tokens_draw_other_tokens(sandbox: Any, story_database: str) -> None:
    """8 units at 2 credits are 16, of which 5 are included; at half a credit they are 4."""
    world, account = await rated_in_credits(sandbox)
    await cost(world, "data", "2", **CREDIT)
    await cost(world, "credits", "2")
    half = priced("data", "0.5", start="2024-01-01", **CREDIT)
    await draft(world, "next-base", "half", half)
    before = await rows(story_database, world)

    answer = await replay(world, account)
    less = await replay(world, account, include_drafts=True)

    assert by_resource(answer) == {"data": (8, 8, 80, 16), "credits": (75, 11, 150, 22)}
    assert by_resource(less) == {"data": (8, 8, 80, 4), "credits": (75, 0, 150, 0)}
    assert (answer.left_out_count, less.left_out_count) == (0, 0)
    assert await rows(story_database, world) == before


async def test_what_would_cost_tokens_for_the_first_time_is_named_too(sandbox: Any) -> None:
    world, account = await rated_in_credits(sandbox, costs="0")
    await cost(world, "data", "2", **CREDIT)
    await cost(world, "credits", "2")

    answer = await replay(world, account)

    assert by_resource(answer) == {"data": (8, 8, 0, 16), "credits": (0, 11, 0, 22)}
    [new] = [one for one in answer.summaries if not one.ratable_summary]
    assert new.usage_resource == "usageResources/credits"
    assert len(await world.ratable(account)) == 1


async def test_tokens_that_nobody_can_count_are_not_priced(sandbox: Any) -> None:
    world, account = await rated_in_credits(sandbox)
    await cost(world, "credits", "3")

    answer = await replay(world, account)

    assert len(answer.summaries) == 2
    assert ["RATE_NOT_FOUND" in str(one.status) for one in answer.summaries] == [True, True]
    assert (answer.left_out_count, list(answer.totals)) == (2, [])


async def boosted(sandbox: Any, *packs: tuple[str, str | None, str, str]) -> tuple[World, str]:
    """A plan at 10, and packs with a price or one unit; each month five units are used twice."""
    world = await sandbox("2024-01-01")
    await set_up(world, described("plan", {}, Credits(price="10"), category="USAGE"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    for name, price, start, end in packs:
        await set_up(world, pack(name, "credits", price=price, grant=None if price else "1"))
        await world.sell(account, to(asset.name, name, start, end))
    for month in ("01", "02", "03"):
        await world.advance(f"2024-{month}-20")
        await world.use(asset, "credits", f"2024-{month}-10", 5)
        await world.use(asset, "credits", f"2024-{month}-18", 5)
    await world.advance("2024-04-10")
    await next_book(world)
    return world, account


async def test_packs_compete_again_with_their_prices_in_the_other_book(sandbox: Any) -> None:
    """Until 1 February 8 a unit, in February 7 or 8, whichever is cheaper there, then 10 again."""
    world, account = await boosted(
        sandbox,
        ("eight", "8", "2024-01-15", "2024-03-01"),
        ("seven", "7", "2024-02-01", "2024-03-01"),
        ("nine", "9", "2024-02-01", "2024-03-01"),
    )
    await cost(world, "credits", "10")
    await cost(world, "credits", "6", "eight")
    await cost(world, "credits", "5", "seven")
    await cost(world, "credits", "4", "nine")

    answer = await replay(world, account)
    same = await replay(world, account, price_book="priceBooks/book")

    assert sorted(figures(answer)[:2]) == [(40, 30, -10), (50, 50, 0)]
    assert figures(answer)[2:] == [(70, 40, -30), (100, 100, 0)]
    assert answer.summaries[2].terms.base_entry == "rateCards/next-base/entries/nine-credits"
    assert {difference for _, _, difference in figures(same)} == {0}


async def test_a_pack_without_a_price_there_leaves_the_earlier_one(sandbox: Any) -> None:
    """And one that has a price only there splits what was rated as one."""
    world, account = await boosted(
        sandbox,
        ("eight", "8", "2024-01-15", "2024-03-01"),
        ("more", None, "2024-03-15", "2024-04-01"),
    )
    await cost(world, "credits", "10")
    await cost(world, "credits", "6", "more")

    answer = await replay(world, account)
    same = await replay(world, account, price_book="priceBooks/book")

    january, february, march = figures(answer)[:2], figures(answer)[2], figures(answer)[3]
    assert sorted(january) == [(40, 50, 10), (50, 50, 0)]
    assert (february, march) == ((80, 100, 20), (90, 5 * 10 + 4 * 6, -16))
    assert answer.left_out_count == 0
    assert {difference for _, _, difference in figures(same)} == {0}


async def test_usage_beyond_a_commitment_has_its_rate_in_the_other_book(sandbox: Any) -> None:
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {}, Credits(price="10"), category="USAGE"))
    text = commitment("commit", "credits", "10", discount="20", kind="QUANTITY_COMMITMENT")
    await set_up(world, text)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, linked("commit", "2024-01-01", asset))
    await world.use(asset, "credits", "2024-01-05", 25)
    await world.advance("2024-02-10")
    await next_book(world)
    await cost(world, "credits", "10")
    half = priced("credits", None, ("0", None, "PERCENTAGE", "50"), product="commit")
    await put(world, "next-tiers/commit", half)

    answer = await replay(world, account)
    same = await replay(world, account, price_book="priceBooks/book")

    assert figures(answer) == [(120, 75, -45)]
    assert figures(same) == [(120, 120, 0)]


@pytest.mark.parametrize(
    ("policy", "discount", "left", "owed"),
    [
        # 20 % off: 25,000 pay for 31,250, the grant for 10,000, and 35,250 are left.
        ("LOWEST", "20", "35250", "14100"),  # × 0.8 × 0.50
        ("BOUNDED", "20", "35250", "17625"),  # × 0.50
    ],
)
async def test_another_discount_of_a_commitment_pays_for_more(
    sandbox: Any, story_database: str, policy: str, discount: str, left: str, owed: str
) -> None:
    """X13 and X15 at another discount: 76,500 tokens are used."""
    world = await sandbox("2024-01-31")
    account, asset = await platform(world, policy)
    await world.use(asset, "minutes", "2024-01-10", 15_000)
    await world.use(asset, "storage", "2024-01-10", 150)
    await world.advance("2024-02-10")
    await next_book(world)
    await cost(world, "minutes", "5", **CREDIT)
    await cost(world, "storage", "10", **CREDIT)
    await cost(world, "credits", "0.50")
    tier = ("0", None, "PERCENTAGE", discount)
    await put(world, "next-tiers/commit", priced("credits", None, tier, product="commit"))
    before = await rows(story_database, world)

    answer = await replay(world, account)
    same = await replay(world, account, price_book="priceBooks/book")

    _, overage, _, amount = by_resource(answer)["credits"]
    assert (overage, amount) == (Decimal(left), Decimal(owed))
    assert (answer.left_out_count, len(same.summaries)) == (0, 3)
    assert {difference for _, _, difference in figures(same)} == {0}
    assert await rows(story_database, world) == before


async def a_quarter(sandbox: Any, prices: dict[str, str], discount: str) -> tuple[World, str]:
    """Three months of two resources, with grants, a commitment, a pack and late usage."""
    world = await sandbox("2024-01-20")
    costs = {"minutes": prices["minutes"], "storage": prices["storage"]}
    credits = Credits(price=prices["credits"], grant="100", refresh=True)
    await set_up(world, described("plan", costs, credits, grants={"minutes": "7"}))
    text = commitment("commit", "credits", "120", discount=discount, refresh=True)
    await set_up(world, text)
    await set_up(world, pack("booster", "credits", grant="33", price=prices["booster"]))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, linked("commit", "2024-01-10", asset))
    await world.sell(account, to(asset.name, "booster", "2024-02-05", "2024-03-10"))
    for month, minutes in (("01", 40), ("02", 90), ("03", 65)):
        await world.advance(f"2024-{month}-28")
        await world.use(asset, "minutes", f"2024-{month}-03", minutes)
        await world.use(asset, "storage", f"2024-{month}-15", 13)
        await world.use(asset, "minutes", f"2024-{month}-20", minutes)
    await world.use(asset, "storage", "2024-01-15", 11)
    await world.advance("2024-05-10")
    return world, account


def by_origin(
    lines: Iterable[tuple[Any, Decimal, Decimal]],
) -> dict[tuple[str, int], tuple[Decimal, Decimal]]:
    """The overage and the amount of each resource and period of usage."""
    found: dict[tuple[str, int], tuple[Decimal, Decimal]] = {}
    for one, overage, amount in lines:
        key = (one.usage_resource, one.origin_start_time.seconds)
        before = found.get(key, (Decimal(0), Decimal(0)))
        found[key] = (before[0] + overage, before[1] + amount)
    return found


async def test_a_replay_is_what_it_would_have_been_sold_for(sandbox: Any) -> None:
    """The same quarter, sold at the one rates and replayed at the others, is sold at the others."""
    ours = {"minutes": "1.5", "storage": "4", "credits": "0.7", "booster": "0.65"}
    theirs = {"minutes": "2.25", "storage": "3", "credits": "0.9", "booster": "0.3"}
    world, account = await a_quarter(sandbox, ours, "10")
    other, same_account = await a_quarter(sandbox, theirs, "30")
    await next_book(world)
    await cost(world, "minutes", theirs["minutes"], **CREDIT)
    await cost(world, "storage", theirs["storage"], **CREDIT)
    await cost(world, "credits", theirs["credits"])
    await cost(world, "credits", theirs["booster"], "booster")
    tier = ("0", None, "PERCENTAGE", "30")
    await put(world, "next-tiers/commit", priced("credits", None, tier, product="commit"))

    answer = await replay(world, account)
    same = await replay(world, account, price_book="priceBooks/book")

    # Late usage is a correction there; here it is a part of the usage of its period.
    replayed = by_origin(
        (one, figure(one.replayed_overage_quantity), figure(one.replayed_amount))
        for one in answer.summaries
    )
    sold = by_origin(
        (one, figure(one.overage_quantity), figure(one.amount))
        for one in await other.ratable(same_account)
    )
    assert replayed == sold
    assert answer.left_out_count == 0
    assert len(answer.summaries) > 10
    assert len({difference for _, _, difference in figures(answer)}) > 5
    assert {difference for _, _, difference in figures(same)} == {0}


async def test_what_was_granted_afterwards_pays_for_what_is_replayed(sandbox: Any) -> None:
    """More was granted for a time that is final, which a correction took in."""
    world, account = await rated_in_credits(sandbox)
    await set_up(world, pack("booster", "credits", grant="20"))
    asset = (await world.ratable(account))[0].asset
    await world.sell(account, to(asset, "booster", "2024-01-01", "2024-02-01"))
    await cost(world, "data", "2", **CREDIT)
    await cost(world, "credits", "2")
    await world.advance("2024-02-11")

    answer = await replay(world, account)
    same = await replay(world, account, price_book="priceBooks/book")

    assert (answer.left_out_count, same.left_out_count) == (0, 0)
    # 80 credits, less 5 and 20; at 2 credits each, 16 are paid for by them.
    assert by_resource(answer)["credits"] == (55, 0, 110, 0)
    assert {difference for _, _, difference in figures(same)} == {0}
