"""Repricing: assets that are sold move to the rates of the catalog of a day."""

from decimal import Decimal
from typing import Any

import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import summary_service_pb2 as summaries

from clients.pages import pages
from clients.values import enum_name
from tests.stories.quote_words import rate
from tests.stories.rate_words import INACTIVE, move, priced, put
from tests.stories.repricing.reprice_words import dearer, reprice, shop
from tests.stories.token_words import Credits, described, set_up
from tests.stories.words import day, figure, line, number, refusal
from tests.stories.world import World


def outcomes(answer: Any) -> list[tuple[str, str, str]]:
    return [
        (
            enum_name(one, "outcome"),
            one.before.rate.value.value,
            one.after.rate.value.value,
        )
        for one in answer.resources
    ]


async def rate_of(world: World, asset: Any) -> Decimal:
    found = await world.client.assets.GetAsset(assets.GetAssetRequest(name=asset.name))
    return figure(found.resources[0].terms.rate.value)


async def test_an_asset_moves_to_the_catalog_of_a_day_and_pays_both_rates(sandbox):
    """20 calls before the 15th and 20 from then on: 10 included, then 10 at 1 and 20 at 2."""
    world, account = await shop(sandbox)
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await dearer(world)
    await world.advance("2024-02-20")

    tried = await reprice(world, account, "2024-02-15", validate_only=True)
    still = await rate_of(world, asset)
    done = await reprice(world, account, "2024-02-15", reason="new list")
    again = await reprice(world, account, "2024-02-15")
    await world.use(asset, "calls", "2024-02-10", 20)
    await world.use(asset, "calls", "2024-02-16", 20)
    await world.advance("2024-03-10")

    assert outcomes(tried) == outcomes(done) == [("REPRICED", "1", "2")]
    assert (still, await rate_of(world, asset)) == (1, 2)
    assert outcomes(again) == [("UNCHANGED", "2", "2")]
    lines = [
        (figure(one.overage_quantity), figure(one.exact_amount))
        for one in await world.liable(account)
    ]
    assert sorted(lines) == [(10, 10), (20, 40)]


async def test_what_was_negotiated_stays_and_grants_do_not_change(sandbox):
    world, account = await shop(sandbox)
    sold = [line("plan", "2024-01-01", negotiated=[rate("0.90")]), line("plan", "2024-01-01")]
    [deal, plain] = await world.sell(account, *sold)
    await dearer(world)
    await world.advance("2024-02-20")

    done = await reprice(world, account, "2024-02-15", deal)
    found = await world.client.assets.GetAsset(assets.GetAssetRequest(name=deal.name))

    # The effective rate is the agreed one; the catalog beside it is new.
    assert outcomes(done) == [("REPRICED", "0.9", "0.9")]
    terms = found.resources[0].terms
    assert (figure(terms.rate.value), figure(terms.catalog_rate.value)) == (Decimal("0.9"), 2)
    assert found.resources[0].entitlements == deal.resources[0].entitlements
    assert await rate_of(world, plain) == 1


async def test_a_negotiated_tier_never_makes_a_new_rate_negative(sandbox):
    """0.50 less than 1 are agreed on; the new rate of 0.40 would cost less than nothing."""
    world, account = await shop(sandbox)
    agreed = quotes.NegotiatedRate(usage_resource="usageResources/calls")
    tier = agreed.tiers.tiers.add(adjustment={"kind": "AMOUNT", "value": number("-0.50")})
    tier.lower.value = "0"
    [asset] = await world.sell(account, line("plan", "2024-01-01", negotiated=[agreed]))
    await dearer(world, "0.40")
    await world.advance("2024-02-20")

    refused = await refusal(reprice(world, account, "2024-02-15"))

    assert (refused.reason, refused.facts["field"]) == ("RATE_NEGATIVE", asset.name)
    assert await rate_of(world, asset) == 1


