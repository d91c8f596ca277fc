"""Balances while a correction waits: those that there are after it."""

import pytest

from tests.stories.sale_words import to
from tests.stories.token_words import Credits, described, pack, set_up
from tests.stories.waiting_words import corrections_waiting
from tests.stories.words import figure, line


@pytest.mark.parametrize("day", ["2024-01-10", "2024-02-10"])
async def test_tokens_of_a_month_before_the_first_usage(sandbox, story_database, day):
    """Nothing cost tokens in January and February; March is final."""
    world = await sandbox("2024-01-01")
    text = described("plan", {"calls": "2"}, Credits(price="1", grant="100"))
    await set_up(world, text)
    await set_up(world, pack("booster", "credits", grant="50"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, to(asset.name, "booster", "2024-01-01", "2024-03-01"))
    await world.advance("2024-03-20")
    await world.use(asset, "calls", "2024-03-10", 5)
    await world.advance("2024-04-20")

    async with corrections_waiting(story_database, await world.wallets(account)):
        await world.use(asset, "calls", day, 30)
        waiting = await world.wallet(account, "credits")
    await world.advance("2024-04-21")

    after = await world.wallet(account, "credits")
    assert figure(waiting.balance) == figure(after.balance) == 80
    assert figure(waiting.used_quantity) == figure(after.used_quantity) == 0
