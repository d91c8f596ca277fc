"""Partial issues are shown where they are sold, with the quantities that the wallet receives."""

import pytest

from tests.stories.words import Metered, figure, line
from tests.stories.world import World


@pytest.mark.parametrize(
    ("start", "end", "refresh", "first", "last"),
    [
        # 30 of the 31 days of January.
        ("2024-01-01", "2024-01-31", "MONTH", "967", "967"),
        ("2024-01-01", "2024-02-01", "MONTH", "1000", "1000"),
        # Whole months from the 10th, then 6 of the 31 days from 10 March.
        ("2024-01-10", "2024-03-16", "MONTH", "1000", "193"),
        ("2024-01-10", None, "MONTH", "1000", None),
        ("2024-01-10", "2024-01-20", None, "1000", "1000"),
    ],
)
async def test_a_quote_shows_the_first_and_the_last_issue(
    sandbox, start, end, refresh, first, last
):
    """R44: 1,000 a month."""
    world: World = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", grant="1000", rate="1", refresh=refresh))
    account = await world.account("ann")

    quote = await world.quote(account, line("plan", start, end=end))

    [grant] = quote.lines[0].resources[0].grants
    assert str(figure(grant.first_issue_quantity)) == first
    found = grant.last_issue_quantity if grant.HasField("last_issue_quantity") else None
    assert (None if found is None else str(figure(found))) == last


async def test_the_wallet_receives_what_the_quote_showed(sandbox):
    world: World = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", grant="1000", rate="1", refresh="MONTH"))
    account = await world.account("ann")
    sale = line("plan", "2024-01-10", end="2024-03-16")
    quote = await world.quote(account, sale)
    await world.sell(account, sale)
    [shown] = quote.lines[0].resources[0].grants

    await world.advance("2024-03-12")

    wallet = await world.wallet(account, "calls")
    issued = sorted(await world.grants(wallet), key=lambda grant: grant.start_time.ToDatetime())
    assert figure(issued[0].quantity) == figure(shown.first_issue_quantity)
    assert figure(issued[-1].quantity) == figure(shown.last_issue_quantity)