async def test_final_periods_are_corrected_with_the_cause_of_the_rate(sandbox):
    """January is final and owes 90; at 2 from the 16th on, the 50 of the 20th cost 50 more."""
    world, account = await shop(sandbox)
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-05", 50)
    await world.advance("2024-01-25")
    await world.use(asset, "calls", "2024-01-20", 50)
    await world.advance("2024-02-10")
    before = sum(figure(one.exact_amount) for one in await world.liable(account))
    await dearer(world, start="2024-01-16")

    await reprice(world, account, "2024-01-16")
    await world.advance("2024-03-10")

    after = sum(figure(one.exact_amount) for one in await world.liable(account))
    assert (before, after) == (90, 140)
    request = summaries.ListCorrectionsRequest(parent=account)
    found = [one async for one in pages(world.client.summaries.ListCorrections, request)]
    causes = [list(one.causes) for one in found]
    assert causes == [[summaries.Correction.RATE]]


async def test_a_gap_in_the_catalog_leaves_the_rates_as_they_are(sandbox):
    world, account = await shop(sandbox)
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await dearer(world)

    found = await reprice(world, account, "2024-02-01", asset)

    assert outcomes(found) == [("NO_CATALOG_RATE", "1", "1")]
    assert await rate_of(world, asset) == 1


async def test_the_history_of_an_asset_tells_it(sandbox):
    world, account = await shop(sandbox)
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await dearer(world)
    await reprice(world, account, "2024-02-15", reason="the new list")

    request = assets.ListAssetChangesRequest(parent=asset.name)
    changes = [one async for one in pages(world.client.assets.ListAssetChanges, request)]

    last = changes[-1]
    assert (enum_name(last, "act"), last.reason) == ("REPRICE", "the new list")
    assert last.effective_date == day("2024-02-15")
    [change] = last.field_changes
    assert (change.field, change.before, change.after) == ("rate", "1 USD", "2 USD")


async def test_refusals_change_nothing(sandbox):
    world, account = await shop(sandbox)
    [asset] = await world.sell(account, line("plan", "2024-01-01", end="2024-06-01"))
    await dearer(world)
    await reprice(world, account, "2024-02-15")
    await put(world, "base/early", priced("calls", "3", end="2024-02-15"))

    later = await refusal(reprice(world, account, "2024-02-10"))
    outside = await refusal(reprice(world, account, "2024-06-01", asset))
    nobody = await refusal(reprice(world, "accounts/none", "2024-02-20"))
    book = await refusal(reprice(world, account, "2024-02-20", price_book="priceBooks/none"))
    none = await reprice(world, account, "2024-06-01")

    assert (later.reason, later.facts["asset"]) == ("REPRICED_LATER", asset.name)
    assert (outside.reason, outside.violations[0].field) == ("INTERVAL_INVALID", "assets[0]")
    assert (nobody.reason, book.reason) == ("ACCOUNT_NOT_FOUND", "PRICE_BOOK_NOT_FOUND")
    assert not none.resources
    # The rate is that of now, by the tenant's clock.
    assert await rate_of(world, asset) == 1
    await world.advance("2024-02-16")
    assert await rate_of(world, asset) == 2


@pytest.mark.parametrize("credit", ["0.50", "0.80"])
async def test_rates_in_tokens_are_repriced_too(sandbox, credit):
    """A minute costs 5 tokens, later 7; a token 0.50, later 0.80."""
    world = await sandbox("2024-01-10")
    await set_up(world, described("plan", {"minutes": "5"}, Credits(price="0.50")))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    listed = [one async for one in _entries(world)]
    await move(world, INACTIVE, *listed)
    await put(world, "base/minutes-7", priced("minutes", "7", currency="unitsOfMeasure/credit"))
    await put(world, "base/credit", priced("credits", credit))

    done = await reprice(world, account, "2024-01-10")
    await world.use(asset, "minutes", "2024-01-10", 10)
    await world.advance("2024-02-10")

    assert sorted(outcomes(done)) == sorted(
        [
            ("REPRICED", "5", "7"),
            ("UNCHANGED", "0.5", "0.5") if credit == "0.50" else ("REPRICED", "0.5", credit[:3]),
        ]
    )
    total = sum(figure(one.exact_amount) for one in await world.liable(account))
    assert total == 70 * Decimal(credit)


async def _entries(world: World) -> Any:

    request = rates.ListRateCardEntriesRequest(parent="rateCards/-")
    async for one in pages(world.client.rates.ListRateCardEntries, request):
        yield one.name
