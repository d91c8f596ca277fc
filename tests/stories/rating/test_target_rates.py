"""Rates that were negotiated for a target: they hold for all that is bound to it (M50, M119)."""

from decimal import Decimal
from typing import Any

import pytest
from usage_management.v1 import rate_service_pb2 as rates

from clients.values import enum_name
from tests.stories.bill_words import figures, next_book, replay
from tests.stories.discovery_words import explained, reasons
from tests.stories.market_words import EU, US, market, used
from tests.stories.preview_words import amounts, lines, preview
from tests.stories.rate_words import adjusted, priced, put
from tests.stories.rating.target_words import CREDITS, DATA, agreed, contract, owed, sell
from tests.stories.sale_words import bind, to
from tests.stories.selling.rate_plans import plan as rate_plan
from tests.stories.token_words import Credits, described, pack, set_up
from tests.stories.words import day, figure, line, money, number
from tests.stories.world import World


async def priced_on(world: World, asset: Any, on: str) -> tuple[Decimal, str, str]:
    """Return the price of a credit on a day and its source, which the rate plan must agree with."""
    question = CREDITS | {"asset": asset.name, "date": day(on)}
    request = rates.DiscoverRatesRequest(questions=[question])
    [found] = (await world.client.rates.DiscoverRates(request)).answers
    [planned] = (await rate_plan(world, asset.name, on)).lines
    answer = figure(found.terms.rate.value), enum_name(found, "source"), found.asset
    assert (figure(planned.terms.rate.value), enum_name(planned, "source"), planned.asset) == answer
    return answer


@pytest.mark.capability("M50")
@pytest.mark.capability("M119")
async def test_the_asset_then_its_target_then_the_catalog_and_the_bill_is_what_was_told(sandbox):
    """10 of the catalog; from the 5th 7 of one anchor, from the 15th to the 25th 8 of another."""
    world, account, target = await contract(sandbox)
    own, none, later = await sell(
        world,
        target,
        ("2024-01-05", None, agreed("7")),
        ("2024-01-01", None),
        ("2024-01-15", "2024-01-25", agreed("8")),
    )
    [alone] = await world.sell(account, line("plan", "2024-01-01"))

    told = {
        on: await priced_on(world, none, on)
        for on in ("2024-01-04", "2024-01-05", "2024-01-15", "2024-01-24", "2024-01-25")
    }
    for asset, on, quantity in (
        (none, "2024-01-04T23:59", 1),
        (none, "2024-01-05T00:00", 2),
        (none, "2024-01-15T00:00", 1),
        (none, "2024-01-24T23:59", 2),
        (none, "2024-01-25T00:00", 4),
        (own, "2024-01-20", 10),
        (later, "2024-01-20", 6),
        (alone, "2024-01-20", 1),
    ):
        await world.use(asset, "credits", on, quantity)
    live = {one.target: figure(one.estimated_amount) for one in await world.wallets(account)}
    await world.advance("2024-02-10")

    assert told == {
        "2024-01-04": (10, "ASSET", none.name),
        "2024-01-05": (7, "TARGET", own.name),
        "2024-01-15": (8, "TARGET", later.name),
        "2024-01-24": (8, "TARGET", later.name),
        "2024-01-25": (7, "TARGET", own.name),
    }
    assert await priced_on(world, own, "2024-01-20") == (7, "ASSET", own.name)
    assert await priced_on(world, later, "2024-01-20") == (8, "ASSET", later.name)
    assert await priced_on(world, alone, "2024-01-20") == (10, "ASSET", alone.name)
    assert await owed(world, account) == sorted(
        [
            (none.name, 1, 10),
            (none.name, 2, 14),
            (none.name, 3, 24),
            (none.name, 4, 28),
            (own.name, 10, 70),
            (later.name, 6, 48),
            (alone.name, 1, 10),
        ]
    )
    assert live == {target: 194, alone.name: 10}


