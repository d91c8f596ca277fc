"""Previews beside what happens: the figures that were said are those that are charged."""

from decimal import Decimal
from itertools import compress
from typing import Any

import pytest

from clients.values import enum_name
from tests.stories.market_words import EU, US, market, used
from tests.stories.preview_words import (
    amounts,
    charged,
    lines,
    preview,
    reason,
    record_all,
    rows,
    said,
)
from tests.stories.words import Metered, figure, line, money, refusal

METHODS = {
    "sum": Metered(resource="calls", grant="20", refresh="MONTH", rate="2"),
    "reopened": Metered(
        resource="calls", grant="20", refresh="MONTH", max_rollovers=1, rate="2", late="REOPEN"
    ),
    "peak": Metered(resource="calls", grant="3", method="PEAK", rate="2"),
    "summed peaks": Metered(resource="calls", method="PEAK", rate="2", rating="WEEK"),
    "count": Metered(resource="calls", grant="2", method="COUNT", rate="2"),
    "average": Metered(resource="calls", method="AVERAGE", late="REJECT", rate="2", scale=3),
    "minimum": Metered(resource="calls", method="MINIMUM", late="REJECT", rate="2"),
    "latest": Metered(resource="calls", method="LATEST", late="REJECT", rate="2"),
    "by the hour": Metered(resource="calls", method="PEAK", window="HOUR", rate="2"),
    "volume": Metered(
        resource="calls", grant="9", rate="9", tiers=(("0", "20", "3"), ("20", None, "1"))
    ),
    "rolled over": Metered(
        resource="calls",
        grant="8",
        refresh="MONTH",
        max_rollovers=1,
        rate="2",
        rating="DAY",
        waiting_days=0,
    ),
}


@pytest.mark.parametrize("metered", METHODS.values(), ids=METHODS)
async def test_lines_make_the_difference_they_were_said_to_make(
    sandbox: Any, metered: Metered
) -> None:
    """Two accounts have the same usage; one has more lines, of all days and late ones too."""
    world = await sandbox("2024-01-31")
    await world.product("plan", metered)
    sold = []
    for name in ("ann", "bob"):
        account = await world.account(name)
        [asset] = await world.sell(account, line("plan", "2024-01-01"))
        sold.append((account, asset))
    for at, quantity in (("2024-01-03", 7), ("2024-01-30", 4), ("2024-02-11T01:10", 5)):
        if at > "2024-02":
            await world.advance("2024-02-12")
        for _, asset in sold:
            await world.use(asset, "calls", at, quantity)
    await world.advance("2024-02-20T16:00")
    (account, asset), (alike, _) = sold
    used = (
        ("2024-02-11T01:20", 6),
        ("2024-02-01", 1),
        ("2024-01-30", 12),
        ("2024-02-19T23:59", 30),
        ("2024-01-02", 3),
        ("2024-02-20T15:30", 2),
    )
    asked = lines(asset, "calls", *used)

    found = await preview(world, account, *asked)

    kept = [not one.HasField("status") for one in found]
    await record_all(world, list(compress(asked, kept)))
    await world.advance("2024-03-20")
    ours, theirs = await charged(world, account), await charged(world, alike)
    more = [one - other for one, other in zip(ours, theirs, strict=True)]
    assert [sum(column) for column in zip(*map(said, compress(found, kept)), strict=True)] == more
    assert any(one.HasField("late") or "PERIOD_CLOSED" in reason(one) for one in found)


