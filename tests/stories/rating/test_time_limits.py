"""Time limits of a version in force: who is too slow fails alone."""

from dataclasses import replace

import pytest

from clients.values import reason_of
from tests.stories.procedure_words import DATA, formula, own
from tests.stories.rate_words import priced, put
from tests.stories.words import figure, line, money


@pytest.mark.capability("M142")
async def test_a_line_that_takes_too_long_is_kept_as_failed_and_the_others_are_billed(sandbox):
    """A hundred tiers, each at what a long formula makes of its rate: too much for 4 ms."""
    world = await sandbox("2024-01-31")
    long_one = formula("net_unit_rate" + " + 0" * 90)
    await own(world, {"graduated_tiers": {}}, long_one, element_milliseconds=4)
    await world.product("plan", replace(DATA, grant=None))
    tiers = [(str(n), str(n + 1), "OVERRIDE", "2") for n in range(100)]
    await put(world, "tiers/data", priced("data", None, *tiers, mode="GRADUATED"))
    account = await world.account("ann")
    slow, quick = await world.sell(account, *[line("plan", "2024-01-01")] * 2)

    await world.use(slow, "data", "2024-01-10", 100)
    await world.use(quick, "data", "2024-01-10", 1)
    await world.advance("2024-02-10")

    rated = {one.asset: one for one in await world.ratable(account)}
    assert figure(rated[quick.name].amount) == 2
    assert (reason_of(rated[slow.name].error), rated[slow.name].HasField("amount")) == (
        "TIME_LIMIT",
        False,
    )
    owing = {one.asset: money(one.amount) for one in await world.liable(account)}
    assert owing == {slow.name: 0, quick.name: 2}
