"""Rate cards are as large as they may be, and no larger."""

import asyncio
from datetime import date, timedelta

import grpc
import pytest
from google.rpc import error_details_pb2 as details
from grpc_status import rpc_status
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import rate_service_pb2 as rates

from clients import UsageClient, UsageError
from clients.pages import pages
from tests.service import add_tenant, serving
from tests.stories.rate_words import (
    ACTIVE,
    Step,
    add,
    add_all,
    adding,
    card,
    delete,
    move,
    priced,
    update,
)
from tests.stories.words import Metered, day, figure, moment, number, refusal
from tests.stories.world import World

FIRST = date(2024, 1, 1)
RESOURCES = ("api", "data", "sms", "voice")
# 1,200 entries of a tier card with 2 or 3 tiers each: 3,000.
ENTRIES, TIERS = 1_200, 3_000


def span(index: int) -> dict[str, str]:
    """The days of the n-th entry of a resource: ten days, the last of them for ever."""
    start, is_last = FIRST + timedelta(days=10 * index), index == ENTRIES // len(RESOURCES) - 1
    return {"start": f"{start}"} | ({} if is_last else {"end": f"{start + timedelta(days=10)}"})


def steps(index: int) -> tuple[Step, ...]:
    """Two tiers and three in turn, which take off more from step to step."""
    seams = ("0", "100", "200")[: 2 + index % 2]
    ends = (*seams[1:], None)
    return tuple(
        (low, high, "PERCENTAGE", f"{5 * place}")
        for place, (low, high) in enumerate(zip(seams, ends, strict=True))
    )


def catalog(of: str) -> list[rates.CreateRateCardEntryRequest]:
    """All entries of a card: every resource, ten days after ten days."""
    per_resource = ENTRIES // len(RESOURCES)
    return [
        adding(
            f"{of}/{resource}-{index:03}",
            priced(resource, f"{index + 1}", **span(index))
            if of == "base"
            else priced(resource, None, *steps(index), **span(index)),
        )
        for resource in RESOURCES
        for index in range(per_resource)
    ]


@pytest.mark.capability("M141")
async def test_a_card_carries_1200_entries_and_3000_tiers(sandbox):
    """R02: and not one more of either."""
    world = await sandbox("2024-01-31")
    await world.product("plan", *(Metered(resource=one) for one in RESOURCES))
    base, tiers = catalog("base"), catalog("tiers")

    for whole in (base, tiers):
        for half in (whole[:1_000], whole[1_000:]):
            assert len(await add_all(world, half)) == len(half)
    over = priced("sms", "1", end="2024-01-01")
    more = await refusal(add(world, "base/more", over))
    batch = await refusal(add_all(world, [base[0], adding("base/more", over)]))
    tier = await refusal(add(world, "tiers/more", priced("sms", None, *steps(0))))
    longer = priced("sms", None, *steps(1), name="rateCards/tiers/entries/sms-000")
    wider = await refusal(update(world, longer, "tiers"))
    assert await add_all(world, base[:1_000]) == await add_all(world, base[:1_000])

    assert {one.reason for one in (more, batch, tier, wider)} == {"LIMIT_RATE_CARD"}
    assert {one.code.name for one in (more, batch, tier, wider)} == {"RESOURCE_EXHAUSTED"}
    assert (more.facts["limit"], more.facts["got"]) == ("1200", "1201")
    assert (wider.facts["limit"], wider.facts["got"], wider.facts["of"]) == (
        "3000",
        "3001",
        "tiers",
    )

    names = [f"{one.parent}/entries/{one.rate_card_entry_id}" for one in base]
    assert len(await move(world, ACTIVE, *names[:1_000])) == 1_000
    request = catalog_rpc.ActivateProductRequest(name="products/plan")
    assert len((await world.client.catalog.ActivateProduct(request)).activated) == 1_400
    listed = rates.ListRateCardEntriesRequest(parent="rateCards/tiers", page_size=1_000)
    found = [one async for one in pages(world.client.rates.ListRateCardEntries, listed)]
    assert sum(len(one.tiers.tiers) for one in found) == TIERS
    assert {one.state for one in found} == {ACTIVE}
    assert len(found) == ENTRIES
    await discovers_all(world)


async def discovers_all(world: World) -> None:
    """Every second entry is found by its first day, and prices what it says."""
    asked = [
        rates.RateQuestion(
            price_book="priceBooks/book",
            product="products/plan",
            usage_resource=f"usageResources/{resource}",
            currency_code="USD",
            date=day(span(index)["start"]),
            quantity=number(100),
        )
        for resource in RESOURCES
        for index in range(0, 300, 2)
    ]

    answer = await world.client.rates.DiscoverRates(
        rates.DiscoverRatesRequest(questions=asked, freshness="FULLY_CONSISTENT")
    )

    # The second tier takes off five per cent of the rate, which is the number of the entry.
    amounts = [figure(one.amount) for one in answer.answers]
    assert amounts == [95 * (index + 1) for index in range(0, 300, 2)] * len(RESOURCES)
    assert answer.answers[-1].terms.tier_entry == "rateCards/tiers/entries/voice-298"


async def test_the_limits_of_a_card_are_settings(database: str):
    async with serving(database, rate_card_entries=2, rate_card_tiers=3) as service:
        _, key = await add_tenant(service, moment("2024-01-01"))
        async with UsageClient(service.address, key) as client:
            world = World(client)
            await world.product("plan", Metered(resource="sms"))
            limits = (
                await client.access.ListLimits(access.ListLimitsRequest(page_size=1000))
            ).limits
            said = {one.id: one.value for one in limits}
            entries = [adding(f"base/{i}", priced("sms", "1")) for i in range(3)]

            over = await refusal(add_all(world, entries))
            await add_all(world, entries[:2])
            full = await refusal(add_all(world, entries[2:]))
            await delete(world, "rateCards/base/entries/0")
            await add_all(world, entries[2:])
            tiers = await refusal(
                add_all(
                    world, [adding(f"tiers/{i}", priced("sms", None, *steps(0))) for i in range(2)]
                )
            )
            await quota(service.address, key, entries[0])
            await card(world, "spare")
            together = await asyncio.gather(
                *(add(world, f"spare/{i}", priced("sms", "1")) for i in range(5)),
                return_exceptions=True,
            )

    assert (said["rate.card_entries"], said["rate.card_tiers"]) == (2, 3)
    assert over.reason == full.reason == tiers.reason == "LIMIT_RATE_CARD"
    refused = [one for one in together if isinstance(one, UsageError)]
    assert [one.reason for one in refused] == ["LIMIT_RATE_CARD"] * 3
    assert (tiers.facts["name"], tiers.facts["limit"], tiers.facts["got"]) == (
        "rateCards/tiers",
        "3",
        "4",
    )


async def quota(address: str, key: str, request: rates.CreateRateCardEntryRequest) -> None:
    """The refusal says which card is full, in the detail that is meant for it."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary("/usage_management.v1.RateService/CreateRateCardEntry")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request.SerializeToString(), metadata=(("authorization", f"Bearer {key}"),))
    found = details.QuotaFailure()
    status = rpc_status.from_call(refused.value)
    assert any(one.Unpack(found) for one in status.details)
    assert [one.subject for one in found.violations] == ["rateCards/base"]
    assert "at most 2" in found.violations[0].description
