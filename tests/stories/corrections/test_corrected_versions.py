"""Late usage of a month that another procedure version rated than is in force now."""

from tests.stories.preview_words import lines, preview
from tests.stories.procedure_words import formula, own
from tests.stories.token_words import Credits, described, set_up
from tests.stories.waiting_words import corrections_waiting
from tests.stories.words import Metered, figure, line, usage


async def test_the_balance_of_tokens_is_the_same_before_the_correction(sandbox, story_database):
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "2"}, Credits(price="0.20", grant="50")))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "data", "2024-01-10", 10)
    await world.advance("2024-02-10")
    await own(world, formula("net_unit_rate * 2"))

    async with corrections_waiting(story_database, await world.wallets(account)):
        await world.use(asset, "data", "2024-01-11", 5)
        waiting = await world.wallet(account, "credits")
    await world.advance("2024-02-11")

    corrected = await world.wallet(account, "credits")
    # 15 GB at 2 credits, by the version that rated January.
    assert (figure(waiting.balance), figure(corrected.balance)) == (20, 20)


async def test_late_usage_is_previewed_by_the_version_that_rates_it(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="2"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-10", 10)
    await world.advance("2024-02-10")
    await own(world, formula("net_unit_rate + 3"))

    [asked] = await preview(world, account, *lines(asset, "calls", ("2024-01-11", 5)))
    await world.use(asset, "calls", "2024-01-11", 5)
    await world.advance("2024-03-10")

    _, correction = await world.ratable(account)
    assert figure(asked.wallets[0].amount) == figure(correction.amount) == 10


async def test_usage_of_another_place_is_rated_by_the_version_of_its_month(sandbox):
    """In time, all usage of January would have been rated by the version of its close."""
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="2", dimensions=("region",)))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.record([usage(asset, "calls", "2024-01-10", 10, region="eu")])
    await world.advance("2024-02-10")
    await own(world, formula("net_unit_rate + 3"))

    await world.record([usage(asset, "calls", "2024-01-11", 5, region="us")])
    await world.advance("2024-03-10")

    assert [figure(one.amount) for one in await world.ratable(account)] == [20, 10]
