"""Usage told apart by dimensions, and rates by attribute: asked for, sold and billed."""

from decimal import Decimal

import pytest
from usage_management.v1 import rate_service_pb2 as rates

from clients.values import enum_name
from tests.stories.market_words import EU, US, market, used
from tests.stories.rate_words import (
    ACTIVE,
    add,
    adjusted,
    book,
    card,
    cost,
    get,
    listed,
    move,
    priced,
    put,
    shop,
)
from tests.stories.words import figure, line, number, refusal


@pytest.mark.capability("M34")
async def test_a_rate_is_adjusted_by_the_attributes_that_are_asked_about(sandbox):
    world = await market(
        sandbox,
        (EU | {"model": "large"}, "OVERRIDE", "30"),
        (EU, "PERCENTAGE", "20"),
        (US, "AMOUNT", "2.5"),
    )

    async def cost_in(**attributes: str) -> Decimal:
        return await cost(world, 3, attributes=attributes)

    answer = await world.discover("plan", "data", attributes=EU, quantity=number(1))

    assert await cost_in() == 30
    assert await cost_in(region="eu", model="large") == 90
    assert await cost_in(region="eu", model="small") == 24
    assert await cost_in(region="us") == Decimal("37.5")
    assert await cost_in(region="mars") == 30
    assert answer.terms.attribute_entry == "rateCards/places/entries/data"
    assert [len(row.attributes) for row in answer.terms.adjustments] == [2, 1, 1]
    assert dict(answer.terms.attributes) == EU
    assert [enum_name(step, "element") for step in answer.waterfall][:2] == [
        "BASE_RATE",
        "ATTRIBUTE_ADJUSTMENT",
    ]
    assert await listed(world, "rateCards/places") == ["places/entries/data"]


async def test_an_answer_for_one_region_is_not_kept_for_another(sandbox):
    world = await market(sandbox, (EU, "PERCENTAGE", "50"))
    day = {"year": 2024, "month": 1, "day": 20}

    async def seen(**attributes: str) -> dict[str, str]:
        answer = await world.discover("plan", "data", date=day, attributes=attributes)
        return dict(answer.terms.attributes)

    assert [await seen(**place) for place in (EU, {}, US, EU, {})] == [EU, {}, US, EU, {}]


async def test_usage_of_one_asset_is_drawn_rated_and_billed_by_region(sandbox):
    """100 units are included; what each region used beyond them costs what it costs there."""
    world = await market(
        sandbox, (EU, "PERCENTAGE", "20"), (US, "OVERRIDE", "11"), grant="100", refresh="MONTH"
    )
    account = await world.account("acme")
    [asset] = await world.sell(account, line("plan", "2024-02-01"))
    await world.advance("2024-02-10")
    await used(
        world,
        asset,
        ("2024-02-02", 60, EU),
        ("2024-02-03", 50, US | {"model": "large"}),
        ("2024-02-04", 20, EU | {"unknown": "label"}),
        ("2024-02-05", 7, {}),
    )

    live = await world.wallet(account, "data")
    await world.advance("2024-03-10")
    lines = {
        dict(one.dimensions).get("region", ""): one
        for one in await world.liable(account)
        if one.start_time.ToDatetime().month == 2
    }

    # In the order of time: 60 and 40 are granted; 10 are over in the US, 20 in the EU, 7 nowhere.
    assert {place: figure(one.overage_quantity) for place, one in lines.items()} == {
        "eu": 20,
        "us": 10,
        "": 7,
    }
    assert {place: figure(one.exact_amount) for place, one in lines.items()} == {
        "eu": 160,
        "us": 110,
        "": 70,
    }
    assert dict(lines["us"].dimensions) == US | {"model": "large"}
    assert figure(live.overage_quantity) == 37
    assert figure(live.estimated_amount) == 340
    [source] = (await world.trace(lines["eu"])).sources
    days = [figure(one.usage_summary.quantity) for one in source.usage_summaries]
    assert days == [60, 20]
    steps = [enum_name(step, "element") for step in source.ratable_summary.waterfall]
    assert "ATTRIBUTE_ADJUSTMENT" in steps


async def test_volume_tiers_are_picked_by_what_all_regions_used_together(sandbox):
    """As they are for assets that share a wallet: who uses more pays less, wherever they use it."""
    world = await market(sandbox, tiers=(("0", "100", "10"), ("100", None, "5")))
    account = await world.account("acme")
    [asset] = await world.sell(account, line("plan", "2024-02-01"))
    await world.advance("2024-02-10")
    await used(world, asset, ("2024-02-02", 60, EU), ("2024-02-03", 150, US))
    await world.advance("2024-03-10")

    costs = {
        one.dimensions["region"]: figure(one.exact_amount) for one in await world.liable(account)
    }
    assert costs == {"eu": 300, "us": 750}


