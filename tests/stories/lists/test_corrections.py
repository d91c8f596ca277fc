"""Lists of corrections and of what waits for one: each filter alone, two together, by pages."""

import pytest
from usage_management.v1 import summary_service_pb2 as pb

from clients.pages import pages
from tests.stories.correction_words import pending
from tests.stories.list_words import Listing
from tests.stories.words import Metered, line, usage
from tests.stories.world import World

NO_WALLET = "wallets/00000000-0000-4000-8000-000000000001"


async def shop(sandbox) -> tuple[World, str, object]:
    """Two resources whose January is final."""
    world = await sandbox("2024-01-31")
    metered = [Metered(resource=name, rate="1") for name in ("calls", "texts")]
    await world.product("plan", *metered)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    for resource in ("calls", "texts"):
        await world.use(asset, resource, "2024-01-10", 1)
    await world.advance("2024-02-10")
    return world, account, asset


async def test_corrections_by_wallet_cause_and_time(sandbox):
    world, account, asset = await shop(sandbox)
    await world.use(asset, "calls", "2024-01-11", 1)
    await world.advance("2024-02-11")
    await world.use(asset, "texts", "2024-01-12", 1)
    await world.advance("2024-02-12")
    await world.use(asset, "calls", "2024-01-13", 1)
    await world.advance("2024-02-13")
    calls, texts = [(await world.wallet(account, one)).name for one in ("calls", "texts")]
    listing = Listing(world.client.summaries.ListCorrections, pb.ListCorrectionsRequest, account)
    request = pb.ListCorrectionsRequest(parent=account)
    found = [one async for one in pages(world.client.summaries.ListCorrections, request)]
    first, second, third = names = [one.name for one in found]
    later = {"start_create_time": found[1].create_time}
    before = {"end_create_time": found[1].create_time}

    assert await listing.names() == names
    assert [list(one.wallets) for one in found] == [[calls], [texts], [calls]]
    assert not any(one.lines or one.wallet_entries for one in found)
    assert await listing.names(wallet=calls) == [first, third]
    assert await listing.names(wallet=texts) == [second]
    assert await listing.names(wallet=f"{account}/{NO_WALLET}") == []
    assert await listing.names(cause="LATE") == names
    assert await listing.names(cause="VOID") == []
    assert await listing.names(**later) == [second, third]
    assert await listing.names(**before) == [first]
    assert await listing.names(wallet=calls, **later) == [third]
    await listing.refuses_other_filters_for_its_token(
        {}, {"wallet": calls}, {"cause": "LATE"}, later
    )
    both = later | {"end_create_time": found[1].create_time}
    assert await listing.faults(**both) == [("end_create_time", "INTERVAL_INVALID")]
    foreign = {"wallet": f"accounts/bob/{NO_WALLET}"}
    assert await listing.faults(**foreign) == [("wallet", "NAME_FORMAT")]
    ratable = world.client.summaries.ListRatableSummaries
    lines = Listing(ratable, pb.ListRatableSummariesRequest, account)
    assert await lines.names(correction=second) == [
        one.name for one in await world.ratable(account) if one.correction == second
    ]
    assert len(await lines.names(correction=second)) == 1
    assert await lines.faults(correction="corrections/x") == [("correction", "NAME_FORMAT")]
    bob = await world.account("bob")
    assert await Listing(listing.method, listing.request, bob).names() == []
    nobody = await Listing(listing.method, listing.request, "accounts/nobody").refusal()
    assert nobody.reason == "ACCOUNT_NOT_FOUND"


async def waiting(world: World, account: str, **only: object) -> list[str]:
    """The wallets that wait; a worker that tries its jobs meanwhile changes their states."""
    return [one.wallet for one in await pending(world, account, **only)]


async def test_what_waits_by_wallet_and_cause(sandbox, monkeypatch: pytest.MonkeyPatch):
    world, account, asset = await shop(sandbox)
    calls, texts = [(await world.wallet(account, one)).name for one in ("calls", "texts")]
    rpc = world.client.summaries.ListPendingCorrections
    listing = Listing(rpc, pb.ListPendingCorrectionsRequest, account)

    with monkeypatch.context() as patched:
        patched.setattr("server.usecases.billing.corrections._book", _broken)
        await world.record([usage(asset, "texts", "2024-01-11", 1)])
        await world.record([usage(asset, "calls", "2024-01-11", 1)])
        # The second for the same wallet does not put it further back.
        await world.record([usage(asset, "texts", "2024-01-12", 1)])

        assert await waiting(world, account) == [texts, calls]
        assert await waiting(world, account, page_size=1) == [texts, calls]
        assert await waiting(world, account, wallet=calls) == [calls]
        assert await waiting(world, account, cause="LATE") == [texts, calls]
        assert await waiting(world, account, cause="VOID") == []
        assert await waiting(world, account, wallet=f"{account}/{NO_WALLET}") == []
        await listing.refuses_other_filters_for_its_token({}, {"cause": "LATE"})
        foreign = {"wallet": f"accounts/bob/{NO_WALLET}"}
        assert await listing.faults(**foreign) == [("wallet", "NAME_FORMAT")]
    await world.advance("2024-02-11")

    assert await waiting(world, account) == []
    nobody = await Listing(listing.method, listing.request, "accounts/nobody").refusal()
    assert nobody.reason == "ACCOUNT_NOT_FOUND"


def _broken(*_args: object) -> None:
    raise RuntimeError("not now")
