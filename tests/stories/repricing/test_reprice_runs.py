"""Reprice runs: a dry run tells the money of each asset, and the real run changes just that."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import reprice_service_pb2 as pb

from clients.pages import pages
from clients.screens import last
from clients.values import enum_name
from tests.stories.correction_words import pending
from tests.stories.quote_words import rate
from tests.stories.rate_words import book, card, priced, put
from tests.stories.repricing.reprice_words import CALLS, dearer, reprice
from tests.stories.repricing.run_words import (
    begin_run,
    counts,
    differences,
    items,
    reprice_all,
)
from tests.stories.words import day, figure, line, refusal
from tests.stories.world import World


async def three(sandbox: Any) -> tuple[World, dict[str, Any]]:
    """Three accounts with 30 calls in January, which is final, and 25 in February, which is open.

    Bea has negotiated her rate. From 16 January on, the catalog asks 2 instead of 1.
    """
    world: World = await sandbox("2024-01-25")
    await world.product("plan", CALLS)
    sold = {}
    for name in ("ann", "bea", "cem"):
        account = await world.account(name)
        agreed = [rate("0.90")] if name == "bea" else []
        [sold[account]] = await world.sell(account, line("plan", "2024-01-01", negotiated=agreed))
        await world.use(sold[account], "calls", "2024-01-10", 15)
        await world.use(sold[account], "calls", "2024-01-20", 15)
    await world.advance("2024-02-10")
    for asset in sold.values():
        await world.use(asset, "calls", "2024-02-08", 25)
    await dearer(world, start="2024-01-16")
    return world, sold


async def owed(world: World, account: str) -> Decimal:
    """The exact amount of the lines of final periods, when no correction is due any more."""
    for _ in range(400):
        if not await pending(world, account):
            break
        await asyncio.sleep(0.05)
    lines = await world.ratable(account)
    return sum((figure(one.amount) for one in lines), Decimal(0))


async def unbilled(world: World, account: str) -> Decimal:
    """The amount of the open period so far."""
    return figure((await world.wallet(account, "calls")).estimated_amount)


@pytest.mark.capability("M81.run")
async def test_a_run_changes_what_its_dry_run_tells_for_each_asset(sandbox):
    """January: 15 of the 20 beyond 10 are from the 20th. February: 15 are beyond."""
    world, sold = await three(sandbox)
    before = {key: (await owed(world, key), await unbilled(world, key)) for key in sold}

    dry = await reprice_all(world, "2024-01-16", dry_run=True)
    told = differences(await items(world, dry))
    still = {key: (await owed(world, key), await unbilled(world, key)) for key in sold}
    real = await reprice_all(world, repeats=dry.name, reason="the list of 2024")
    after = {key: (await owed(world, key), await unbilled(world, key)) for key in sold}

    assert still == before
    assert counts(dry) == counts(real) == (3, 0, 3, 3)
    assert told == {sold["accounts/ann"].name: (15, 15), sold["accounts/cem"].name: (15, 15)}
    moved = {
        sold[key].name: (after[key][0] - before[key][0], after[key][1] - before[key][1])
        for key in sold
    }
    assert moved == {sold["accounts/bea"].name: (0, 0)} | told
    totals = {one.was_final: (figure(one.amount_difference), one.line_count) for one in dry.totals}
    assert totals == {True: (30, 2), False: (30, 2)}
    assert (real.repeats, list(real.totals)) == (dry.name, [])
    assert real.start_date == day("2024-01-16")


@pytest.mark.capability("M81.run")
async def test_the_items_tell_the_rates_and_the_history_tells_the_run(sandbox):
    world, sold = await three(sandbox)
    run = await reprice_all(world, "2024-01-16", reason="the list of 2024")

    found = await items(world, run)

    assert [(one.account, one.asset) for one in found] == [
        (account, asset.name) for account, asset in sold.items()
    ]
    rates = [
        (enum_name(one, "outcome"), figure(one.before.rate.value), figure(one.after.rate.value))
        for item in found
        for one in item.resources
    ]
    agreed = Decimal("0.9")
    assert rates == [("REPRICED", 1, 2), ("REPRICED", agreed, agreed), ("REPRICED", 1, 2)]
    request = assets.ListAssetChangesRequest(parent=found[0].asset)
    *_, change = [one async for one in pages(world.client.assets.ListAssetChanges, request)]
    assert (change.reprice_run, change.reason) == (run.name, "the list of 2024")
    assert await items(world, run, account="accounts/cem") == found[2:]
    listed = pb.ListRepriceRunsRequest()
    [one] = [one async for one in pages(world.client.reprice.ListRepriceRuns, listed)]
    assert one.name == run.name


@pytest.mark.capability("M81.run")
async def test_one_account_that_is_refused_does_not_stop_the_others(sandbox):
    """Bea has rates of a later day already, so that she cannot be moved before it."""
    world, _ = await three(sandbox)
    await reprice(world, "accounts/bea", "2024-02-01")

    dry = await reprice_all(world, "2024-01-16", dry_run=True)
    real = await reprice_all(world, repeats=dry.name)

    assert counts(dry) == counts(real) == (3, 1, 2, 2)
    for run in (dry, real):
        [one] = await items(world, run, refused=True)
        assert (one.account, one.asset, list(one.resources)) == ("accounts/bea", "", [])
        assert "reprice it from then on or later" in one.refusal.message
    # The advice: from that day on it can be moved.
    later = await reprice_all(world, "2024-02-01", accounts=["accounts/bea"])
    assert counts(later) == (1, 0, 1, 0)


async def test_only_what_a_dry_run_told_is_repeated(sandbox):
    """Cem buys another asset, and the catalog changes for nobody else."""
    world, _ = await three(sandbox)
    dry = await reprice_all(world, "2024-01-16", dry_run=True)
    await world.sell("accounts/cem", line("plan", "2024-01-16"))

    real = await reprice_all(world, repeats=dry.name)

    assert counts(real) == (3, 1, 2, 2)
    [one] = await items(world, real, refused=True)
    assert one.account == "accounts/cem"
    assert "create another dry run" in one.refusal.message
    again = await reprice_all(world, "2024-01-16", accounts=["accounts/cem"], dry_run=True)
    assert counts(await reprice_all(world, repeats=again.name)) == (1, 0, 2, 1)


async def test_assets_are_chosen_by_account_product_and_price_book(sandbox):
    world, _ = await three(sandbox)
    await world.product("other", CALLS)
    await card(world, "cheap")
    await book(world, "outlet", "cheap")
    await put(world, "cheap/calls", priced("calls", "0.5"))
    await world.sell("accounts/ann", line("other", "2024-01-01"))

    async def chosen(**choice: Any) -> tuple[int, int]:
        run = await reprice_all(world, "2024-02-01", dry_run=True, **choice)
        return run.done_account_count, run.asset_count

    assert await chosen() == (3, 4)
    assert await chosen(product="products/other") == (1, 1)
    assert await chosen(accounts=["accounts/bea", "accounts/cem"]) == (2, 2)
    assert await chosen(price_book="priceBooks/book", product="products/plan") == (3, 3)
    assert await chosen(price_book="priceBooks/outlet") == (0, 0)
    run = await reprice_all(
        world, "2024-02-01", accounts=["accounts/ann"], new_price_book="priceBooks/outlet"
    )
    outcomes = {
        (enum_name(one, "outcome"), one.after.rate.value.value)
        for item in await items(world, run)
        for one in item.resources
    }
    assert outcomes == {("REPRICED", "0.5"), ("NO_CATALOG_RATE", "1")}


async def test_refusals_of_a_run(sandbox):
    world, sold = await three(sandbox)
    real = await reprice_all(world, "2024-02-01", accounts=["accounts/ann"])
    dry = await reprice_all(world, "2024-02-01", accounts=["accounts/ann"], dry_run=True)

    not_dry = await refusal(begin_run(world, repeats=real.name))
    chosen = await refusal(begin_run(world, "2024-02-01", repeats=dry.name))
    dry_again = await refusal(begin_run(world, repeats=dry.name, dry_run=True))
    no_day = await refusal(begin_run(world))
    nobody = await refusal(begin_run(world, "2024-02-01", accounts=["accounts/none"]))
    no_book = await refusal(begin_run(world, "2024-02-01", new_price_book="priceBooks/none"))
    unknown = pb.RepriceRun(name="repriceRuns/" + last(sold["accounts/ann"].name))
    no_run = await refusal(items(world, unknown))

    assert (not_dry.reason, not_dry.facts["name"]) == ("REPRICE_RUN_STATE", real.name)
    assert (chosen.reason, dry_again.reason) == ("REPRICE_RUN_CHOICE", "REPRICE_RUN_CHOICE")
    assert [one.field for one in chosen.violations] == ["reprice_run.start_date"]
    assert (no_day.reason, nobody.reason) == ("FIELD_REQUIRED", "ACCOUNT_NOT_FOUND")
    assert (no_book.reason, no_run.reason) == ("PRICE_BOOK_NOT_FOUND", "REPRICE_RUN_NOT_FOUND")


async def test_a_run_without_assets_is_done_at_once(sandbox):
    world: World = await sandbox("2024-01-25")
    await world.account("ann")

    assert counts(await reprice_all(world, "2024-02-01")) == (0, 0, 0, 0)
