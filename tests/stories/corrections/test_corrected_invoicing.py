"""Lines that are marked as invoiced at the moment in which a correction makes them again."""

import asyncio

import asyncpg

from tests.stories.bill_words import mark
from tests.stories.words import Metered, line
from tests.stories.world import World


async def test_a_line_that_is_just_made_again_is_found(sandbox, story_database: str):
    world: World = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="2", late="REOPEN"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-10", 10)
    await world.advance("2024-02-10")
    [billed] = await world.liable(account)
    key = billed.name.rpartition("/")[2]

    # As a correction in place does it, which takes a while.
    correcting = await asyncpg.connect(story_database)
    async with correcting.transaction():
        where = f"WHERE liable_summary_id = '{key}'"
        kept = f"SELECT * FROM liable_summaries {where}"
        await correcting.execute(f"CREATE TEMP TABLE again AS {kept}")
        await correcting.execute("SET LOCAL session_replication_role = replica")
        await correcting.execute(f"DELETE FROM liable_summaries {where}")
        await correcting.execute("INSERT INTO liable_summaries SELECT * FROM again")
        marking = asyncio.create_task(mark(world, billed.name))
        # Time to get as far as the lock; if it does not, the test still holds.
        await asyncio.sleep(0.3)
        assert not marking.done()
    await correcting.close()

    [marked] = await marking
    assert marked.state == marked.INVOICED
