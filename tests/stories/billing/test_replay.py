"""Replays: what final usage would have cost at other rates, beside what it came to."""

from typing import Any

import pytest
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types

from clients import UsageError
from clients.values import enum_name
from tests.stories.bill_words import draft, figures, next_book, replay
from tests.stories.discovery_words import CATALOG, stack
from tests.stories.market_words import EU, US, market, used
from tests.stories.preview_words import rows
from tests.stories.procedure_words import BASE, INACTIVE, SETTING, formula, use_own, version
from tests.stories.procedure_words import put as change_states
from tests.stories.rate_words import adjusted, book, card, priced, put
from tests.stories.words import Metered, day, figure, line, moment, number, refusal, stamp
from tests.stories.world import World


async def two_months(sandbox: Any, *metered: Metered) -> tuple[World, str, Any]:
    """A plan used in January and February, of which both are final."""
    world = await sandbox("2024-01-31")
    await world.product("plan", *metered)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    for at, quantity in (("2024-01-05", 30), ("2024-01-25", 20)):
        await world.use(asset, "calls", at, quantity)
    await world.advance("2024-02-20")
    await world.use(asset, "calls", "2024-02-10", 25)
    await world.advance("2024-03-10")
    await next_book(world)
    return world, account, asset


async def test_what_a_procedure_rated_is_replayed_by_it(sandbox: Any) -> None:
    """January by the shipped procedure, February by an own one that is withdrawn since."""
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="2"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-05", 10)
    await world.advance("2024-02-20")
    own = await version(world, "v1", [SETTING, BASE, formula("net_unit_rate + 3")])
    await use_own(world)
    await world.use(asset, "calls", "2024-02-10", 10)
    await world.advance("2024-03-10")
    await version(world, "v2", [SETTING, BASE, formula("net_unit_rate + 100")], rank=2)
    await change_states(world, own.name, state=INACTIVE)
    await next_book(world)
    await put(world, "next-base/calls", priced("calls", "4"))

    answer = await replay(world, account)

    assert figures(answer) == [(20, 40, 20), (50, 70, 20)]
    assert answer.left_out_count == 0


async def test_another_base_rate_prices_what_grants_left(sandbox: Any) -> None:
    world, account, asset = await two_months(
        sandbox, Metered(resource="calls", grant="10", refresh="MONTH", rate="2")
    )
    await put(world, "next-base/calls", priced("calls", "3"))

    answer = await replay(world, account)
    february = await replay(world, account, start_time=stamp(moment("2024-02-01")))
    none = await replay(world, account, end_time=stamp(moment("2024-01-01")))

    assert figures(answer) == [(80, 120, 40), (30, 45, 15)]
    assert [figure(one.overage_quantity) for one in answer.summaries] == [40, 15]
    assert {one.terms.base_entry for one in answer.summaries} == {
        "rateCards/next-base/entries/calls"
    }
    assert [one.ratable_summary for one in answer.summaries] == [
        one.name for one in await world.ratable(account)
    ]
    assert [enum_name(one.waterfall[0], "element") for one in answer.summaries] != []
    [total] = answer.totals
    assert (total.currency_code, total.summary_count, answer.left_out_count) == ("USD", 2, 0)
    assert [figure(one) for one in (total.rated_amount, total.replayed_amount)] == [110, 165]
    assert figure(total.difference) == 55
    assert figures(february) == [(30, 45, 15)]
    assert (list(none.summaries), list(none.totals)) == ([], [])
    only = await replay(world, account, asset=asset.name)
    assert only == answer


@pytest.mark.parametrize(
    ("mode", "january", "february"), [("VOLUME", 40, 30), ("GRADUATED", 60, 30)]
)
async def test_other_tiers_are_picked_by_what_was_used(
    sandbox: Any, mode: str, january: int, february: int
) -> None:
    world, account, _ = await two_months(
        sandbox, Metered(resource="calls", grant="10", refresh="MONTH", rate="2")
    )
    await put(world, "next-base/calls", priced("calls", "2"))
    steps = (("0", "20", "OVERRIDE", "2"), ("20", None, "OVERRIDE", "1"))
    await put(world, "next-tiers/calls", priced("calls", None, *steps, mode=mode))

    answer = await replay(world, account)

    assert [replayed for _, replayed, _ in figures(answer)] == [january, february]


