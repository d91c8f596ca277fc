"""A dry run tells in money what the run then books: final periods, open ones, and balances."""

import asyncio
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import summary_service_pb2 as summaries

from clients import UsageError
from tests.stories.consumption.amend_words import shop
from tests.stories.consumption.loading_words import end, start
from tests.stories.correction_words import corrections, pending
from tests.stories.record_runs.run_words import Run, amend_all, only, periods, void_all
from tests.stories.token_words import Credits, described, set_up
from tests.stories.words import Metered, figure, line, money, number, usage
from tests.stories.world import World

Change = consumption.UsageRecordChange
Key = tuple[str, str, str, str]
WHOLE = only("2024-01-05", "2024-02-20", labels={"site": "x"})


def told(run: Run, *, is_final: bool) -> dict[Key, Decimal]:
    """The changes of amounts that a dry run tells, by asset, resource, month and unit."""
    assert run.HasField("money"), run.no_money
    return {
        (
            one.asset,
            one.usage_resource,
            str(one.origin_start_time.ToDatetime().date()),
            one.currency_code or one.token_unit,
        ): figure(one.amount_after) - figure(one.amount_before)
        for one in run.money.lines
        if one.was_final is is_final
    }


async def booked(world: World, account: str, known: int) -> dict[Key, Decimal]:
    """The differences that corrections after the first ones booked, when none waits any more."""
    for _ in range(400):
        if not await pending(world, account):
            break
        await asyncio.sleep(0.05)
    sums: dict[Key, Decimal] = defaultdict(Decimal)
    for one in (await corrections(world, account))[known:]:
        for changed in one.lines:
            sums[_key(changed.after)] += figure(changed.amount_difference)
    return dict(sums)


def _key(after: summaries.RatableSummary) -> Key:
    month = str(after.origin_start_time.ToDatetime().date())
    return after.asset, after.usage_resource, month, after.currency_code or after.token_unit


async def now(world: World, account: str) -> dict[str, tuple[Decimal, Decimal]]:
    """The balance of each wallet, and what its open usage costs so far."""
    return {
        one.name: (figure(one.balance), figure(one.estimated_amount))
        for one in await world.wallets(account)
    }


async def proved(world: World, account: str, dry: Run, run: Any) -> None:
    """Do a run for real, and compare everything with what its dry run says."""
    before, known = await now(world, account), len(await corrections(world, account))
    real = await run()
    found = await booked(world, account, known)
    after = await now(world, account)

    assert told(dry, is_final=True) == found
    assert {key: amount for key, amount in found.items() if amount}
    estimates: dict[str, Decimal] = defaultdict(Decimal)
    for one in dry.money.lines:
        if not one.was_final:
            estimates[one.wallet] += figure(one.amount_after) - figure(one.amount_before)
    moved = {key: after[key][1] - before[key][1] for key in after}
    assert {k: v for k, v in estimates.items() if v} == {k: v for k, v in moved.items() if v}
    balances = {
        one.wallet: (figure(one.balance_before), figure(one.balance_after))
        for one in dry.money.balances
    }
    changed = {key for key in after if after[key][0] != before[key][0]}
    assert balances == {key: (before[key][0], after[key][0]) for key in changed}
    assert (real.record_count, real.HasField("money")) == (dry.record_count, False)
    assert (list(real.usage), list(real.periods)) == (list(dry.usage), list(dry.periods))


def sums(run: Run) -> dict[tuple[str, bool], tuple[int, Decimal]]:
    return {
        (one.currency_code or one.token_unit, one.was_final): (
            one.line_count,
            figure(one.amount_difference),
        )
        for one in run.money.totals
    }


TIERS = (("0", "15", "10"), ("15", None, "5"))


async def in_february(sandbox) -> tuple[World, str, Any]:
    """26 calls of January, which is final, and 14 of February; half of them of site x."""
    metered = Metered(
        resource="calls", grant="10", refresh="MONTH", validity="MONTH", max_rollovers=1,
        rate="10", tiers=TIERS, late="NEXT_PERIOD",
    )  # fmt: skip
    world, account, asset = await shop(sandbox, metered, start="2024-01-31")
    await world.record(
        [
            usage(asset, "calls", "2024-01-10", 16, "jan-x", site="x"),
            usage(asset, "calls", "2024-01-11", 10, "jan-y", site="y"),
        ]
    )
    await world.advance("2024-02-20")
    await world.record(
        [
            usage(asset, "calls", "2024-02-10", 8, "feb-x", site="x"),
            usage(asset, "calls", "2024-02-11", 6, "feb-y", site="y"),
        ]
    )
    return world, account, asset


@pytest.mark.capability("M109.void")
async def test_a_void_run_books_what_its_dry_run_says(sandbox):
    """26 − 10 granted are 16 at 5 = 80; without 16 nothing is charged. February pays 4 at 10."""
    world, account, asset = await in_february(sandbox)

    dry = await void_all(world, account, filter=WHOLE, dry_run=True)

    calls = (asset.name, "usageResources/calls")
    assert told(dry, is_final=True) == {(*calls, "2024-01-01", "USD"): -80}
    assert told(dry, is_final=False) == {(*calls, "2024-02-01", "USD"): -40}
    assert sums(dry) == {("USD", True): (1, -80), ("USD", False): (1, -40)}
    again = await void_all(world, account, filter=WHOLE, dry_run=True)
    assert list(again.money.lines) == list(dry.money.lines)
    await proved(world, account, dry, lambda: void_all(world, account, filter=WHOLE))