async def test_what_was_agreed_on_a_sale_holds_for_all_its_usage_but_where_that_says_otherwise(
    sandbox,
):
    world = await market(sandbox, (EU, "PERCENTAGE", "20"), ({"plan": "gold"}, "AMOUNT", "-3"))
    account = await world.account("acme")
    european, gold = line("plan", "2024-02-01"), line("plan", "2024-02-01")
    european.attributes.update(EU)
    gold.attributes["plan"] = "gold"
    quote = await world.quote(account, european, gold)
    assets = await world.sell(account, european, gold)
    await world.advance("2024-02-10")
    await used(world, assets[0], ("2024-02-02", 10, {}), ("2024-02-02", 10, US))
    await used(world, assets[1], ("2024-02-02", 10, {}), ("2024-02-02", 10, EU))
    await world.advance("2024-03-10")

    found = {
        (one.asset, one.dimensions.get("region", "")): figure(one.exact_amount)
        for one in await world.liable(account)
    }
    assert [dict(one.attributes) for one in quote.lines] == [EU, {"plan": "gold"}]
    assert found == {
        (assets[0].name, ""): 80,
        (assets[0].name, "us"): 100,
        (assets[1].name, ""): 70,
        (assets[1].name, "eu"): 80,
    }


async def test_an_asset_keeps_the_adjustments_it_was_sold_under(sandbox):
    world = await market(sandbox, (EU, "PERCENTAGE", "20"))
    account = await world.account("acme")
    [asset] = await world.sell(account, line("plan", "2024-02-01"))
    await move(world, "CATALOG_STATE_INACTIVE", "rateCards/places/entries/data")

    question = rates.RateQuestion(
        asset=asset.name,
        usage_resource="usageResources/data",
        attributes=EU,
        quantity=number(10),
        date={"year": 2024, "month": 2, "day": 2},
    )
    request = rates.DiscoverRatesRequest(questions=[question])
    [answer] = (await world.client.rates.DiscoverRates(request)).answers

    assert figure(answer.amount) == 80
    assert await cost(world, 10, attributes=EU) == 100


@pytest.mark.parametrize(
    ("entry", "reason", "field"),
    [
        (adjusted("data", (EU, "AMOUNT", "1"), value="1"), "RATE_CARD_TYPE_MISMATCH", "rate"),
        (priced("data"), "FIELD_REQUIRED", "adjustments"),
        (
            adjusted("data", (EU, "AMOUNT", "1"), (EU | {"model": "x"}, "AMOUNT", "2")),
            "ATTRIBUTES_INVALID",
            "adjustments[1]",
        ),
        (
            adjusted("data", (EU, "PERCENTAGE", "101")),
            "PERCENT_RANGE",
            "adjustments[0].adjustment.value",
        ),
        (adjusted("data", ({}, "AMOUNT", "1")), "FIELD_REQUIRED", "adjustments[0].attributes"),
    ],
)
async def test_an_entry_that_can_adjust_nothing_is_refused(sandbox, entry, reason, field):
    world = await market(sandbox)

    refused = await refusal(add(world, "places/data", entry))

    assert (refused.reason, refused.violations[0].field) == (reason, f"rate_card_entry.{field}")
    assert await listed(world, "rateCards/places") == []


async def test_adjustments_belong_on_a_card_of_their_own_and_need_a_rate_to_adjust(sandbox):
    world = await shop(sandbox)
    await card(world, "places", "ATTRIBUTE")
    await book(world, "bare", "places")
    row = (EU, "OVERRIDE", "3")
    wrong = await refusal(add(world, "base/data", adjusted("data", row)))
    await put(world, "places/data", adjusted("data", row))

    question = rates.RateQuestion(
        price_book="priceBooks/bare",
        product="products/plan",
        usage_resource="usageResources/data",
        currency_code="USD",
        attributes=EU,
    )
    [answer] = (
        await world.client.rates.DiscoverRates(rates.DiscoverRatesRequest(questions=[question]))
    ).answers

    assert wrong.reason == "FIELD_REQUIRED"
    assert answer.status.code != 0


async def test_an_entry_in_force_keeps_its_adjustments_and_a_draft_gets_others(sandbox):
    world = await market(sandbox, (EU, "PERCENTAGE", "20"))
    kept = await get(world, "rateCards/places/entries/data")
    again = await add(world, "places/data", adjusted("data", (EU, "PERCENTAGE", "20")))
    other = await refusal(add(world, "places/data", adjusted("data", (EU, "PERCENTAGE", "30"))))

    assert (again, other.reason) == (kept, "CODE_TAKEN")
    assert kept.state == ACTIVE
