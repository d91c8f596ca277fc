"""FOLLOW_CATALOG: an asset has on each day what the catalog has on that day."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import summary_service_pb2 as summaries
from usage_management.v1 import types_pb2 as types
from usage_management.v1 import usage_details_service_pb2 as details

from clients.pages import pages
from clients.values import enum_name
from tests.stories.bindings.rebind_words import rebind
from tests.stories.correction_words import corrections
from tests.stories.quote_words import act, rate, read
from tests.stories.rate_words import INACTIVE, move, priced, put
from tests.stories.repricing.follow_words import (
    ENTRY,
    FOLLOWING,
    FROZEN,
    following,
    gaps,
    now,
    rate_now,
    rates_of,
    supersede,
)
from tests.stories.repricing.reprice_words import reprice, shop
from tests.stories.repricing.run_words import counts, items, reprice_all
from tests.stories.sale_words import to
from tests.stories.token_words import Credits, commitment, described, pack, set_up
from tests.stories.words import day, figure, line, number, refusal
from tests.stories.world import World

GAP = quotes.SaleWarning.CATALOG_GAP


async def owed(world: World, account: str, asset: Any) -> Decimal:
    """The exact amount of all lines of an asset."""
    lines = await world.ratable(account)
    return sum((figure(one.amount) for one in lines if one.asset == asset.name), Decimal(0))


@pytest.mark.capability("M81.follow")
async def test_a_frozen_and_a_following_asset_side_by_side(sandbox):
    """The catalog asks 2 from 16 January on. 15 calls on the 12th, of which 10 are free, and 15 on
    the 20th cost 20, or 5 and 30. Then 3 and 2 more come late, at the rates of their days.
    """
    world, account = await shop(sandbox)
    sold = [line("plan", "2024-01-01"), following("plan", "2024-01-01")]
    [frozen, follower] = await world.sell(account, *sold)
    await supersede(world, "2024-01-16", "2")
    before = await rate_now(world, follower)
    await world.advance("2024-01-25")
    for asset in (frozen, follower):
        await world.use(asset, "calls", "2024-01-12", 15)
        await world.use(asset, "calls", "2024-01-20", 15)
    await world.advance("2024-02-10")

    assert (before, await rate_now(world, follower), await rate_now(world, frozen)) == (1, 2, 1)
    assert await owed(world, account, frozen) == 20
    assert await owed(world, account, follower) == 35
    for asset in (frozen, follower):
        await world.use(asset, "calls", "2024-01-12", 3)
        await world.use(asset, "calls", "2024-01-20", 2)
    await world.advance("2024-02-20")
    assert await owed(world, account, frozen) == 25
    assert await owed(world, account, follower) == 42
    told = [("SALE", "2024-01-01", "1 USD"), ("FOLLOW", "2024-01-16", "2 USD")]
    assert await rates_of(world, follower) == told
    assert await rates_of(world, frozen) == told[:1]
    assert (await now(world, follower)).resources[0].entitlements == (
        follower.resources[0].entitlements
    )


@pytest.mark.capability("M81.follow")
async def test_the_state_is_shown_wherever_the_sale_is(sandbox):
    world, account = await shop(sandbox)
    quote = await world.quote(account, line("plan", "2024-01-01"), following("plan", "2024-01-01"))
    again = await act(world, "Reprice", quote)
    [_, asset] = await world.sell(account, *(await read(world, again)).lines)

    async def basis(parent: str) -> list[int]:
        request = details.ListUsageDetailsRequest(parent=parent)
        found = pages(world.client.usage_details.ListUsageDetails, request)
        return [one.rate_basis async for one in found]

    assert [one.rate_basis for one in quote.lines] == [FROZEN, FOLLOWING]
    assert [one.rate_basis for one in again.lines] == [FROZEN, FOLLOWING]
    assert asset.rate_basis == FOLLOWING
    assert await basis(quote.name) == [FROZEN, FOLLOWING]
    assert await basis(asset.name) == [FOLLOWING]


@pytest.mark.capability("M81.follow")
async def test_in_a_gap_of_the_catalog_the_last_terms_hold_with_a_warning(sandbox):
    """The rate of 1 is withdrawn on 10 January; from 15 February on there is one of 3."""
    world, account = await shop(sandbox)
    [asset] = await world.sell(account, following("plan", "2024-01-01"))
    await move(world, INACTIVE, ENTRY)
    await put(world, "base/later", priced("calls", "3", start="2024-02-15"))
    await world.advance("2024-01-12")

    held = await now(world, asset)
    request = details.ListUsageDetailsRequest(parent=asset.name)
    [detail] = (await world.client.usage_details.ListUsageDetails(request)).usage_details
    await world.advance("2024-02-20")
    await world.use(asset, "calls", "2024-02-01", 20)
    await world.use(asset, "calls", "2024-02-16", 10)
    plain = await now(world, asset)
    await world.advance("2024-03-10")

    assert gaps(held) == [GAP]
    assert "rate card entry" in held.warnings[0].text
    assert detail.resource.terms.catalog_gap
    assert figure(held.resources[0].terms.rate.value) == 1
    assert (gaps(plain), figure(plain.resources[0].terms.rate.value)) == ([], 3)
    assert await owed(world, account, asset) == 10 * 1 + 10 * 3
    # The line of the gap says so, and the other does not.
    notes = [
        [step.note for step in one.waterfall if step.element == types.WaterfallStep.BASE_RATE]
        for one in sorted(await world.ratable(account), key=lambda one: figure(one.amount))
    ]
    assert [["last one holds" in note for note in own] for own in notes] == [[True], [False]]


@pytest.mark.capability("M81.follow")
async def test_a_planned_rate_that_is_withdrawn_does_not_come(sandbox):
    world, account = await shop(sandbox)
    [asset] = await world.sell(account, following("plan", "2024-01-01"))
    planned = await supersede(world, "2024-02-15", "2")
    await world.advance("2024-01-20")
    await move(world, INACTIVE, planned)
    await world.advance("2024-02-20")

    held = await now(world, asset)
    ended = await put(world, "base/other", priced("calls", "4", start="2024-02-15"))
    await world.advance("2024-02-21")
    after = await rate_now(world, asset)
    # What has been charged stays when it is withdrawn later; from then on it holds.
    await move(world, INACTIVE, ended)
    await world.advance("2024-02-22")

    assert (gaps(held), figure(held.resources[0].terms.rate.value)) == ([GAP], 1)
    assert after == 4
    last = await now(world, asset)
    assert (gaps(last), figure(last.resources[0].terms.rate.value)) == ([GAP], 4)
    await world.use(asset, "calls", "2024-02-16", 15)
    await world.advance("2024-03-10")
    assert await owed(world, account, asset) == 5 * 4
    assert await rates_of(world, asset) == [
        ("SALE", "2024-01-01", "1 USD"),
        ("FOLLOW", "2024-02-15", "2 USD"),
        ("FOLLOW", "2024-02-15", "1 USD"),
        ("FOLLOW", "2024-02-15", "4 USD"),
    ]


@pytest.mark.capability("M81.follow")
async def test_what_was_negotiated_stays_and_the_rest_follows(sandbox):
    world, account = await shop(sandbox)
    tiered = quotes.NegotiatedRate(usage_resource="usageResources/calls")
    tier = tiered.tiers.tiers.add(adjustment={"kind": "AMOUNT", "value": number("-0.50")})
    tier.lower.value = "0"
    lines = [
        following("plan", "2024-01-01", negotiated=[rate("0.90")]),
        following("plan", "2024-01-01", negotiated=[tiered]),
    ]
    [deal, off] = await world.sell(account, *lines)
    await supersede(world, "2024-02-15", "2")
    await world.advance("2024-02-20")
    await world.use(deal, "calls", "2024-02-16", 20)
    await world.use(off, "calls", "2024-02-16", 20)
    # 0.50 less than 0.40 would be less than nothing, so the second asset cannot follow.
    await supersede(world, "2024-03-01", "0.40", "rateCards/base/entries/from-2024-02-15")
    await world.advance("2024-03-10")

    terms = (await now(world, deal)).resources[0].terms
    assert (figure(terms.rate.value), figure(terms.catalog_rate.value)) == (
        Decimal("0.9"),
        Decimal("0.4"),
    )
    assert await owed(world, account, deal) == 9
    assert await owed(world, account, off) == 10 * Decimal("1.5")
    held = await now(world, off)
    assert (gaps(held), figure(held.resources[0].terms.rate.value)) == ([GAP], 2)


@pytest.mark.capability("M81.follow")
async def test_a_change_dated_in_the_past_corrects_final_periods_with_the_cause_of_the_rate(
    sandbox,
):
    """January is final and owes 90; at 2 from the 16th on, the 50 of the 20th cost 50 more."""
    world, account = await shop(sandbox)
    sold = [following("plan", "2024-01-01"), line("plan", "2024-01-01")]
    [asset, frozen] = await world.sell(account, *sold)
    for one in (asset, frozen):
        await world.use(one, "calls", "2024-01-05", 50)
    await world.advance("2024-01-25")
    for one in (asset, frozen):
        await world.use(one, "calls", "2024-01-20", 50)
    await world.advance("2024-02-10")
    before = await owed(world, account, asset)

    await move(world, INACTIVE, ENTRY)
    await put(world, "base/dearer", priced("calls", "2", start="2024-01-16"))
    await world.advance("2024-03-10")

    assert (before, await owed(world, account, asset)) == (90, 140)
    assert await owed(world, account, frozen) == 90
    found = await corrections(world, account)
    assert [list(one.causes) for one in found] == [[summaries.Correction.RATE]]


async def test_a_sale_for_days_that_are_past_follows_the_catalog_of_these_days(sandbox):
    """The catalog asks 2 from 16 January on; sold on 20 February for January on."""
    world, account = await shop(sandbox)
    await supersede(world, "2024-01-16", "2")
    await world.advance("2024-02-20")
    sold = [following("plan", "2024-01-01"), line("plan", "2024-01-01")]
    [asset, frozen] = await world.sell(account, *sold)
    for one in (asset, frozen):
        await world.use(one, "calls", "2024-01-05", 20)
        await world.use(one, "calls", "2024-01-20", 20)
    await world.advance("2024-03-10")

    assert await rate_now(world, asset) == 2
    assert await owed(world, account, asset) == 10 * 1 + 20 * 2
    assert await owed(world, account, frozen) == 30


async def test_no_change_of_the_catalog_is_missed_by_sales_at_the_same_time(sandbox):
    """Six accounts buy while the catalog changes three times."""
    world, _ = await shop(sandbox)
    accounts = [await world.account(f"buyer-{number}") for number in range(6)]

    async def change() -> None:
        entry = ENTRY
        for start, value in (("2024-01-12", "2"), ("2024-01-14", "3"), ("2024-01-16", "4")):
            entry = await supersede(world, start, value, entry)

    async def buy(account: str) -> Any:
        [asset] = await world.sell(account, following("plan", "2024-01-01"))
        return asset

    _, *sold = await asyncio.gather(change(), *map(buy, accounts))

    for clock, value in (("2024-01-13", 2), ("2024-01-15", 3), ("2024-01-17", 4)):
        await world.advance(clock)
        assert [await rate_now(world, asset) for asset in sold] == [value] * 6


async def test_a_following_asset_is_not_repriced_by_hand(sandbox):
    world, account = await shop(sandbox)
    [asset] = await world.sell(account, following("plan", "2024-01-01"))
    await supersede(world, "2024-01-16", "2")

    # Also from a day before the dated rates of the asset.
    by_hand = await reprice(world, account, "2024-01-12")
    run = await reprice_all(world, "2024-01-20")

    assert [enum_name(one, "outcome") for one in by_hand.resources] == ["FOLLOWS_CATALOG"]
    assert counts(run) == (1, 0, 1, 0)
    [item] = await items(world, run)
    assert [enum_name(one, "outcome") for one in item.resources] == ["FOLLOWS_CATALOG"]
    await world.advance("2024-01-15")
    assert await rate_now(world, asset) == 1


async def test_rates_that_cannot_follow_are_refused_with_the_reason(sandbox):
    """A commitment, a pack, and a rate for a shared target; sold FROZEN, they are fine."""
    world: World = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"minutes": "5"}, Credits(price="0.50", grant="100")))
    await set_up(world, commitment("commit", "credits", "1000", discount="20"))
    await set_up(world, pack("extra", "minutes", price="4"))
    account = await world.account("ann")
    [anchor] = await world.sell(account, line("plan", "2024-01-01"))
    agreed = quotes.NegotiatedRate(usage_resource="usageResources/minutes")
    agreed.rate.value.value = "4"
    lines = [
        quotes.SaleLine(product="products/commit", start_date=day("2024-01-01")),
        to(anchor.name, "extra", "2024-01-01"),
        line("plan", "2024-01-01", binding="ACCOUNT", negotiated=[agreed]),
    ]

    for plain in lines:
        asked = quotes.SaleLine(rate_basis=FOLLOWING)
        asked.MergeFrom(plain)
        refused = await refusal(world.quote(account, asked))
        [sold] = await world.sell(account, plain)

        assert refused.reason == "RATE_BASIS_NOT_ALLOWED"
        assert refused.violations[0].field == "quote.lines[0].rate_basis"
        assert "sell it FROZEN" in refused.message
        assert sold.rate_basis == FROZEN


@pytest.mark.capability("M81.follow")
@pytest.mark.parametrize("way", ["asset", "line", "rebound"])
async def test_a_negotiated_rate_that_follows_does_not_come_to_a_shared_target_by_another_way(
    sandbox, way
):
    """Through an asset or a line that is bound to the account, or after the sale."""
    world, account = await shop(sandbox)
    start, agreed = "2024-01-01", [rate("0.5")]
    [pooled] = await world.sell(account, line("plan", start, binding="ACCOUNT"))
    if way == "rebound":
        [own] = await world.sell(account, following("plan", start, negotiated=agreed))
        acted = rebind(world, own, start, binding="ACCOUNT")
    elif way == "asset":
        asked = to(pooled.name, "plan", start, negotiated_rates=agreed, rate_basis=FOLLOWING)
        acted = world.quote(account, asked)
    else:
        asked = following("plan", start, negotiated=agreed)
        asked.ClearField("binding")
        asked.binding_line = 0
        acted = world.quote(account, line("plan", start, binding="ACCOUNT"), asked)

    refused = await refusal(acted)
    [instead] = await world.sell(account, line("plan", start, binding="ACCOUNT", negotiated=agreed))

    assert refused.reason == "RATE_BASIS_NOT_ALLOWED"
    assert "FROZEN" in refused.message
    assert instead.rate_basis == FROZEN


@pytest.mark.capability("M81.follow")
async def test_rates_in_tokens_follow_and_so_does_the_price_of_the_token(sandbox):
    """A minute costs 5 tokens of 0.50; from the 16th on 7 of 0.80."""
    world: World = await sandbox("2024-01-10")
    await set_up(world, described("plan", {"minutes": "5"}, Credits(price="0.50")))
    account = await world.account("ann")
    [asset] = await world.sell(account, following("plan", "2024-01-01"))
    request = rates.ListRateCardEntriesRequest(parent="rateCards/-")
    listed = [one.name async for one in pages(world.client.rates.ListRateCardEntries, request)]
    await move(world, INACTIVE, *listed)
    token = {"currency": "unitsOfMeasure/credit"}
    await put(world, "base/old", priced("minutes", "5", end="2024-01-16", **token))
    await put(world, "base/new", priced("minutes", "7", start="2024-01-16", **token))
    await put(world, "base/old-credit", priced("credits", "0.50", end="2024-01-16"))
    await put(world, "base/new-credit", priced("credits", "0.80", start="2024-01-16"))
    await world.advance("2024-01-25")
    await world.use(asset, "minutes", "2024-01-12", 10)
    await world.use(asset, "minutes", "2024-01-20", 10)
    await world.advance("2024-02-20")

    total = sum(figure(one.exact_amount) for one in await world.liable(account))
    assert total == 50 * Decimal("0.50") + 70 * Decimal("0.80")
