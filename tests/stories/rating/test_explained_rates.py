"""Look-ups that say why the others lost, and look-ups of many products at once (M47)."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types

from clients.values import day as day_of
from clients.values import enum_name
from tests.stories.discovery_words import DATA, explained, reasons
from tests.stories.rate_words import ACTIVE, add_all, adding, book, card, move, priced, put, shop
from tests.stories.sale_words import PACKS, linked, plan, to
from tests.stories.token_words import Credits, commitment, described, pack, set_up
from tests.stories.words import Metered, day, figure, line, number, refusal
from tests.stories.world import World


async def selling_model(world: World, name: str) -> str:
    request = catalog_rpc.CreateSellingModelRequest(
        selling_model_id=name, selling_model=catalog.SellingModel(type="EVERGREEN")
    )
    made = (await world.client.catalog.CreateSellingModel(request)).name
    await world.client.catalog.ChangeStates(
        catalog_rpc.ChangeStatesRequest(names=[made], state="CATALOG_STATE_ACTIVE")
    )
    return made


async def test_each_entry_that_lost_says_why(sandbox):
    world = await shop(sandbox)
    yearly, weekly = await selling_model(world, "yearly"), await selling_model(world, "weekly")
    await put(world, "base/old", priced("data", "1", end="2024-01-15"))
    await put(world, "base/now", priced("data", "2", start="2024-01-15", end="2024-02-01"))
    await put(world, "base/next", priced("data", "3", start="2024-02-01"))
    await put(world, "base/euro", priced("data", "4", currency="EUR"))
    won = await put(world, "base/year", priced("data", "5", selling_model=yearly))
    await put(world, "base/week", priced("data", "6", selling_model=weekly))
    await put(world, "tiers/up", priced("data", None, ("0", None, "AMOUNT", "1"), currency="EUR"))
    on = DATA | {"date": day("2024-01-15")}

    with_model = await explained(world, **on, selling_model=yearly)
    without = await explained(world, **on)

    assert with_model.terms.base_entry == won
    assert reasons(with_model) == {
        "now": "SELLING_MODEL_FIRST",
        "old": "NOT_IN_FORCE",
        "next": "NOT_IN_FORCE",
        "week": "OTHER_SELLING_MODEL",
        "euro": "OTHER_CURRENCY",
        "up": "OTHER_CURRENCY",
    }
    assert reasons(without).keys() == {"old", "next", "week", "year", "euro", "up"}
    nearest = without.rejected_candidates[0]
    assert (nearest.entry, enum_name(nearest, "source")) == (
        "rateCards/base/entries/old",
        "CATALOG",
    )
    assert (figure(nearest.rate.value), day_of(nearest.end_date)) == (1, date(2024, 1, 15))
    assert nearest.explanation == "it applies before 2024-01-15"
    model, euro = without.rejected_candidates[3], without.rejected_candidates[-1]
    assert (model.selling_model, model.explanation) == (
        yearly if model.entry.endswith("year") else weekly,
        f"it is for the selling model {model.selling_model.partition('/')[2]}",
    )
    assert (euro.currency_code, euro.explanation) == ("EUR", "it is in EUR")


async def test_where_nothing_wins_all_say_why(sandbox):
    world = await shop(sandbox)
    for name, kind in (("late", "BASE"), ("steps", "TIER")):
        start = "2024-02-01" if name == "late" else None
        await card(world, name, kind, start=start)
    await book(world, "later", "late", "steps")
    await put(world, "late/data", priced("data", "1"))
    await put(world, "steps/off", priced("data", None, ("0", None, "PERCENTAGE", "5")))

    answer = await explained(
        world, **DATA | {"price_book": "priceBooks/later"}, date=day("2024-01-15")
    )

    assert (answer.HasField("status"), answer.HasField("terms")) == (True, False)
    assert reasons(answer) == {"off": "NO_BASE_RATE", "data": "CARD_NOT_IN_FORCE"}
    assert answer.rejected_candidates[1].explanation == "its rate card applies from 2024-02-01 on"


@pytest.mark.capability("M47")
async def test_what_an_asset_was_sold_at_shows_the_catalog_that_lost(sandbox):
    world = await shop(sandbox, Metered(resource="data"))
    listed = await put(world, "base/data", priced("data", "10", end="2024-03-01"))
    await put(world, "base/more", priced("data", "11", start="2024-03-01"))
    account = await world.account("ann")
    agreed = quotes.NegotiatedRate(
        usage_resource="usageResources/data",
        rate=types.Rate(value=number("7.5"), currency_code="USD"),
    )
    [asset] = await world.sell(account, line("plan", "2024-01-01", negotiated=[agreed]))
    [plain] = await world.sell(account, line("plan", "2024-01-01"))
    about = {"usage_resource": "usageResources/data", "date": day("2024-01-15")}

    alone = await explained(world, asset=asset.name, **about)
    both = await explained(world, asset=asset.name, quantity=number(2), **DATA, date=about["date"])
    unchanged = await explained(world, asset=plain.name, **DATA, date=about["date"])
    before = await explained(world, asset=asset.name, **DATA, date=day("2023-12-31"))

    for answer in (alone, both):
        assert (enum_name(answer, "source"), answer.asset) == ("ASSET", asset.name)
        assert (figure(answer.terms.rate.value), answer.terms.rate_negotiated) == (
            Decimal("7.5"),
            True,
        )
        rejected_candidate = answer.rejected_candidates[0]
        assert (
            rejected_candidate.entry,
            enum_name(rejected_candidate, "source"),
            figure(rejected_candidate.rate.value),
        ) == (
            listed,
            "CATALOG",
            10,
        )
        assert rejected_candidate.reason == rates.RateCandidate.NEGOTIATED
    assert reasons(alone) == {"data": "NEGOTIATED"}
    assert reasons(both) == {"data": "NEGOTIATED", "more": "NOT_IN_FORCE"}
    assert figure(both.amount) == 15
    assert (enum_name(unchanged, "source"), figure(unchanged.terms.rate.value)) == ("ASSET", 10)
    assert reasons(unchanged) == {"data": "ASSET_FIRST", "more": "NOT_IN_FORCE"}
    own = asset.name.rpartition("/")[2]
    assert (enum_name(before, "source"), figure(before.terms.rate.value)) == ("CATALOG", 10)
    assert reasons(before) == {own: "NOT_IN_FORCE", "more": "NOT_IN_FORCE"}


@pytest.mark.capability("M47")
async def test_fifty_products_are_answered_in_one_call(sandbox):
    world = await sandbox("2024-01-15")
    await world.product("plan-0", Metered(resource="data", rate="1"))
    request = rates.DiscoverRatesRequest(freshness="FULLY_CONSISTENT")
    for index in range(50):
        if index:
            await world.product(f"plan-{index}", Metered(resource="data", rate=f"{index + 1}"))
        request.questions.add(**DATA | {"product": f"products/plan-{index}"}, quantity=number(3))

    found = (await world.client.rates.DiscoverRates(request)).answers

    assert [figure(one.terms.rate.value) for one in found] == list(range(1, 51))
    assert [figure(one.amount) for one in found] == [3 * one for one in range(1, 51)]


@pytest.mark.capability("M47")
@pytest.mark.capability("M56")
async def test_packs_say_which_of_them_lost_and_why(sandbox):
    world = await sandbox("2024-01-01")
    await plan(world)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    names = {asset.name.rpartition("/")[2]: "own"}
    for name, price, start, end in PACKS:
        await set_up(world, pack(name, "credits", price=price))
        [added] = await world.sell(account, to(asset.name, name, start, end))
        names[added.name.rpartition("/")[2]] = name

    found = {}
    for on in ("2024-01-20", "2024-02-10", "2024-05-10"):
        answer = await explained(
            world, asset=asset.name, usage_resource="usageResources/credits", date=day(on)
        )
        found[on] = {names[one]: why for one, why in reasons(answer).items()}

    out, first = "NOT_IN_FORCE", {"own": "ADDITION_FIRST"}
    assert found == {
        "2024-01-20": first | {"nine": "NOT_CHEAPER", "seven": out, "six": out},
        "2024-02-10": first | {"eight": "STARTED_EARLIER", "nine": "STARTED_EARLIER", "six": out},
        "2024-05-10": {"eight": out, "nine": out, "seven": out, "six": out},
    }


async def test_of_commitments_the_lowest_wins_for_a_quantity(sandbox):
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {}, Credits(price="10"), category="USAGE"))
    for name, discount, policy in (
        ("twenty", "20", "LOWEST"),
        ("ten", "10", "LOWEST"),
        ("fifty", "50", "BOUNDED"),
    ):
        text = commitment(
            name, "credits", "5", discount=discount, policy=policy, kind="QUANTITY_COMMITMENT"
        )
        await set_up(world, text)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    names = {}
    for index, name in enumerate(("twenty", "ten", "fifty"), 1):
        [added] = await world.sell(account, linked(name, f"2024-01-0{index}", asset, nested=True))
        names[added.name.rpartition("/")[2]] = name
    about = {
        "asset": asset.name,
        "usage_resource": "usageResources/credits",
        "date": day("2024-01-20"),
    }

    priced_ = await explained(world, **about, quantity=number(3))
    unpriced = await explained(world, **about)

    assert (figure(priced_.amount), figure(priced_.terms.rate.value)) == (24, 10)
    assert {names[one]: why for one, why in reasons(priced_).items()} == {
        "ten": "NOT_LOWEST",
        "fifty": "ENDS_WITH_COMMITMENT",
    }
    assert priced_.rejected_candidates[0].explanation.endswith(": 27")
    assert {names[one]: why for one, why in reasons(unpriced).items()} == {
        "twenty": "NO_QUANTITY",
        "ten": "NO_QUANTITY",
        "fifty": "ENDS_WITH_COMMITMENT",
    }


async def test_fifty_losers_are_told_the_nearest_first_and_the_rest_counted(sandbox):
    world = await shop(sandbox)
    first = date(2024, 1, 1)
    spans = [(first + timedelta(days=one), first + timedelta(days=one + 1)) for one in range(80)]
    await add_all(
        world,
        [
            adding(f"base/d{i:02}", priced("data", "1", start=f"{a}", end=f"{b}"))
            for i, (a, b) in enumerate(spans)
        ],
    )
    await move(world, ACTIVE, *(f"rateCards/base/entries/d{i:02}" for i in range(80)))

    answer = await explained(world, **DATA, date=day("2024-01-03"))

    assert answer.terms.base_entry.endswith("/d02")
    assert (len(answer.rejected_candidates), answer.rejected_candidates_omitted) == (50, 29)
    assert [one.entry[-3:] for one in answer.rejected_candidates[:4]] == [
        "d01",
        "d03",
        "d00",
        "d04",
    ]


async def test_explanations_are_not_remembered_and_have_a_limit(sandbox):
    world = await shop(sandbox)
    await put(world, "base/data", priced("data", "1"))
    await put(world, "base/euro", priced("data", "1", currency="EUR"))
    question = DATA | {"date": day("2024-01-15")}
    request = rates.DiscoverRatesRequest(questions=[question])

    before = (await world.client.rates.DiscoverRates(request)).answers[0]
    told = await explained(world, **question)
    after = (await world.client.rates.DiscoverRates(request)).answers[0]
    again = await explained(world, **question)
    many = rates.DiscoverRatesRequest(questions=[question] * 101, explain=True)
    refused = await refusal(world.client.rates.DiscoverRates(many))
    wrong = await explained(world, **question | {"usage_resource": "data"})

    assert before == after
    assert (len(told.rejected_candidates), len(before.rejected_candidates), told) == (1, 0, again)
    assert (refused.code.name, refused.reason) == ("INVALID_ARGUMENT", "TOO_MANY_ITEMS")
    assert (refused.facts["field"], refused.facts["got"]) == ("questions", "101")
    assert (wrong.HasField("status"), len(wrong.rejected_candidates)) == (True, 0)
