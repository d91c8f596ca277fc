"""Entries of rate cards change as drafts, come into force, overlap nobody and are withdrawn."""

import asyncio

import pytest
from usage_management.v1 import rate_service_pb2 as rates

from tests.stories.rate_words import (
    ACTIVE,
    DRAFT,
    INACTIVE,
    add,
    add_all,
    adding,
    delete,
    get,
    listed,
    move,
    priced,
    put,
    shop,
    update,
)
from tests.stories.words import Metered, day, figure, refusal


@pytest.mark.capability("M29.entry", "M42")
async def test_a_draft_changes_and_what_is_in_force_only_ends_later(sandbox):
    """M04, M05, M07: of entries."""
    world = await shop(sandbox)
    draft = await add(world, "base/usd", priced("data", "2", end="2024-02-01"))
    never = await world.discover("plan", "data")

    change = priced("data", "3", per="10", end="2024-03-01", name=draft.name, etag=draft.etag)
    drafted = await update(world, change, "rate", "end_date")
    stale = await refusal(update(world, change, "rate"))
    await move(world, ACTIVE, draft.name)
    dearer = await refusal(update(world, priced("data", "4", name=draft.name), "rate"))
    sooner = await refusal(
        update(world, priced("data", end="2024-02-01", name=draft.name), "end_date")
    )
    later = await update(world, priced("data", end="2024-04-01", name=draft.name), "end_date")
    found = await world.discover("plan", "data")
    kept = await refusal(delete(world, draft.name))
    back = await refusal(move(world, DRAFT, draft.name))

    assert "RATE_NOT_FOUND" in str(never.status)
    assert (figure(drafted.rate.value), figure(drafted.rate.per)) == (3, 10)
    assert stale.reason == "ETAG_MISMATCH"
    assert dearer.reason == sooner.reason == "ACTIVE_IMMUTABLE"
    assert (dearer.facts["state"], dearer.facts["fields"]) == ("ACTIVE", "rate")
    assert (later.end_date, figure(later.rate.value)) == (day("2024-04-01"), 3)
    assert figure(found.terms.rate.value) == 3
    assert (kept.reason, back.reason) == ("IN_USE", "STATE_TRANSITION")
    assert (back.facts["from"], back.facts["to"]) == ("ACTIVE", "DRAFT")

    assert await move(world, INACTIVE, draft.name) == [draft.name]
    assert await move(world, INACTIVE, draft.name) == []
    assert "RATE_NOT_FOUND" in str((await world.discover("plan", "data")).status)
    assert await move(world, ACTIVE, draft.name) == [draft.name]
    assert figure((await world.discover("plan", "data")).terms.rate.value) == 3
    await move(world, INACTIVE, draft.name)
    await delete(world, draft.name)
    gone = await refusal(get(world, draft.name))
    assert gone.reason == "RATE_CARD_ENTRY_NOT_FOUND"


async def test_a_change_of_an_entry_keeps_the_rules_of_the_whole(sandbox):
    world = await shop(sandbox)
    base = await add(world, "base/usd", priced("data", "2"))
    steps = await add(world, "tiers/usd", priced("data", None, ("0", "10", "PERCENTAGE", "5")))

    async def wrong(change: rates.RateCardEntry, *paths: str) -> str:
        return (await refusal(update(world, change, *paths))).reason

    assert await wrong(priced("data", name=base.name), "rate") == "FIELD_REQUIRED"
    assert await wrong(priced("none", name=base.name), "usage_resource") == (
        "PRODUCT_USAGE_RESOURCE_NOT_FOUND"
    )
    assert await wrong(priced("data", "1", name=base.name, currency="EUR"), "rate") == (
        "CURRENCY_MISMATCH"
    )
    assert await wrong(priced("data", name=base.name), "state") == "FIELD_MASK_INVALID"
    overlap = (("0", "10", "PERCENTAGE", "5"), ("9", None, "PERCENTAGE", "6"))
    assert await wrong(priced("data", None, *overlap, name=steps.name), "tiers") == "TIERS_INVALID"
    assert await get(world, steps.name) == steps
    more = priced("sms", None, ("0", "5", "OVERRIDE", "2"), ("5", None, "OVERRIDE", "1"))
    more.name = steps.name
    changed = await update(world, more, "*")
    assert changed.tiers.tiers == more.tiers.tiers
    assert changed.usage_resource == "usageResources/sms"