@pytest.mark.capability("M50")
async def test_the_waterfall_says_on_which_line_the_rate_was_agreed(sandbox):
    world, account, target = await contract(sandbox)
    own, none = await sell(world, target, ("2024-01-15", None, agreed("7")), ("2024-01-01", None))

    await world.use(none, "credits", "2024-01-10", 1)
    await world.use(none, "credits", "2024-01-20", 1)
    await world.use(own, "credits", "2024-01-20", 1)
    await world.advance("2024-02-10")

    steps = {
        (one.asset, figure(one.net_unit_rate)): {
            enum_name(step, "element"): step for step in one.waterfall
        }
        for one in await world.ratable(account)
    }
    [listed, of_target, of_asset] = (
        steps[key] for key in ((none.name, 10), (none.name, 7), (own.name, 7))
    )
    assert "NEGOTIATED_RATE" not in listed
    step = of_target["NEGOTIATED_RATE"]
    assert (step.inputs["agreed_on"], step.inputs["rate"], step.outputs["rate"]) == (
        own.name.rpartition("/")[2],
        "10",
        "7",
    )
    assert step.note == "the rate agreed for the target replaces the catalog's"
    assert "agreed_on" not in of_asset["NEGOTIATED_RATE"].inputs


@pytest.mark.capability("M56")
@pytest.mark.capability("M119")
async def test_of_what_was_agreed_the_latest_holds_then_the_cheapest_and_the_rest_say_why(sandbox):
    world, account, target = await contract(sandbox)
    early, dear, cheap, none = await sell(
        world,
        target,
        ("2024-01-01", None, agreed("5")),
        ("2024-01-10", None, agreed("9")),
        ("2024-01-10", None, agreed("6")),
        ("2024-01-01", None),
    )
    names = {
        one.name.rpartition("/")[2]: word
        for one, word in ((early, "early"), (dear, "dear"), (cheap, "cheap"), (none, "none"))
    }

    answer = await explained(world, **CREDITS, asset=none.name, date=day("2024-01-20"))
    own = await explained(world, **CREDITS, asset=dear.name, date=day("2024-01-20"))
    before = await explained(world, **CREDITS, asset=none.name, date=day("2024-01-09"))
    await world.use(none, "credits", "2024-01-20", 2)
    await world.advance("2024-02-10")

    assert (figure(answer.terms.rate.value), enum_name(answer, "source")) == (6, "TARGET")
    assert {names.get(one, one): why for one, why in reasons(answer).items()} == {
        "plan-credits": "NEGOTIATED",
        "none": "TARGET_FIRST",
        "early": "STARTED_EARLIER",
        "dear": "NOT_CHEAPER",
    }
    words = {
        one.asset: (enum_name(one, "source"), one.explanation) for one in answer.rejected_candidates
    }
    assert words[none.name] == (
        "ASSET",
        "what was agreed for the target goes before the catalog's",
    )
    assert words[early.name] == ("TARGET", "another agreement for the target started later")
    assert {names.get(one, one): why for one, why in reasons(own).items()} == {
        "plan-credits": "NEGOTIATED",
        "early": "ASSET_NEGOTIATED",
        "cheap": "ASSET_NEGOTIATED",
    }
    assert (figure(before.terms.rate.value), before.asset) == (5, early.name)
    assert {names.get(one, one): why for one, why in reasons(before).items()} == {
        "plan-credits": "NEGOTIATED",
        "none": "TARGET_FIRST",
        "dear": "NOT_IN_FORCE",
        "cheap": "NOT_IN_FORCE",
    }
    assert await owed(world, account) == [(none.name, 2, 12)]