async def test_the_same_rates_come_to_the_same(sandbox: Any) -> None:
    """Late usage, a peak, tiers and a rate for so many units: what is kept is what is replayed."""
    tiers = (("0", "20", "1.7"), ("20", None, "0.3"))
    world, account, asset = await two_months(
        sandbox,
        Metered(resource="calls", grant="7", refresh="MONTH", rate="2", per="3", tiers=tiers),
        Metered(resource="seats", method="PEAK", rate="0.01"),
    )
    await world.use(asset, "calls", "2024-01-28", 9)
    await world.use(asset, "seats", "2024-03-02", 5)
    await world.advance("2024-04-10")

    answer = await replay(world, account, price_book="priceBooks/book")

    # A line and its correction are one.
    assert (len(answer.summaries), len(await world.ratable(account))) == (3, 4)
    assert {difference for _, _, difference in figures(answer)} == {0}
    assert answer.left_out_count == 0
    rated = sum(figure(one.amount) for one in await world.ratable(account))
    assert sum(figure(one.rated_amount) for one in answer.summaries) == rated


async def test_what_has_no_rate_is_named_and_in_no_total(sandbox: Any) -> None:
    world, account, asset = await two_months(
        sandbox, Metered(resource="calls", rate="2"), Metered(resource="sms", rate="1")
    )
    await world.use(asset, "sms", "2024-03-09", 4)
    await world.advance("2024-04-10")
    await put(world, "next-base/calls", priced("calls", "3", start="2024-02-01"))

    as_sold = await replay(world, account)
    as_of_today = await replay(world, account, rate_date=day("2024-04-01"))

    assert [one.HasField("replayed_amount") for one in as_sold.summaries] == [False] * 3
    assert ["RATE_NOT_FOUND" in str(one.status) for one in as_sold.summaries] == [True] * 3
    assert "2024-01-01" in as_sold.summaries[0].status.message
    assert (as_sold.left_out_count, list(as_sold.totals)) == (3, [])
    priced_, free = as_of_today.summaries[:2], as_of_today.summaries[2]
    assert [figure(one.difference) for one in priced_] == [50, 25]
    assert free.usage_resource == "usageResources/sms"
    assert not free.HasField("difference")
    assert "RATE_NOT_FOUND" in str(free.status)
    assert as_of_today.left_out_count == 1
    assert figure(as_of_today.totals[0].rated_amount) == 150


async def test_what_was_negotiated_stays(sandbox: Any) -> None:
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="2"))
    account = await world.account("ann")
    wish = quotes.NegotiatedRate(
        usage_resource="usageResources/calls",
        rate=types.Rate(value=number("1.5"), currency_code="USD"),
    )
    [asset] = await world.sell(account, line("plan", "2024-01-01", negotiated=[wish]))
    await world.use(asset, "calls", "2024-01-05", 10)
    await world.advance("2024-02-10")
    await next_book(world)
    await put(world, "next-base/calls", priced("calls", "3"))

    answer = await replay(world, account)

    assert figures(answer) == [(15, 15, 0)]
    assert answer.summaries[0].terms.rate_negotiated


@pytest.mark.parametrize(
    ("mode", "bounds", "quantity", "amount"),
    [("GRADUATED", "LOWER_INCLUSIVE", 20, 60), ("VOLUME", "UPPER_INCLUSIVE", 10, 50)],
)
async def test_negotiated_tiers_stay_as_they_were_meant(
    sandbox: Any, mode: str, bounds: str, quantity: int, amount: int
) -> None:
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="10"))
    account = await world.account("ann")
    steps = (("0", "10", "OVERRIDE", "5"), ("10", None, "OVERRIDE", "1"))
    tiers = priced("calls", None, *steps, mode=mode, bounds=bounds).tiers
    wish = quotes.NegotiatedRate(usage_resource="usageResources/calls", tiers=tiers)
    [asset] = await world.sell(account, line("plan", "2024-01-01", negotiated=[wish]))
    await world.use(asset, "calls", "2024-01-05", quantity)
    await world.advance("2024-02-10")
    await next_book(world)

    answer = await replay(world, account, price_book="priceBooks/book")
    without_entries = await replay(world, account)

    assert figures(answer) == figures(without_entries) == [(amount, amount, 0)]


async def test_bad_requests_are_refused(sandbox: Any) -> None:
    world, account, asset = await two_months(sandbox, Metered(resource="calls", rate="2"))
    nobody = f"{account}/assets/00000000-0000-7000-8000-000000000000"

    async def reason(**more: Any) -> str:
        return (await refusal(replay(world, more.pop("parent", account), **more))).reason

    assert await reason(parent="accounts/nobody") == "ACCOUNT_NOT_FOUND"
    assert await reason(price_book="priceBooks/none") == "PRICE_BOOK_NOT_FOUND"
    assert await reason(price_book="") == "FIELD_REQUIRED"
    assert await reason(asset=nobody) == "ASSET_NOT_FOUND"
    assert await reason(asset=asset.name.replace("ann", "bob")) == "NAME_FORMAT"
    at = stamp(moment("2024-02-01"))
    assert await reason(start_time=at, end_time=at) == "INTERVAL_INVALID"


