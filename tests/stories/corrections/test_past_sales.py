"""Sales that begin in periods which are final: what they change is a correction (R26)."""

import pytest

from tests.stories.bill_words import mark
from tests.stories.sale_words import to
from tests.stories.token_words import Credits, described, pack, set_up
from tests.stories.words import Metered, figure, line, money, usage


async def test_a_pack_for_a_billed_month_pays_for_its_overage(sandbox):
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"calls": "1"}, Credits(price="1", grant="100")))
    await set_up(world, pack("booster", "credits", grant="30"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-10", 150)
    await world.advance("2024-02-10")
    [billed] = await world.liable(account)
    await mark(world, billed.name)

    await world.sell(account, to(asset.name, "booster", "2024-01-01", "2024-03-01"))
    await world.advance("2024-03-10")

    before, credit = await world.liable(account)
    assert (money(before.amount), money(credit.amount)) == (50, -30)
    assert credit.origin_start_time.ToDatetime().month == 1
    wallet = await world.wallet(account, "credits")
    assert figure(wallet.balance) == 0


@pytest.mark.parametrize("rating", ["DAY", "WEEK", "MONTH"])
async def test_an_asset_of_the_past_is_billed_for_its_usage(sandbox, rating):
    """Its target is billed for January already; the rating periods may be shorter than that."""
    world = await sandbox("2024-01-01")
    plan = Metered(resource="calls", grant="10", refresh="MONTH", rate="1", rating=rating)
    await world.product("plan", plan)
    account = await world.account("ann")
    [first] = await world.sell(account, line("plan", "2024-01-01", binding="ACCOUNT"))
    await world.advance("2024-01-06")
    await world.use(first, "calls", "2024-01-05", 8)
    await world.advance("2024-02-20")

    [second] = await world.sell(account, line("plan", "2024-01-01", binding="ACCOUNT"))
    await world.record([usage(second, "calls", "2024-01-04", 25)])
    await world.advance("2024-04-10")

    # 20 are included in January now; 33 are used.
    january = [
        one for one in await world.liable(account) if one.origin_start_time.ToDatetime().month == 1
    ]
    assert sum(figure(one.used_quantity) for one in january) == 33
    assert sum(money(one.amount) for one in january) == 13


async def test_what_is_due_without_usage_is_owed_for_the_past(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="2"))
    account = await world.account("ann")
    [first] = await world.sell(account, line("plan", "2024-01-15", binding="ACCOUNT"))
    await world.use(first, "calls", "2024-01-20", 1)
    await world.advance("2024-03-10")

    [second] = await world.sell(account, line("plan", "2024-01-01", binding="ACCOUNT"))
    await world.use(second, "calls", "2024-01-03", 4)
    await world.advance("2024-05-20")

    owed = [(one.asset, money(one.amount)) for one in await world.liable(account)]
    assert sorted(owed) == sorted([(first.name, 2), (second.name, 8)])


async def test_late_usage_keeps_the_billing_period_that_its_week_was_billed_in(sandbox):
    """0.004 in time and as much late come to 0.01, though the service begins earlier now."""
    world = await sandbox("2024-02-01")
    weekly = Metered(resource="calls", rate="0.004", rating="WEEK")
    await world.product("plan", weekly)
    account = await world.account("ann")
    [first] = await world.sell(account, line("plan", "2024-01-31", binding="ACCOUNT"))
    await world.advance("2024-02-02")
    await world.use(first, "calls", "2024-02-01", 1)
    await world.advance("2024-04-10")
    before = [money(one.amount) for one in await world.liable(account)]
    await world.sell(account, line("plan", "2024-01-01", binding="ACCOUNT"))

    await world.use(first, "calls", "2024-02-01", 1)
    await world.advance("2024-06-10")

    after = [one for one in await world.liable(account) if one.asset == first.name]
    assert sum(before) == 0
    assert float(sum(money(one.amount) for one in after)) == 0.01
    assert len({one.origin_end_time.seconds for one in after}) == 1