@pytest.mark.capability("M56")
async def test_packs_compete_with_what_was_agreed_as_with_what_the_asset_negotiated(sandbox):
    world, account, target = await contract(sandbox)
    own, none = await sell(world, target, ("2024-01-01", None, agreed("7")), ("2024-01-01", None))
    await set_up(world, pack("cheap", "credits", price="2"))
    await set_up(world, pack("better", "credits", price="3"))
    [cheap] = await world.sell(
        account, to(target, "cheap", "2024-01-05", "2024-01-25", binding="CONTRACT")
    )
    wish = {"negotiated_rates": [agreed("4")]}
    [better] = await world.sell(
        account, to(target, "better", "2024-01-10", "2024-01-20", binding="CONTRACT", **wish)
    )

    told = [await priced_on(world, none, on) for on in ("2024-01-06", "2024-01-12", "2024-01-22")]
    answer = await explained(world, **CREDITS, asset=none.name, date=day("2024-01-12"))
    for on in ("2024-01-06", "2024-01-12", "2024-01-22"):
        await world.use(none, "credits", on, 1)
    await world.advance("2024-02-10")

    assert told == [(7, "TARGET", own.name), (4, "ASSET", better.name), (7, "TARGET", own.name)]
    why = reasons(answer)
    assert {why[one.name.rpartition("/")[2]] for one in (own, none)} == {"ADDITION_FIRST"}
    assert why[cheap.name.rpartition("/")[2]] == "NOT_NEGOTIATED"
    assert sum(one[2] for one in await owed(world, account)) == 18


async def test_a_fixed_rate_stays_and_what_is_bound_to_itself_is_not_asked(sandbox):
    world, account, target = await contract(sandbox)
    await set_up(world, described("other", {}, Credits(price="12"), category="USAGE"))
    [entry] = [
        one.name
        for one in (
            await world.client.rates.ListRateCardEntries(
                rates.ListRateCardEntriesRequest(parent="rateCards/base", product="products/other")
            )
        ).rate_card_entries
    ]
    await world.client.rates.ChangeRateCardEntryStates(
        rates.ChangeRateCardEntryStatesRequest(names=[entry], state="CATALOG_STATE_INACTIVE")
    )
    fixed = priced("credits", "11", product="other", negotiability="NON_NEGOTIABLE")
    await put(world, "base/fixed", fixed)
    [own] = await sell(world, target, ("2024-01-01", None, agreed("7")))
    [kept] = await world.sell(account, to(target, "other", "2024-01-01", binding="CONTRACT"))
    wish = line("plan", "2024-01-01", negotiated=[agreed("3")])
    [alone] = await world.sell(account, wish)
    # Bound to what is bound to itself: it shares wallets, and nothing is agreed for a target.
    [joined] = await world.sell(account, to(alone.name, "plan", "2024-01-01"))

    told = {one.name: await priced_on(world, one, "2024-01-20") for one in (kept, joined)}
    why = reasons(await explained(world, **CREDITS, asset=kept.name, date=day("2024-01-20")))
    await world.use(kept, "credits", "2024-01-20", 1)
    await world.use(joined, "credits", "2024-01-20", 1)
    await world.advance("2024-02-10")

    assert told == {
        kept.name: (11, "ASSET", kept.name),
        joined.name: (10, "ASSET", joined.name),
    }
    assert why == {own.name.rpartition("/")[2]: "RATE_FIXED"}
    assert sorted(one[2] for one in await owed(world, account)) == [10, 11]


async def test_tiers_that_were_negotiated_come_with_the_rate_they_adjust(sandbox):
    """Half off from a hundred on, agreed on a line at ten: another at twelve pays as that one."""
    world, account, target = await contract(sandbox)
    await set_up(world, described("other", {}, Credits(price="12"), category="USAGE"))
    steps = ("0", "100", "PERCENTAGE", "0"), ("100", None, "PERCENTAGE", "50")
    [own] = await sell(world, target, ("2024-01-01", None, agreed(None, *steps)))
    [other] = await world.sell(account, to(target, "other", "2024-01-01", binding="CONTRACT"))

    await world.use(other, "credits", "2024-01-10", 120)
    [planned] = (await rate_plan(world, other.name, "2024-01-10")).lines
    await world.advance("2024-02-10")

    assert (enum_name(planned, "source"), planned.asset) == ("TARGET", own.name)
    assert await owed(world, account) == [(other.name, 120, 600)]
    [rated] = [one for one in await world.ratable(account) if figure(one.overage_quantity)]
    [step] = [one for one in rated.waterfall if enum_name(one, "element") == "VOLUME_TIER"]
    assert (step.inputs["tiers"], step.inputs["agreed_on"]) == (
        "target",
        own.name.rpartition("/")[2],
    )