async def test_what_takes_no_late_usage_says_so(sandbox: Any) -> None:
    world = await sandbox("2024-01-31")
    await world.product(
        "plan",
        Metered(resource="calls", rate="1", late="REJECT"),
        Metered(resource="sms", rate="1", late="REOPEN"),
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.advance("2024-02-10")
    late = [
        *lines(asset, "calls", ("2024-01-05", 1), ("2024-02-05", 1)),
        *lines(asset, "sms", ("2024-01-05", 1), ("2024-02-05", 1)),
    ]

    found = await preview(world, account, *late)

    assert "PERIOD_CLOSED" in reason(found[0])
    assert amounts(found[1:]) == [1, 1, 1]
    assert enum_name(found[2].late, "policy") == "REOPEN"


async def test_late_usage_is_priced_where_it_would_be_handled(sandbox: Any) -> None:
    world = await sandbox("2024-01-31")
    await world.product(
        "plan",
        Metered(
            resource="calls",
            grant="10",
            refresh="MONTH",
            rate="2",
            tiers=(("0", "10", "1"), ("10", None, "0.5")),
        ),
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-10", 15)
    await world.advance("2024-02-10")
    await world.use(asset, "calls", "2024-02-06", 4)
    asked = lines(asset, "calls", ("2024-01-20", 8), ("2024-02-08", 5))

    found = await preview(world, account, *asked)
    outcomes = await record_all(world, asked)
    await world.advance("2024-03-10")

    assert enum_name(found[0].late, "policy") == "NEXT_PERIOD"
    assert outcomes[0].late == found[0].late
    assert found[0].late.period.freeze_time.ToJsonString() == "2024-03-04T00:00:00Z"
    assert not found[1].HasField("late")
    charged = [figure(one.exact_amount) for one in await world.liable(account)]
    assert sum(amounts(found)) == sum(charged) - 5


async def test_assets_that_share_a_wallet_see_each_others_usage(sandbox: Any) -> None:
    """A line that takes what another asset's later usage was paid from charges that asset."""
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", grant="10", rate="2"))
    account = await world.account("ann")
    sold = [line("plan", "2024-01-01", binding="ACCOUNT") for _ in range(2)]
    one, other = await world.sell(account, *sold)
    await world.use(other, "calls", "2024-01-20", 18)
    asked = lines(one, "calls", ("2024-01-10", 5))

    [found] = await preview(world, account, *asked)
    before = figure((await world.wallet(account, "calls")).estimated_amount)
    await record_all(world, asked)
    after = figure((await world.wallet(account, "calls")).estimated_amount)

    assert figure(found.wallets[0].overage_quantity) == 3
    assert figure(found.wallets[0].amount) == after - before == 6


async def test_dimensions_are_drawn_and_priced_apart(sandbox: Any) -> None:
    world = await market(sandbox, (EU, "PERCENTAGE", "20"), (US, "AMOUNT", "1"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-15"))
    await used(world, asset, ("2024-01-15", 5, EU))
    asked = lines(asset, "data", *[("2024-01-15", 2)] * 3)
    for one, region in zip(asked, ("eu", "us", "ap"), strict=True):
        one.labels["region"] = region

    found = await preview(world, account, *asked)
    for one in asked:
        await used(world, asset, ("2024-01-15", 2, dict(one.labels)))
    await world.advance("2024-02-10")

    assert amounts(found) == [16, 22, 20]
    assert [figure(one.wallets[0].rated_quantity) for one in found] == [7, 2, 2]
    assert (await charged(world, account))[3] == sum(amounts(found)) + 40


async def test_what_would_take_too_long_says_how_many_lines_would_not(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="1"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    for day in range(1, 11):
        await world.use(asset, "calls", f"2024-01-{day:02}", 1)
    monkeypatch.setattr("server.usecases.intake.preview.MOST_WORK", 50)
    asked = lines(asset, "calls", *[("2024-01-20", 2)] * 6)

    refused = await refusal(preview(world, account, *asked))
    found = await preview(world, account, *asked[:5])

    assert (refused.reason, refused.facts["limit"]) == ("TOO_MANY_ITEMS", "5")
    assert amounts(found) == [2] * 5


async def reopening(sandbox: Any) -> tuple[Any, str, Any]:
    """100 minutes a month that roll over once; 90 in January, which is final, 60 in February."""
    world = await sandbox("2024-01-31")
    minutes = Metered(
        resource="minutes", late="REOPEN", grant="100", refresh="MONTH", max_rollovers=1, rate="2"
    )
    tiered = (("0", "20", "1"), ("20", None, "0.25"))
    texts = Metered(resource="texts", late="REOPEN", rate="1", tiers=tiered)
    await world.product("plan", minutes, texts)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "minutes", "2024-01-10", 90)
    await world.use(asset, "texts", "2024-01-10", 15)
    await world.advance("2024-02-06")
    await world.use(asset, "minutes", "2024-02-02", 60)
    return world, account, asset


async def test_late_usage_that_opens_its_period_again_is_priced_as_if_it_had_come_in_time(
    sandbox: Any, story_database: str
) -> None:
    """30 more minutes in January: 10 are left of its grant, so that fewer roll over; 20 cost 2."""
    world, account, asset = await reopening(sandbox)
    asked = [
        *lines(asset, "minutes", ("2024-01-20", 4), ("2024-01-21", 26), ("2024-02-03", 45)),
        *lines(asset, "texts", ("2024-01-20", 10)),
    ]
    before = await rows(story_database, world)
    billed = [money(one.amount) for one in await world.liable(account)]

    found = await preview(world, account, *asked)

    assert await rows(story_database, world) == before
    assert [enum_name(one.late, "policy") for one in found] == ["REOPEN", "REOPEN", "", "REOPEN"]
    months = [
        one.late.period.start_time.ToDatetime().month
        for one in found
        if enum_name(one.late, "policy")
    ]
    assert months == [1, 1, 1]
    # In February 100 are granted; the 10 that rolled over would be gone by then.
    assert [figure(one.wallets[0].overage_quantity) for one in found] == [0, 20, 5, 10]
    # 15 texts cost 15, and all 25 cost 6.25: whatever the tier, it prices all of them.
    assert amounts(found) == [0, 40, 10, Decimal("-8.75")]
    outcomes = await record_all(world, asked)
    late = [found[n].late for n in (0, 1, 3)]
    assert [one.late for one in outcomes if one.HasField("late")] == late
    await world.advance("2024-03-10")
    by_month = sorted(money(one.amount) for one in await world.liable(account))
    assert (sorted(billed), by_month) == ([0, 15], [Decimal("6.25"), 10, 40])


async def test_late_usage_is_priced_in_its_own_period_though_a_later_one_is_final(
    sandbox: Any,
) -> None:
    world, account, asset = await reopening(sandbox)
    await world.advance("2024-03-10")
    asked = lines(asset, "minutes", ("2024-01-20", 4), ("2024-01-21", 140), ("2024-02-21", 3))

    before = sum(money(one.amount) for one in await world.liable(account))
    found = await preview(world, account, *asked)
    outcomes = await record_all(world, asked)
    await world.advance("2024-04-10")

    assert [enum_name(one.late, "policy") for one in found] == ["REOPEN", "REOPEN", "REOPEN"]
    assert [one.late.period.start_time.ToDatetime().month for one in found] == [1, 1, 2]
    assert [one.late for one in outcomes] == [one.late for one in found]
    after = sum(money(one.amount) for one in await world.liable(account))
    assert sum(amounts(found)) == after - before
    assert [figure(one.wallets[0].used_quantity) for one in found] == [4, 140, 3]