async def test_of_entries_all_move_or_none_and_both_that_overlap_are_named(sandbox):
    world = await shop(sandbox)
    await add_all(
        world,
        [
            adding("base/first", priced("data", "1", end="2024-02-01")),
            adding("base/second", priced("data", "2", start="2024-02-01")),
            adding("base/third", priced("data", "3", start="2024-03-01")),
            adding("base/other", priced("sms", "4")),
        ],
    )
    first, second, third, other = (
        f"rateCards/base/entries/{one}" for one in ("first", "second", "third", "other")
    )

    among = await refusal(move(world, ACTIVE, first, second, third, other))
    assert await listed(world, state=ACTIVE) == []
    assert await move(world, ACTIVE, other, second, first) == [other, second, first]
    behind = await refusal(move(world, ACTIVE, third))
    longer = await refusal(update(world, priced("data", end="2024-02-02", name=first), "end_date"))

    assert among.reason == behind.reason == longer.reason == "RATE_OVERLAP"
    assert {among.facts["name"], among.facts["other"]} == {second, third}
    assert (behind.facts["name"], behind.facts["other"]) == (third, second)
    assert (longer.facts["name"], longer.facts["other"]) == (first, second)
    assert (await refusal(move(world, ACTIVE, first, "rateCards/base/entries/no"))).reason == (
        "RATE_CARD_ENTRY_NOT_FOUND"
    )
    assert await move(world, INACTIVE, second) == [second]
    assert await move(world, ACTIVE, third) == [third]


async def test_of_two_that_overlap_and_are_activated_at_once_one_comes_into_force(sandbox):
    world = await shop(sandbox)
    names = [(await add(world, f"base/{i}", priced("data", f"{i}"))).name for i in range(1, 6)]

    outcomes = await asyncio.gather(
        *(move(world, ACTIVE, name) for name in names), return_exceptions=True
    )

    [winner] = [name for name, one in zip(names, outcomes, strict=True) if one == [name]]
    refused = [one for one in outcomes if isinstance(one, Exception)]
    assert {one.reason for one in refused} == {"RATE_OVERLAP"}
    assert {one.facts["other"] for one in refused} == {winner}
    assert len({one.facts["name"] for one in refused}) == len(refused) == 4


async def test_a_rate_comes_into_force_with_what_it_prices_and_not_before(sandbox):
    world = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="data"), activate=False)
    made = await add(world, "base/usd", priced("data", "1"))

    early = await refusal(move(world, ACTIVE, made.name))
    await world.activate("plan")

    assert (early.reason, early.facts["name"]) == ("RESOURCE_INACTIVE", "products/plan")
    assert (await get(world, made.name)).state == ACTIVE


async def test_within_a_second_everybody_knows_the_rate_that_came_into_force(sandbox):
    world = await shop(sandbox)
    old = await put(world, "base/old", priced("data", "2"))
    asked = rates.RateQuestion(
        price_book="priceBooks/book",
        product="products/plan",
        usage_resource="usageResources/data",
        currency_code="USD",
        date=day("2024-01-15"),
    )

    async def cost() -> object:
        answer = await world.client.rates.DiscoverRates(
            rates.DiscoverRatesRequest(questions=[asked])
        )
        return figure(answer.answers[0].terms.rate.value)

    assert await cost() == 2
    await add(world, "base/new", priced("data", "3"))
    await move(world, INACTIVE, old)
    await move(world, ACTIVE, "rateCards/base/entries/new")
    await asyncio.sleep(1.0)

    assert await cost() == 3