async def test_tokens_that_were_agreed_for_the_account_are_those_of_its_other_assets(sandbox):
    """3 credits a unit by the catalog, 2 agreed; a credit is 5 by the catalog, 4 agreed."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "3"}, Credits(price="5")))
    account = await world.account("ann")
    in_tokens = agreed("2", unit={"token_unit": "unitsOfMeasure/credit"}, **DATA)
    wish = {"binding": "ACCOUNT", "negotiated": [in_tokens, agreed("4")]}
    none, own = await world.sell(
        account,
        line("plan", "2024-01-01", binding="ACCOUNT"),
        line("plan", "2024-01-15", **wish),
    )

    await world.use(none, "data", "2024-01-10", 10)
    await world.use(none, "data", "2024-01-20", 10)
    [credits] = [one for one in await world.wallets(account) if "credits" in one.usage_resource]
    lines = (await rate_plan(world, none.name, "2024-01-20")).lines
    await world.advance("2024-02-20")

    assert [
        (figure(one.terms.rate.value), enum_name(one, "source"), one.asset) for one in lines
    ] == [
        (4, "TARGET", own.name),
        (2, "TARGET", own.name),
    ]
    # 30 credits at 5 until the 15th, 20 at 4 from then on.
    assert figure(credits.estimated_amount) == 150 + 80
    assert sorted(
        money(one.amount) for one in await world.liable(account) if money(one.amount)
    ) == [
        80,
        150,
    ]


async def test_the_attributes_of_usage_pick_among_the_adjustments_that_were_agreed(sandbox):
    """The one was sold before there were adjustments, the other after, at 8 for both."""
    world = await market(sandbox)
    account = await world.account("ann")
    target = await bind(world, account, "deal", "CUSTOM")
    bound = {"binding": "CUSTOM"}
    [none] = await world.sell(account, to(target, "plan", "2024-01-01", **bound))
    rows = (EU, "PERCENTAGE", "50"), (US, "AMOUNT", "1")
    await put(world, "places/data", adjusted("data", *rows))
    wish = {"negotiated_rates": [agreed("8", **DATA)]}
    [own] = await world.sell(account, to(target, "plan", "2024-01-01", **bound, **wish))

    on = {"asset": none.name, "date": day("2024-01-10"), "quantity": number(2), **DATA}
    answer = await explained(world, **on, attributes=EU)
    await used(world, none, *(("2024-01-10", 2, place) for place in (EU, US, {})))
    await world.advance("2024-02-10")

    assert (enum_name(answer, "source"), answer.asset, figure(answer.amount)) == (
        "TARGET",
        own.name,
        8,
    )
    bill = {one.dimensions["region"]: money(one.amount) for one in await world.liable(account)}
    assert bill == {"eu": 8, "us": 18, "": 16}


async def test_what_was_agreed_stays_in_a_replay_and_adjusts_the_other_books_rate(sandbox):
    """7 stays 7; half off is half off 20, on the line of another product than the one used."""
    world, account, target = await contract(sandbox)
    await set_up(world, described("other", {}, Credits(price="12"), category="USAGE"))
    half = agreed(None, ("0", None, "PERCENTAGE", "50"))
    await sell(world, target, ("2024-01-01", None, agreed("7")), ("2024-01-15", "2024-01-25", half))
    [other] = await world.sell(account, to(target, "other", "2024-01-01", binding="CONTRACT"))
    for on in ("2024-01-10", "2024-01-20"):
        await world.use(other, "credits", on, 10)
    previewed = await preview(world, account, *lines(other, "credits", ("2024-01-20", 1)))
    await world.advance("2024-02-10")
    await next_book(world)
    await put(world, "next-base/plan", priced("credits", "20"))
    await put(world, "next-base/other", priced("credits", "30", product="other"))

    answer = await replay(world, account)

    assert amounts(previewed) == [5]
    assert sorted(one for one in figures(answer) if one[0]) == [(50, 100, 50), (70, 70, 0)]
