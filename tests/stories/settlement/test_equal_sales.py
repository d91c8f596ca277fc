"""Equal sales cost the same: ties between grants do not depend on ids, which are random."""

from usage_management.v1 import types_pb2 as types

from tests.stories.bindings.binding_words import unbound
from tests.stories.quote_words import activate, grant
from tests.stories.token_words import pack, set_up
from tests.stories.words import Metered, figure, line


async def test_of_equal_grants_that_of_the_older_entitlement_pays_first(sandbox):
    """40 a month that roll over, and 25 of a pack for the same month; 30 are used, then 100.

    The plan was sold first, so it pays 30 and 10 of it roll over; the pack expires. 50 are owed.
    """
    world = await sandbox("2024-01-10")
    plan = Metered(resource="calls", grant="40", refresh="MONTH", max_rollovers=0, rate="1")
    await world.product("plan", plan)
    await set_up(world, pack("more", "calls", grant="25"))
    sold = {}
    for name in ("ann", "bob", "eve", "sam", "kim", "lee"):
        account = await world.account(name)
        more = unbound("more", "2024-01-01", binding_line=0)
        month = types.Cadence(unit="MONTH", count=1)
        more.negotiated_grants.append(grant(of="products/more/grants/calls", validity=month))
        quote = await world.quote(account, line("plan", "2024-01-01"), more)
        sold[account] = (await activate(world, quote))[0]
        await world.use(sold[account], "calls", "2024-01-10", 30)
    await world.advance("2024-02-02")
    for asset in sold.values():
        await world.use(asset, "calls", "2024-02-02", 100)
    await world.advance("2024-03-10")

    owed = [
        sum(figure(one.exact_amount) for one in await world.liable(account)) for account in sold
    ]
    assert owed == [50] * len(sold)