@pytest.mark.capability("M109.amend")
@pytest.mark.parametrize(
    ("factor", "final", "estimate"),
    # January: 42 − 10 are 32 at 5, 14 − 10 are 4 at 10. February: 22 − 10 are 12 at 10, 8 are free.
    [("2", 80, 80), ("0.25", -40, -40)],
)
async def test_an_amend_run_books_what_its_dry_run_says(sandbox, factor, final, estimate):
    world, account, asset = await in_february(sandbox)
    run = {"filter": WHOLE, "change": Change(quantity_factor=number(factor))}

    dry = await amend_all(world, account, **run, dry_run=True)

    calls = (asset.name, "usageResources/calls")
    assert told(dry, is_final=False) == {(*calls, "2024-02-01", "USD"): estimate}
    assert told(dry, is_final=True) == {(*calls, "2024-01-01", "USD"): final}
    await proved(world, account, dry, lambda: amend_all(world, account, **run))


async def test_a_move_to_another_asset_and_another_month_policy_is_told(sandbox):
    """REOPEN books in place; what one asset loses, the other one gains."""
    metered = Metered(resource="calls", grant="5", rate="3", late="REOPEN")
    world, account, asset = await shop(sandbox, metered)
    [other] = await world.sell(account, line("plan", "2024-01-01"))
    await world.record([usage(asset, "calls", "2024-01-10", 9, "a", site="x")])
    await world.advance("2024-02-20")
    run = {"filter": WHOLE, "change": Change(asset=other.name)}

    dry = await amend_all(world, account, **run, dry_run=True)

    calls, january = "usageResources/calls", "2024-01-01"
    assert told(dry, is_final=True) == {
        (asset.name, calls, january, "USD"): -12,
        (other.name, calls, january, "USD"): 12,
    }
    assert sums(dry) == {("USD", True): (2, 0)}
    assert len(dry.money.balances) == 2
    await proved(world, account, dry, lambda: amend_all(world, account, **run))


async def test_tokens_and_their_price_are_told_apart(sandbox):
    """10 credits a unit: 9 of 12 units are voided; 120 credits less 100 granted cost 20 USD."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "10"}, Credits(price="1", grant="100")))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.record([usage(asset, "data", "2024-01-10", 9, "r9", site="x")])
    await world.record([usage(asset, "data", "2024-01-10", 3, "r3")])
    await world.advance("2024-02-20")

    dry = await void_all(world, account, filter=WHOLE, dry_run=True)

    assert told(dry, is_final=True) == {
        (asset.name, "usageResources/data", "2024-01-01", "unitsOfMeasure/credit"): -90,
        (asset.name, "usageResources/credits", "2024-01-01", "USD"): -20,
    }
    await proved(world, account, dry, lambda: void_all(world, account, filter=WHOLE))


async def test_while_corrections_wait_for_a_loading_the_money_is_not_known(sandbox):
    world, account, _ = await in_february(sandbox)
    loading = await start(world, account, "2024-02-25")

    waiting = await void_all(world, account, filter=WHOLE, dry_run=True)
    feb = only("2024-02-05", "2024-02-20")
    opened = await void_all(world, account, filter=feb, dry_run=True)
    await end(world, loading)
    after = await void_all(world, account, filter=WHOLE, dry_run=True)

    assert not waiting.HasField("money")
    assert UsageError.of_status(waiting.no_money).reason == "ITEM_STATE"
    assert (waiting.record_count, periods(waiting)) == (2, [(1, False), (1, True)])
    assert sums(opened) == {("USD", False): (1, -40)}
    assert sums(after) == {("USD", True): (1, -80), ("USD", False): (1, -40)}


async def test_what_was_invoiced_is_told_as_a_credit(sandbox):
    """REOPEN books in the next billing period what an invoice has."""
    metered = Metered(resource="calls", rate="3", late="REOPEN")
    world, account, asset = await shop(sandbox, metered)
    await world.record([usage(asset, "calls", "2024-01-10", 9, "a", site="x")])
    await world.advance("2024-02-20")
    [billed] = await world.liable(account)
    await world.client.summaries.MarkInvoiced(
        summaries.MarkInvoicedRequest(liable_summaries=[billed.name], invoice="I-1")
    )
    run = {"filter": WHOLE, "change": Change(quantity=number(4))}

    dry = await amend_all(world, account, **run, dry_run=True)

    assert sums(dry) == {("USD", True): (1, -15)}
    await proved(world, account, dry, lambda: amend_all(world, account, **run))
    await world.advance("2024-03-10")
    amounts = sorted(money(one.amount) for one in await world.liable(account))
    assert amounts == [-15, 27]
