"""Remainders that roll over without a count, after late usage has used up the oldest of them."""

from tests.stories.words import Metered, line
from tests.stories.world import World


async def test_a_remainder_that_is_gone_does_not_change_who_pays_first(sandbox):
    """In March, the remainders of both assets rolled over once; only ids tell which pays first.

    Before the late usage, a part of the first asset's remainder had rolled over twice.
    """
    world: World = await sandbox("2024-01-01")
    plan = Metered(resource="calls", grant="10", refresh="MONTH", max_rollovers=0, rate="1")
    await world.product("plan", plan)
    names = [await world.account(f"ann{n}") for n in range(8)]
    sold = line("plan", "2024-01-01", binding="ACCOUNT")
    firsts = [(await world.sell(name, sold))[0] for name in names]
    await world.advance("2024-01-20")
    for asset in firsts:
        await world.use(asset, "calls", "2024-01-10", 1)
    await world.advance("2024-02-01")
    for name in names:
        await world.sell(name, line("plan", "2024-02-01", binding="ACCOUNT"))
    await world.advance("2024-03-10")

    for asset in firsts:
        await world.use(asset, "calls", "2024-01-11", 9)
    await world.advance("2024-03-20T12:00")
    for asset in firsts:
        await world.use(asset, "calls", "2024-03-20", 5)
    await world.advance("2024-04-10")
    # The fixture verifies every account.