async def test_a_replay_writes_nothing(sandbox: Any, story_database: str) -> None:
    world, account, _ = await two_months(sandbox, Metered(resource="calls", rate="2"))
    await put(world, "next-base/calls", priced("calls", "3"))
    before = await rows(story_database, world)

    answer = await replay(world, account)

    assert len(answer.summaries) == 2
    assert await rows(story_database, world) == before


async def test_drafts_are_tried_before_they_are_in_force(sandbox: Any, story_database: str) -> None:
    """A draft goes before what is active on its days, and nobody else sees it."""
    world, account, _ = await two_months(sandbox, Metered(resource="calls", rate="2"))
    await put(world, "next-base/calls", priced("calls", "3"))
    february = priced("calls", "4", start="2024-02-01", end="2024-03-01")
    await draft(world, "next-base", "trial", february)
    steps = (("0", "30", "OVERRIDE", "1"), ("30", None, "OVERRIDE", "0.5"))
    await draft(world, "next-tiers", "steps", priced("calls", None, *steps))
    before = await rows(story_database, world)

    january, second = stamp(moment("2024-01-31")), stamp(moment("2024-02-01"))
    trial = await replay(world, account, include_drafts=True, rate_date=day("2024-02-01"))
    as_sold = await replay(world, account, include_drafts=True, end_time=second)
    active = await replay(world, account)

    assert figures(trial) == [(100, 25, -75), (50, 25, -25)]
    assert {one.terms.base_entry for one in trial.summaries} == {
        "rateCards/next-base/entries/trial"
    }
    assert figures(as_sold) == [(100, 25, -75)]
    assert as_sold.summaries[0].terms.base_entry == "rateCards/next-base/entries/calls"
    assert figures(active) == [(100, 150, 50), (50, 75, 25)]
    assert figures(await replay(world, account, start_time=january)) == [(50, 75, 25)]
    assert await rows(story_database, world) == before
    asked = rates.RateQuestion(
        price_book="priceBooks/next",
        product="products/plan",
        usage_resource="usageResources/calls",
        currency_code="USD",
        date=day("2024-02-01"),
    )
    request = rates.DiscoverRatesRequest(questions=[asked], freshness="FULLY_CONSISTENT")
    [found] = (await world.client.rates.DiscoverRates(request)).answers
    assert figure(found.terms.rate.value) == 3


async def test_adjustments_by_attribute_are_those_of_the_other_book(sandbox: Any) -> None:
    world = await market(sandbox, (EU, "PERCENTAGE", "20"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-15"))
    await used(world, asset, ("2024-01-15", 5, EU), ("2024-01-15", 3, US))
    await world.advance("2024-02-10")
    await card(world, "next-base")
    await card(world, "next-places", "ATTRIBUTE")
    await book(world, "next", "next-base", "next-places")
    await put(world, "next-base/data", priced("data", "10"))
    await put(world, "next-places/data", adjusted("data", (US, "PERCENTAGE", "50")))

    same = await replay(world, account, price_book="priceBooks/book")
    answer = await replay(world, account)

    by_region = {one.dimensions["region"]: one for one in answer.summaries}
    assert figure(by_region["eu"].rated_amount) == 40
    assert figure(by_region["eu"].replayed_amount) == 50
    assert figure(by_region["us"].rated_amount) == 30
    assert figure(by_region["us"].replayed_amount) == 15
    assert {difference for _, _, difference in figures(same)} == {0}


async def test_a_replay_looks_where_a_quote_of_that_day_would(sandbox: Any) -> None:
    """From February on without tiers; nothing is in force from March on."""
    world, account, _ = await two_months(sandbox, Metered(resource="calls", rate="2"))
    await put(world, "next-base/calls", priced("calls", "4"))
    await put(world, "next-tiers/calls", priced("calls", None, ("0", None, "OVERRIDE", "1")))
    february, march = ({"year": 2024, "month": month, "day": 1} for month in (2, 3))
    await stack(world, "v1", *CATALOG, end_date=february)
    await stack(world, "v2", "CATALOG_RATES", start_date=february, end_date=march)

    found = [
        await replay(world, account, rate_date=day(on))
        for on in ("2024-01-31", "2024-02-01", "2024-03-01")
    ]

    assert [[replayed for _, replayed, _ in figures(one)] for one in found[:2]] == [
        [50, 25],
        [200, 100],
    ]
    assert [UsageError.of_status(one.status).reason for one in found[2].summaries] == [
        "PROCEDURE_NOT_IN_FORCE"
    ] * 2
    assert found[2].left_out_count == 2
